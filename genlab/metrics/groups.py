"""The metrics by name: what each group measures on samples against real images."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

from genlab.errors import DataError
from genlab.metrics.diversity import class_kl, class_shares, mode_count, stacked_modes, vendi_score
from genlab.metrics.extractors.base import Extractor, Features
from genlab.metrics.frechet import frechet_distance, frechet_infinity
from genlab.metrics.inception_score import class_score
from genlab.metrics.kernel import kernel_distance, median_distance, mmd_rbf
from genlab.metrics.manifold import manifold_scores
from genlab.metrics.memorization import authenticity, neighbour_ratio
from genlab.metrics.moments import Moments
from genlab.metrics.real import RealImages
from genlab.metrics.wasserstein import excess_w2, sliced_w2

__all__ = ["BETTER", "GROUPS", "OWN", "Group"]

Numbers = tuple[float | None, ...]
"""In the order of a group's names; None is what these images do not define."""

OWN = ("digits", "fashion", "stacked_digits", "plane")
"""Extractors whose classes are those of the data, so that classes are modes."""

BETTER: dict[str, str | None] = {
    "fd": "lower",
    "fdinf": "lower",
    "cs": "higher",
    "cs_std": None,
    "kd": "lower",
    "kd_std": None,
    "prec": "higher",
    "recall": "higher",
    "density": "higher",
    "coverage": "higher",
    "sw2": "lower",
    "w2": "lower",
    "mmd": "lower",
    "vendi": "higher",
    "modes": "higher",
    "class_kl": "lower",
    "quality": "higher",
    "nn_ratio": None,  # far below 1 are copies, far above 1 is off the data
    "authenticity": "higher",
}
"""Which way each number is better."""


@dataclass(frozen=True)
class Group:
    """Numbers that are worked out together.

    Args:
        names: Their short names; the first decides how many samples the group takes.
        measure: ``(samples, real images, seed) -> numbers`` in the order of the names.
        needs: Whether an extractor has what it takes.
    """

    names: tuple[str, ...]
    measure: Callable[[Features, RealImages, int], Numbers]
    needs: Callable[[Extractor], bool] = lambda extractor: True


def _frechet(x: Features, real: RealImages, seed: int) -> Numbers:
    return (frechet_distance(Moments.of(x.features), real.moments),)


def _frechet_infinity(x: Features, real: RealImages, seed: int) -> Numbers:
    return (frechet_infinity(x.features, real.moments),)


def _score(x: Features, real: RealImages, seed: int) -> Numbers:
    assert x.logits is not None
    return class_score(x.logits)


def _kernel(x: Features, real: RealImages, seed: int) -> Numbers:
    reference = real.features("train").features
    return kernel_distance(x.features, reference, size=min(1000, len(x), len(reference)))


def _manifold(x: Features, real: RealImages, seed: int) -> Numbers:
    reference = real.subset("train", len(x), seed).features
    return manifold_scores(x.features.to(real.device), reference.to(real.device))


def _sliced(x: Features, real: RealImages, seed: int) -> Numbers:
    reference = real.subset("train", len(x), seed).features
    return (sliced_w2(x.features[: len(reference)], reference),)


def _wasserstein(x: Features, real: RealImages, seed: int) -> Numbers:
    """Over blocks of 512, as the cost is cubic."""
    reference, other = (real.subset(split, len(x), seed) for split in ("train", "test"))
    n = min(len(x), len(reference), len(other))
    sets = [z.features[:n].split(512) for z in (x, reference, other)]
    blocks = [excess_w2(*block) for block in zip(*sets, strict=True) if len(block[0]) in (n, 512)]
    return (sum(blocks) / len(blocks),)


def _mmd(x: Features, real: RealImages, seed: int) -> Numbers:
    reference = real.subset("train", len(x), seed).features
    return (mmd_rbf(x.features, reference, bandwidth=median_distance(reference)),)


def _vendi(x: Features, real: RealImages, seed: int) -> Numbers:
    return (vendi_score(x.features),)


def _modes(x: Features, real: RealImages, seed: int) -> Numbers:
    assert x.logits is not None
    if real.extractor.name == "stacked_digits":
        return stacked_modes(x.logits)
    shares = class_shares(x.logits)
    modes = shares[:-1] if real.extractor.name == "plane" else shares  # the last is no mode
    return mode_count(modes), class_kl(shares, real.shares)


def _quality(x: Features, real: RealImages, seed: int) -> Numbers:
    assert x.logits is not None
    return (1 - float(class_shares(x.logits)[-1]),)


def _memorization(x: Features, real: RealImages, seed: int) -> Numbers:
    train = real.features("train").features.to(real.device)
    test = real.subset("test", len(x), seed).features.to(real.device)
    samples = x.features.to(real.device)
    ratio = None
    try:
        ratio = neighbour_ratio(samples, test, train)
    except DataError as error:
        warnings.warn(f"no nn_ratio: {error}", stacklevel=2)
    return ratio, authenticity(samples, train)


def _has_classes(extractor: Extractor) -> bool:
    return extractor.classes > 0


GROUPS = {
    "frechet": Group(("fd",), _frechet),
    "frechet_infinity": Group(("fdinf",), _frechet_infinity),
    "score": Group(("cs", "cs_std"), _score, _has_classes),
    "kernel": Group(("kd", "kd_std"), _kernel),
    "manifold": Group(("prec", "recall", "density", "coverage"), _manifold),
    "sliced_wasserstein": Group(("sw2",), _sliced),
    "wasserstein": Group(("w2",), _wasserstein),
    "mmd": Group(("mmd",), _mmd),
    "vendi": Group(("vendi",), _vendi),
    "modes": Group(("modes", "class_kl"), _modes, lambda extractor: extractor.name in OWN),
    "quality": Group(("quality",), _quality, lambda extractor: extractor.name == "plane"),
    "memorization": Group(("nn_ratio", "authenticity"), _memorization),
}
"""Every metric that a config can ask for, but for `likelihood`."""
