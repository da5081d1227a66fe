"""Precision, recall, density and coverage: quality and variety apart, by nearest neighbours."""

from typing import NamedTuple

import torch
from torch import Tensor

from genlab.errors import DataError
from genlab.metrics.base import FeatureMetric, Number
from genlab.metrics.extractors.base import Features
from genlab.metrics.real import RealFeatures

__all__ = ["Manifold", "ManifoldScores", "manifold_scores", "neighbour_distances"]

CHUNK = 1024


class Manifold(NamedTuple):
    """Four shares of points within each other's balls.

    Args:
        precision: Share of samples within the ball of some real image (3 neighbours).
        recall: Share of real images within the ball of some sample (3 neighbours).
        density: Mean number of real balls (5 neighbours) around a sample, over 5; may exceed 1.
        coverage: Share of real images whose ball (5 neighbours) has a sample in it.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbour_distances(x: Tensor, k: int) -> Tensor:
    """Distances to the k nearest other vectors of the same set, ascending: ``(n, k)``.

    Raises:
        DataError: There are not k others.
    """
    if len(x) < k + 1:
        raise DataError(f"{k} nearest neighbours need at least {k + 1} images, got n={len(x)}")
    # self is the nearest, at distance 0
    nearest = [torch.cdist(part, x).topk(k + 1, largest=False).values for part in x.split(CHUNK)]
    return torch.cat(nearest)[:, 1:]


def manifold_scores(
    samples: Tensor, reference: Tensor, *, ball: int = 3, prdc_ball: int = 5
) -> Manifold:
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

    Always read all four: a generator that repeats one good image has precision 1 and density
    above 1, and only recall and coverage show it. All depend on the numbers of images.

    Args:
        samples: Features ``(n, d)``.
        reference: Features ``(m, d)``, best with m = n.
        ball: Neighbours that make a ball for precision and recall, whose border belongs to it.
        prdc_ball: The same for density and coverage, whose border does not.

    Raises:
        DataError: A set has no more images than neighbours.
    """
    x, y = samples.double(), reference.double()
    own = neighbour_distances(x, ball)[:, ball - 1]
    real = neighbour_distances(y, max(ball, prdc_ball))
    precise = inside = torch.zeros((), dtype=torch.float64, device=x.device)  # counts
    recalled = torch.zeros(len(y), dtype=torch.bool, device=x.device)
    nearest = torch.full((len(y),), torch.inf, dtype=torch.float64, device=x.device)
    for part, radius in zip(x.split(CHUNK), own.split(CHUNK), strict=True):
        distance = torch.cdist(part, y)
        precise = precise + (distance <= real[:, ball - 1]).any(1).sum()
        inside = inside + (distance < real[:, prdc_ball - 1]).sum()
        recalled |= (distance <= radius[:, None]).any(0)
        nearest = torch.minimum(nearest, distance.min(0).values)
    return Manifold(
        precision=float(precise / len(x)),
        recall=float(recalled.double().mean()),
        density=float(inside / (prdc_ball * len(x))),
        coverage=float((nearest < real[:, prdc_ball - 1]).double().mean()),
    )


class ManifoldScores(FeatureMetric):
    """Precision, recall, density and coverage against as many training images."""

    name = "manifold"
    numbers = (
        Number("prec", "higher", "precision"),
        Number("recall", "higher", "recall"),
        Number("density", "higher", "density", shown=False),
        Number("coverage", "higher", "coverage", shown=False),
    )

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        reference = real.subset("train", len(samples)).features.to(real.device)
        scores = manifold_scores(samples.features.to(real.device), reference)
        return {number.name: score for number, score in zip(self.numbers, scores, strict=True)}
