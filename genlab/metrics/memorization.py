"""Does it copy its training images? Nearest neighbours in the training set."""

import warnings
from typing import NamedTuple

import torch
from torch import Tensor

from genlab.errors import DataError
from genlab.metrics.base import FeatureMetric, Number
from genlab.metrics.extractors.base import Extractor, Features
from genlab.metrics.real import RealFeatures
from genlab.metrics.report import Panel

__all__ = ["Memorization", "Neighbours", "authenticity", "nearest_neighbours", "neighbour_ratio"]

CHUNK = 512


class Neighbours(NamedTuple):
    """The nearest vectors of another set, nearest first.

    Args:
        distance: ``(n, k)``.
        indices: int64 ``(n, k)``.
    """

    distance: Tensor
    indices: Tensor


def nearest_neighbours(x: Tensor, train: Tensor, k: int = 1) -> Neighbours:
    """The k nearest training vectors of each vector.

    Args:
        x: Features ``(n, d)``.
        train: Features ``(m, d)``.
        k: How many.

    Raises:
        DataError: There are fewer than k.
    """
    if len(train) < k:
        raise DataError(f"{k} nearest neighbours need at least {k} training images")
    exact = "donot_use_mm_for_euclid_dist"
    found = []
    for part in x.split(CHUNK):
        index = torch.cdist(part, train).topk(k, largest=False).indices
        # The matrix product behind cdist loses the small distances, which are what counts here.
        distance = torch.cdist(part[:, None], train[index], compute_mode=exact)[:, 0]
        found.append((distance, index))
    distances, indices = zip(*found, strict=True)
    return Neighbours(torch.cat(distances), torch.cat(indices))


def neighbour_ratio(samples: Tensor, test: Tensor, train: Tensor) -> float:
    """Median distance to the nearest training image: the samples' over the test images'.

    About 1 for a generator of the data's distribution; well below 1 for copies; above 1 for
    samples that are off the data. In feature space it sees shifted copies, which pixels do not.

    Raises:
        DataError: The test images are copies of training images, so there is no scale.
    """
    ours = nearest_neighbours(samples, train).distance.double().median()
    theirs = nearest_neighbours(test, train).distance.double().median()
    if theirs == 0:
        raise DataError("half of the test images are training images: no scale for copies")
    return float(ours / theirs)


def authenticity(samples: Tensor, train: Tensor) -> float:
    """Share of samples that are farther from their nearest training image than it from its own.

    Alaa et al. 2022. 0 for copies, 0.5 to 0.7 for held-out data: read it beside its floor.

    Args:
        samples: Features ``(n, d)``.
        train: Features ``(m, d)``, m at least 2.
    """
    near = nearest_neighbours(samples, train)
    real, index = near.indices[:, 0].unique(return_inverse=True)
    own = nearest_neighbours(train[real], train, 2).distance[:, 1][index]
    return float((near.distance[:, 0] > own).double().mean())


class Memorization(FeatureMetric):
    """Distances to the nearest training images, and the samples that are nearest to them."""

    name = "memorization"
    numbers = (
        # far below 1 are copies, far above 1 is off the data
        Number("nn_ratio", None, "nearest training image, over that of test images", shown=False),
        Number("authenticity", "higher", "share of samples that copy no image", shown=False),
    )

    def count(self, extractor: Extractor | None) -> int:
        return 2000

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        train = real.features("train").features.to(real.device)
        test = real.subset("test", len(samples)).features.to(real.device)
        x = samples.features.to(real.device)
        ratio = {}
        try:
            ratio["nn_ratio"] = neighbour_ratio(x, test, train)
        except DataError as error:
            warnings.warn(f"no nn_ratio: {error}", stacklevel=2)
        return ratio | {"authenticity": authenticity(x, train)}

    def panel(self, samples: Tensor, seen: Features, real: RealFeatures) -> Panel:
        """The eight samples that are nearest to training images, beside five of these."""
        n = min(len(seen), self.count(real.extractor))
        k = min(5, len(real.reference.train))
        near = nearest_neighbours(seen.features[:n], real.features("train").features, k)
        worst = near.distance[:, 0].argsort()[:8]
        chosen, indices = samples[worst], near.indices[worst]
        picture = real.reference.picture(chosen, indices)
        return Panel(chosen, indices, near.distance[worst], picture)
