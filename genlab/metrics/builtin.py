"""The metrics that come with genlab, by the names that ``metrics.metrics`` lists."""

import re
import warnings
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from genlab.errors import ConfigError, DataError, nearest
from genlab.metrics.base import FeatureMetric, Metric, Number
from genlab.metrics.diversity import class_kl, class_shares, mode_count, stacked_modes, vendi_score
from genlab.metrics.extractors.base import Extractor, Features
from genlab.metrics.frechet import frechet_distance, frechet_infinity
from genlab.metrics.inception_score import class_score
from genlab.metrics.kernel import kernel_distance, median_distance, mmd_rbf
from genlab.metrics.manifold import manifold_scores
from genlab.metrics.memorization import authenticity, nearest_neighbours, neighbour_ratio
from genlab.metrics.moments import Moments
from genlab.metrics.real import RealFeatures
from genlab.metrics.report import Panel
from genlab.metrics.wasserstein import excess_w2, sliced_w2

__all__ = ["BUILT_IN", "LIKELIHOOD", "ODE", "choose_metrics"]

LIKELIHOOD = "likelihood"
"""Name of the likelihood in ``metrics.metrics``. It is no `Metric`: it asks the model about real
images, where a metric is given samples, so it has neither an extractor nor a floor of real images,
and its key says how it was measured. Its `Number` objects, which ranking and reports read, are
`likelihood.NATS` and `likelihood.BITS`."""

ODE = "ode_likelihood"
"""Name of the likelihood by the probability-flow ODE, of diffusion models alone; the same holds."""

PUBLISHED = {"inception": 50_000, "dinov2": 50_000}
"""Samples of published Fréchet distances, kernel distances and scores, by their extractors."""


class Frechet(FeatureMetric):
    """Fréchet distance from the training images; FID under Inception."""

    name = "frechet"
    least = least_real = 2
    numbers = (Number("fd", "lower", "Fréchet distance", published="fid", rank=0),)
    count_under = PUBLISHED

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        return {"fd": frechet_distance(Moments.of(samples.features), real.moments)}


class FrechetInfinity(FeatureMetric):
    """Fréchet distance extrapolated to infinitely many samples."""

    name = "frechet_infinity"
    least, least_real = 150, 2
    numbers = (Number("fdinf", "lower", "Fréchet distance without its bias", shown=False),)
    count_under = PUBLISHED

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        return {"fdinf": frechet_infinity(samples.features, real.moments)}


class ClassScore(FeatureMetric):
    """Score of an extractor's classes; the Inception score under Inception."""

    name = "score"
    least = 10
    numbers = (
        Number("cs", "higher", "class score", published="is_mean", shown=False),
        Number("cs_std", None, "class score's deviation", published="is_std", shown=False),
    )
    count_under = PUBLISHED

    def needs(self, extractor: Extractor | None) -> bool:
        return extractor is not None and extractor.classes > 0

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        assert samples.logits is not None
        score = class_score(samples.logits)
        return {"cs": score.mean, "cs_std": score.std}


class KernelDistance(FeatureMetric):
    """MMD² under a cubic kernel, over subsets; KID under Inception."""

    name = "kernel"
    least = least_real = 2
    numbers = (
        Number("kd", "lower", "kernel distance", published="kid", shown=False),
        Number("kd_std", None, "kernel distance's deviation", published="kid_std", shown=False),
    )
    count_under = PUBLISHED

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        reference = real.features("train").features
        size = min(1000, len(samples), len(reference))
        distance = kernel_distance(samples.features, reference, size=size)
        return {"kd": distance.mean, "kd_std": distance.std}


class ManifoldScores(FeatureMetric):
    """Precision, recall, density and coverage against as many training images."""

    name = "manifold"
    least = least_real = 6
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


class SlicedWasserstein(FeatureMetric):
    """Squared W2 along random directions, from as many training images."""

    name = "sliced_wasserstein"
    numbers = (Number("sw2", "lower", "sliced Wasserstein distance, squared", shown=False),)

    def usable(self, n: int, n_train: int, n_test: int) -> int:
        return min(n, n_train)

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        reference = real.subset("train", len(samples)).features
        return {"sw2": sliced_w2(samples.features[: len(reference)], reference)}


class Wasserstein(FeatureMetric):
    """Squared W2 less that of real images, over blocks of 512 since the cost is cubic."""

    name = "wasserstein"
    numbers = (Number("w2", "lower", "Wasserstein distance, squared", shown=False),)
    count = 5120

    def usable(self, n: int, n_train: int, n_test: int) -> int:
        n = min(n, n_train, n_test)
        return n if n < 512 else n // 512 * 512

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        reference, other = (real.subset(split, len(samples)) for split in ("train", "test"))
        n = min(len(samples), len(reference), len(other))
        sets = [x.features[:n].split(512) for x in (samples, reference, other)]
        blocks = [excess_w2(*b) for b in zip(*sets, strict=True)]
        return {"w2": sum(blocks) / len(blocks)}


class Mmd(FeatureMetric):
    """MMD² under Gaussian kernels around the median distance of real images."""

    name = "mmd"
    least = least_real = 2
    numbers = (Number("mmd", "lower", "maximum mean discrepancy, squared", shown=False),)
    count = 2000

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        reference = real.subset("train", len(samples)).features
        bandwidth = median_distance(reference)
        return {"mmd": mmd_rbf(samples.features, reference, bandwidth=bandwidth)}


class Vendi(FeatureMetric):
    """Effective number of different samples."""

    name = "vendi"
    numbers = (Number("vendi", "higher", "Vendi score", "samples", shown=False),)

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        return {"vendi": vendi_score(samples.features)}


class Modes(FeatureMetric):
    """Classes found, and how far their shares are from those of the training images."""

    name = "modes"
    numbers = (
        Number("modes", "higher", "classes found", "classes", shown=False),
        Number("class_kl", "lower", "KL divergence of the classes' shares", "nats", shown=False),
    )
    count_under: ClassVar = {"stacked_digits": 26_000}  # PacGAN's

    def needs(self, extractor: Extractor | None) -> bool:
        return extractor is not None and extractor.modes > 0

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        assert samples.logits is not None
        if real.extractor.name == "stacked_digits":
            modes, divergence = stacked_modes(samples.logits)
        else:
            shares = class_shares(samples.logits)
            modes = mode_count(shares[: real.extractor.modes])
            divergence = class_kl(shares, real.shares)
        return {"modes": modes, "class_kl": divergence}


class Quality(FeatureMetric):
    """Share of samples near a mode, where an extractor knows the modes and a class of the rest."""

    name = "quality"
    numbers = (Number("quality", "higher", "share of samples near a mode", shown=False),)

    def needs(self, extractor: Extractor | None) -> bool:
        return extractor is not None and 0 < extractor.modes < extractor.classes

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        assert samples.logits is not None
        return {"quality": 1 - float(class_shares(samples.logits)[-1])}


class Labels(FeatureMetric):
    """Share of a conditional model's samples that are seen as the class they were drawn for.

    Its floor is the share of real test images that are seen as what they are: no model can be
    asked for more. A model that ignores its labels has one in the number of classes.
    """

    name = "labels"
    numbers = (
        Number("label_acc", "higher", "share of samples seen as the class asked for", shown=False),
    )

    def needs(self, extractor: Extractor | None) -> bool:
        return extractor is not None and extractor.modes > 0

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        if samples.y is None or int(samples.y.max()) >= real.extractor.modes:
            return {}
        assert samples.logits is not None
        return {"label_acc": float((samples.logits.argmax(1) == samples.y).float().mean())}


class Memorization(FeatureMetric):
    """Distances to the nearest training images, and the samples that are nearest to them."""

    name = "memorization"
    least_real = 2
    numbers = (
        # far below 1 are copies, far above 1 is off the data
        Number("nn_ratio", None, "nearest training image, over test images'", shown=False),
        Number("authenticity", "higher", "share of samples that copy nothing", shown=False),
    )
    count = 2000

    def measure(self, samples: Features, real: RealFeatures) -> dict[str, float]:
        train = real.features("train").features.to(real.device)
        test = real.subset("test", len(samples)).features.to(real.device)
        x, ratio = samples.features.to(real.device), {}
        try:
            ratio["nn_ratio"] = neighbour_ratio(x, test, train)
        except DataError as error:
            warnings.warn(f"no nn_ratio: {error}", stacklevel=2)
        return ratio | {"authenticity": authenticity(x, train)}

    def panel(self, samples: Tensor, seen: Features, real: RealFeatures) -> Panel:
        """The eight samples that are nearest to training images, beside five of these."""
        n, k = min(len(seen), self.count), min(5, len(real.reference.train))
        near = nearest_neighbours(seen.features[:n], real.features("train").features, k)
        worst = near.distance[:, 0].argsort()[:8]
        chosen, indices = samples[worst], near.indices[worst]
        picture = real.reference.picture(chosen, indices)
        return Panel(chosen, indices, near.distance[worst], picture)


ORDER = (
    Frechet(), FrechetInfinity(), ClassScore(), KernelDistance(), ManifoldScores(),
    SlicedWasserstein(), Wasserstein(), Mmd(), Vendi(), Modes(), Quality(), Labels(),
    Memorization(),
)  # fmt: skip

BUILT_IN: dict[str, Metric] = {metric.name: metric for metric in ORDER}
"""Built-in metrics, in the order of a full report."""


def choose_metrics(asked: Sequence[str | Metric]) -> list[Metric]:
    """The metrics of samples among what was asked for: by name, or as objects.

    Raises:
        ConfigError: One does not exist, or a number of one has no name of its own.
    """
    known = (*BUILT_IN, LIKELIHOOD, ODE)
    found: list[Metric] = []
    for name in asked:
        if isinstance(name, str) and name not in known:
            raise ConfigError(
                f"metrics.metrics={name}: allowed are {', '.join(known)}{nearest(name, known)}"
            )
        metric = BUILT_IN.get(name) if isinstance(name, str) else name
        if metric is None or metric in found:  # a likelihood, or one that is named twice
            continue
        if not isinstance(metric, Metric) or not metric.numbers:
            kind = f"{type(metric).__module__}.{type(metric).__qualname__}"
            raise ConfigError(f"metrics.metrics: {kind} is no Metric with numbers")
        found.append(metric)
    words = [number.name for metric in found for number in metric.numbers]
    for word in words:
        if words.count(word) > 1 or not re.fullmatch("(?!floor_)[a-z][a-z0-9_]*", word):
            raise ConfigError(
                f"metrics.metrics: a number called {word!r}: names must differ, be of small "
                "letters, digits and underscores, and not begin with floor_"
            )
    return found
