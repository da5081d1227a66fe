"""The Inception score, and the same score under any classifier."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genlab.errors import DataError
from genlab.metrics.base import FeatureMetric, Number, published_count
from genlab.metrics.extractors.base import Extractor, Features
from genlab.metrics.real import RealFeatures

__all__ = ["ClassScore", "Spread", "class_score"]


class Spread(NamedTuple):
    """A mean and a standard deviation (with divisor n, as published) over splits or subsets."""

    mean: float
    std: float


def class_score(logits: Tensor, *, splits: int = 10, seed: int = 2020) -> Spread:
    """``exp(E KL(p(y|x) || p(y)))`` (Salimans et al. 2016), mean and deviation over splits.

    High where every image is of one certain class and all classes are there; blind to what lies
    within a class. 1 at least, the number of classes at most. On Inception's logits without
    bias, 50,000 samples and 10 splits it is the Inception score of torch-fidelity.

    Args:
        logits: ``(n, classes)``.
        splits: Number of parts, shuffled with a fixed seed.
        seed: That seed.

    Raises:
        DataError: Fewer samples than splits.

    Example:
        >>> class_score(torch.eye(4).repeat(10, 1) * 1e3, splits=1).mean
        4.0
    """
    n = len(logits)
    if n < splits:
        raise DataError(f"a class score in {splits} splits needs as many samples, got n={n}")
    order = torch.from_numpy(np.random.RandomState(seed).permutation(n))
    log_p = logits[order].double().log_softmax(1)
    scores = []
    for i in range(splits):
        part = log_p[i * n // splits : (i + 1) * n // splits]
        # xlogy semantics: a class that nothing is in adds 0, not 0 * -inf
        marginal = part.exp().mean(0, keepdim=True)
        surprise = torch.where(part.exp() > 0, part - marginal.log(), 0.0)
        scores.append((part.exp() * surprise).sum(1).mean().exp().item())
    return Spread(float(np.mean(scores)), float(np.std(scores)))


class ClassScore(FeatureMetric):
    """Score of an extractor's classes; the Inception score under Inception."""

    name = "score"
    numbers = (
        Number("cs", "higher", "class score", published="is_mean", shown=False),
        Number("cs_std", None, "its deviation over splits", published="is_std", shown=False),
    )

    def needs(self, extractor: Extractor | None) -> bool:
        return extractor is not None and extractor.classes > 0

    def count(self, extractor: Extractor | None) -> int:
        return published_count(extractor)

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        assert samples.logits is not None
        score = class_score(samples.logits)
        return {"cs": score.mean, "cs_std": score.std}
