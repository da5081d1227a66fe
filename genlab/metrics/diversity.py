"""Vendi score, modes and class balance: how much variety there is."""

import torch
from torch import Tensor

from genlab.errors import DataError

__all__ = ["class_kl", "class_shares", "mode_count", "stacked_modes", "vendi_score"]


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
