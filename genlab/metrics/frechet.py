"""The Fréchet distance between Gaussians fitted to features; on Inception's features it is FID.

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

The last trace is the nuclear norm of A B^T for any A, B with S1 = A^T A and S2 = B^T B. With fewer
vectors than dimensions, A and B are the centred vectors themselves: exact, and a thousand
times cheaper than the square root of a 2048x2048 matrix.
"""

import numpy as np
import torch
from torch import Tensor

from genlab.errors import DataError
from genlab.metrics.base import FeatureMetric, Number, published_count
from genlab.metrics.extractors.base import Extractor, Features
from genlab.metrics.moments import Moments
from genlab.metrics.real import RealFeatures

__all__ = ["Frechet", "FrechetInfinity", "frechet_distance", "frechet_infinity"]


def frechet_distance(samples: Moments, reference: Moments) -> float:
    """Squared Fréchet (2-Wasserstein) distance between two Gaussians (Dowson & Landau 1982).

    Args:
        samples: Moments of one set.
        reference: Moments of the other; its matrix root is kept for the next call.

    Returns:
        The distance, at least 0; exactly 0 up to rounding (1e-12) between equal sets of fewer
        vectors than dimensions.

    Raises:
        DataError: The dimensions differ.

    Example:
        >>> x = torch.tensor([[0.0], [2.0]])
        >>> frechet_distance(Moments.of(x), Moments.of(x + 3))
        9.0
    """
    if samples.dim != reference.dim:
        raise DataError(f"features of {samples.dim} and {reference.dim} dimensions do not compare")
    shift = (samples.mean - reference.mean).square().sum()
    distance = shift + samples.trace + reference.trace - 2 * _cross(samples, reference)
    return max(float(distance), 0.0)


def _cross(samples: Moments, reference: Moments) -> Tensor:
    """``tr (S1 S2)^(1/2)``, by the smallest symmetric problem that has it."""
    if samples.rows is not None and reference.rows is not None:
        return torch.linalg.svdvals(samples.rows @ reference.rows.T).sum()
    if samples.rows is not None:
        small = samples.rows @ reference.covariance @ samples.rows.T
    else:
        small = reference.root @ samples.covariance @ reference.root.T
    return torch.linalg.eigvalsh(small).clamp(min=0).sqrt().sum()


def frechet_infinity(
    features: Tensor, reference: Moments, *, points: int = 15, seed: int = 0
) -> float:
    """The Fréchet distance extrapolated to infinitely many samples (Chong & Forsyth 2020).

    The bias of the distance falls as 1/n, so it is regressed on 1/n over `points` subset sizes
    from ``min(5000, n / 10)`` to n, and the intercept is returned. May be below 0.

    Args:
        features: The samples', ``(n, d)``.
        reference: Moments of the reference.
        points: Number of subset sizes.
        seed: Seed of the subsets.

    Raises:
        DataError: Fewer than ``10 * points`` samples.
    """
    n = len(features)
    if n < 10 * points:
        raise DataError(f"frechet_infinity needs at least {10 * points} samples, got {n}")
    draw = np.random.default_rng(seed)
    sizes = np.linspace(min(5000, n // 10), n, points).astype(int)
    distances = []
    for size in sizes:
        subset = torch.from_numpy(draw.choice(n, size, replace=False))
        distances.append(frechet_distance(Moments.of(features[subset]), reference))
    _slope, intercept = np.polyfit(1 / sizes, distances, 1)
    return float(intercept)


class Frechet(FeatureMetric):
    """Fréchet distance from the training images; FID under Inception."""

    name = "frechet"
    numbers = (Number("fd", "lower", "Fréchet distance", published="fid", rank=0),)

    def count(self, extractor: Extractor | None) -> int:
        return published_count(extractor)

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        return {"fd": frechet_distance(Moments.of(samples.features), real.moments)}


class FrechetInfinity(Frechet):
    """Fréchet distance extrapolated to infinitely many samples."""

    name = "frechet_infinity"
    numbers = (Number("fdinf", "lower", "Fréchet distance without its bias", shown=False),)

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        return {"fdinf": frechet_infinity(samples.features, real.moments)}
