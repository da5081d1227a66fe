"""How much variety there is: Vendi score, modes and class balance."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genlab.errors import DataError
from genlab.metrics.base import FeatureMetric, Number
from genlab.metrics.extractors.base import Extractor, Features

if TYPE_CHECKING:  # which counts the classes of real images with `class_shares`
    from genlab.metrics.real import RealFeatures

__all__ = [
    "Modes",
    "Quality",
    "Vendi",
    "class_kl",
    "class_shares",
    "mode_count",
    "stacked_modes",
    "vendi_score",
]


def vendi_score(features: Tensor) -> float:
    """The effective number of different vectors: exp of the entropy of the cosine similarities.

    Friedman & Dieng 2023: 1 for n equal vectors, n for n orthogonal ones. It needs no reference and
    says nothing about quality.

    Args:
        features: ``(n, d)``.

    Example:
        >>> round(vendi_score(torch.eye(5)), 6)
        5.0
    """
    x = features.double()
    x = x / x.norm(dim=1, keepdim=True).clamp(min=1e-300) / len(x) ** 0.5
    gram = x @ x.T if len(x) < x.shape[1] else x.T @ x  # the same eigenvalues but for zeros
    values = torch.linalg.eigvalsh(gram).clamp(min=0)
    return float(torch.special.entr(values).sum().exp())


def class_shares(logits: Tensor) -> Tensor:
    """Share of images in each class, by the most likely one: float64 ``(classes,)``."""
    if len(logits) == 0:
        raise DataError("class shares of no images (n=0)")
    counts = logits.argmax(1).bincount(minlength=logits.shape[1])
    return counts.double() / len(logits)


def mode_count(shares: Tensor, *, least: float = 0.1) -> int:
    """Classes with at least a tenth of a uniform share.

    Not all that some image is counted for: a classifier's own mistakes put a few images into a
    class that the generator has dropped.

    Args:
        shares: ``(classes,)``, summing to 1.
        least: The least share, in units of ``1 / classes``.
    """
    return int((shares * len(shares) >= least).sum())


def class_kl(shares: Tensor, reference: Tensor | None = None) -> float:
    """``KL(shares || reference)`` in nats; the reference is uniform if None. 0 log 0 is 0."""
    if reference is None:
        reference = torch.full_like(shares, 1 / len(shares))
    terms = torch.where(shares > 0, shares * (shares / reference).log(), 0.0)
    return max(float(terms.sum()), 0.0)


def stacked_modes(logits: Tensor) -> tuple[int, float]:
    """Modes and KL of Stacked MNIST, by the protocol of PacGAN (Lin et al. 2018).

    Of 26,000 samples, the number of distinct triples of digits among 1,000, and the KL
    divergence of their histogram from the uniform one, in nats. A perfect generator
    has 1,000 modes and KL 0.019.

    Args:
        logits: ``(n, 1000)`` of the triples.
    """
    shares = class_shares(logits)
    return int((shares > 0).sum()), class_kl(shares)


class Vendi(FeatureMetric):
    """Effective number of different samples."""

    name = "vendi"
    numbers = (Number("vendi", "higher", "Vendi score", "samples", shown=False),)

    def measure(self, samples: Features, real: "RealFeatures") -> dict[str, float]:
        return {"vendi": vendi_score(samples.features)}


class Modes(FeatureMetric):
    """Classes found, and how far their shares are from those of the training images."""

    name = "modes"
    numbers = (
        Number("modes", "higher", "classes found", "classes", shown=False),
        Number("class_kl", "lower", "KL divergence of the classes' shares", "nats", shown=False),
    )

    def needs(self, extractor: Extractor | None) -> bool:
        return extractor is not None and extractor.modes > 0

    def count(self, extractor: Extractor | None) -> int:
        return 26_000 if stacked(extractor) else 10_000

    def measure(self, samples: Features, real: "RealFeatures") -> dict[str, float]:
        assert samples.logits is not None
        if stacked(real.extractor):
            modes, divergence = stacked_modes(samples.logits)
        else:
            shares = class_shares(samples.logits)
            modes = mode_count(shares[: real.extractor.modes])
            divergence = class_kl(shares, real.shares)
        return {"modes": modes, "class_kl": divergence}


def stacked(extractor: Extractor | None) -> bool:
    """Whether modes are counted by the protocol of Stacked MNIST."""
    return extractor is not None and extractor.name == "stacked_digits"


class Quality(FeatureMetric):
    """Share of samples that lie near a mode, where an extractor knows modes and the rest."""

    name = "quality"
    numbers = (Number("quality", "higher", "share of samples near a mode", shown=False),)

    def needs(self, extractor: Extractor | None) -> bool:
        return extractor is not None and 0 < extractor.modes < extractor.classes

    def measure(self, samples: Features, real: "RealFeatures") -> dict[str, float]:
        assert samples.logits is not None
        return {"quality": 1 - float(class_shares(samples.logits)[-1])}
