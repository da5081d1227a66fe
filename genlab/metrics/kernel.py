"""Distances between sets of features by kernels: KID and the MMD under RBF kernels."""

import numpy as np
import torch
from torch import Tensor

from genlab.errors import DataError
from genlab.metrics.base import FeatureMetric, Number, published_count
from genlab.metrics.extractors.base import Extractor, Features
from genlab.metrics.inception_score import Spread
from genlab.metrics.real import RealFeatures

__all__ = ["KernelDistance", "Mmd", "kernel_distance", "median_distance", "mmd_rbf", "unbiased_mmd"]


def unbiased_mmd(xx: Tensor, xy: Tensor, yy: Tensor) -> Tensor:
    """The unbiased estimate of MMD^2 from Gram matrices (Gretton et al. 2012, eq. 3).

    May be below 0. ``xx`` is ``(n, n)``, ``xy`` ``(n, m)``, ``yy`` ``(m, m)``.
    """
    n, m = xy.shape
    within = (xx.sum() - xx.trace()) / (n * (n - 1)) + (yy.sum() - yy.trace()) / (m * (m - 1))
    return within - 2 * xy.mean()


def kernel_distance(
    samples: Tensor,
    reference: Tensor,
    *,
    subsets: int = 100,
    size: int = 1000,
    seed: int = 2020,
) -> Spread:
    """MMD^2 under the cubic kernel ``(x.y / d + 1)^3``, over subsets (Binkowski et al. 2018).

    On Inception's features it is KID (often printed times 1000). Unbiased, so its mean does
    not depend on the number of samples, and it may be below 0.

    Args:
        samples: Features ``(n, d)``.
        reference: Features ``(m, d)``.
        subsets: How many subsets.
        size: Vectors a subset, drawn without replacement.
        seed: Seed of the subsets.

    Raises:
        DataError: A set is smaller than the subsets.
    """
    n, m, d = len(samples), len(reference), samples.shape[1]
    if min(n, m) < size or size < 2:
        raise DataError(
            f"a kernel distance over subsets of {size} needs as many images: got {n}, {m}"
        )
    draw = np.random.RandomState(seed)
    distances = []
    for _ in range(subsets):
        x = samples[torch.from_numpy(draw.choice(n, size, replace=False))].double()
        y = reference[torch.from_numpy(draw.choice(m, size, replace=False))].double()
        grams = [(a @ b.T / d + 1) ** 3 for a, b in ((x, x), (x, y), (y, y))]
        distances.append(float(unbiased_mmd(*grams)))
    return Spread(float(np.mean(distances)), float(np.std(distances)))


def median_distance(x: Tensor) -> float:
    """Median Euclidean distance between two different vectors: the usual bandwidth of a kernel."""
    return float(torch.pdist(x.double()).median())


def mmd_rbf(
    samples: Tensor,
    reference: Tensor,
    *,
    bandwidth: float,
    scales: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0),
) -> float:
    """Unbiased MMD^2 under a mean of Gaussian kernels ``exp(-|x - y|^2 / (2 (s b)^2))``.

    Args:
        samples: Features ``(n, d)``.
        reference: Features ``(m, d)``.
        bandwidth: b; take `median_distance` of the reference.
        scales: The factors s.

    Raises:
        DataError: Fewer than two vectors in a set, or a bandwidth that is not above 0.
    """
    if min(len(samples), len(reference)) < 2:
        raise DataError("an MMD needs at least 2 images in each set")
    if not bandwidth > 0:
        raise DataError(f"bandwidth={bandwidth}: must be > 0 (are all reference images equal?)")
    x, y = samples.double(), reference.double()

    def gram(a: Tensor, b: Tensor) -> Tensor:
        squared = torch.cdist(a, b).square()
        kernels = [(squared / (-2 * (s * bandwidth) ** 2)).exp() for s in scales]
        return torch.stack(kernels).mean(0)

    return float(unbiased_mmd(gram(x, x), gram(x, y), gram(y, y)))


class KernelDistance(FeatureMetric):
    """MMD² under a cubic kernel, over subsets; KID under Inception."""

    name = "kernel"
    numbers = (
        Number("kd", "lower", "kernel distance", published="kid", shown=False),
        Number("kd_std", None, "its deviation over subsets", published="kid_std", shown=False),
    )

    def count(self, extractor: Extractor | None) -> int:
        return published_count(extractor)

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        reference = real.features("train").features
        size = min(1000, len(samples), len(reference))
        distance = kernel_distance(samples.features, reference, size=size)
        return {"kd": distance.mean, "kd_std": distance.std}


class Mmd(FeatureMetric):
    """MMD² under Gaussian kernels around the median distance of real images."""

    name = "mmd"
    numbers = (Number("mmd", "lower", "maximum mean discrepancy, squared", shown=False),)

    def count(self, extractor: Extractor | None) -> int:
        return 2000

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        reference = real.subset("train", len(samples)).features
        bandwidth = median_distance(reference)
        return {"mmd": mmd_rbf(samples.features, reference, bandwidth=bandwidth)}
