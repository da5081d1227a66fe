"""Features on a GPU are those of the CPU, whatever precision the program computes in."""

import pytest
import torch

from genlab.metrics.extractors.base import extract
from genlab.metrics.extractors.classifier import ClassifierExtractor, StackedClassifierExtractor
from genlab.metrics.extractors.pixels import PixelsExtractor

pytestmark = pytest.mark.gpu

EXTRACTORS = {
    "digits": (lambda: ClassifierExtractor("digits"), (1, 28, 28)),
    "stacked": (StackedClassifierExtractor, (3, 28, 28)),
    "pixels": (lambda: PixelsExtractor(3, 32, 32), (3, 32, 32)),
}


@pytest.mark.parametrize("name", EXTRACTORS)
def test_features_are_the_cpus(name):
    make, shape = EXTRACTORS[name]
    x = torch.randint(256, (300, *shape), dtype=torch.uint8, generator=torch.manual_seed(0))
    want, found = extract(make(), x), extract(make().to("cuda"), x, device="cuda")
    torch.testing.assert_close(found.features.cpu(), want.features, rtol=1e-4, atol=1e-3)
    if want.logits is not None:
        torch.testing.assert_close(found.logits.cpu(), want.logits, rtol=1e-4, atol=1e-3)
