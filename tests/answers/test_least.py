"""The least numbers of samples that metrics declare are those at which they are defined."""

import pytest
import torch

from genlab.errors import DataError
from genlab.metrics.builtin import BUILT_IN
from genlab.metrics.extractors.base import Features
from genlab.metrics.measure import numbers_of
from genlab.metrics.real import RealFeatures, Reference


class Flat:
    """Twelve features and ten classes, whatever the image."""

    name, id, preprocessing, classes, modes, dim = "flat", "flat", "", 10, 10, 12

    def __call__(self, x):
        flat = x.flatten(1).float()
        return Features(flat[:, :12], flat[:, :10])


def measured(name, n, n_train, monkeypatch):
    draw = torch.Generator().manual_seed(0)
    images = [torch.randint(256, (k, 1, 4, 4), generator=draw).byte() for k in (n, n_train, 40)]
    seen, train, test = (Flat()(x) for x in images)
    real = RealFeatures(Reference(images[1], images[2], "0" * 64, "flat"), Flat())
    real._features = {"train": train, "test": test}
    return numbers_of(BUILT_IN[name], seen, real)


@pytest.mark.parametrize("name", BUILT_IN)
def test_least_samples(name, monkeypatch):
    metric = BUILT_IN[name]
    if name in ("quality", "labels"):
        return  # shares
    for n, n_train in ((metric.least, 200), (200, metric.least_real)):
        found = measured(name, n, n_train, monkeypatch)
        assert found
        assert all(value == value for value in found.values())
    for n, n_train in ((metric.least - 1, 200), (200, metric.least_real - 1)):
        if min(n, n_train):
            with pytest.raises((DataError, RuntimeError)):
                measured(name, n, n_train, monkeypatch)
