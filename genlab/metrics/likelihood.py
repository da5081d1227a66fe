"""Likelihoods as published ones are: nats and bits/dim, exact or bound, of how many images.

The key says which:

    nll_exact, bpd_exact      the model's own probability of the discrete image
    nll_elbo, bpd_elbo        a bound from one sample: the evidence lower bound
    nll_iw1000, bpd_iw1000    the importance-weighted bound from 1,000 samples: k moves it by nats
    nll_vlb, bpd_vlb          a bound whose samples are averaged: k makes it steadier, no tighter
    nll_ode, bpd_ode          by a diffusion's ODE: a bound up to the solver's error, which stands
                              beside it as ode_halving, the change from half as many steps
    nll_ais, bpd_ais          an estimate by annealed importance sampling of log Z, too good on
                              average; beside it ais_effective, the chains that decided
    nll_raise_100             of 100 of the images by chains led back from them: too bad on average
    nll_exact_1k              of 1,000 images drawn at random, rather than of the whole split

Nats are of a whole image, bits of a sub-pixel; of text nats are of a window, and bits of a
character, ``bpc_exact``. All are negative log-likelihoods: lower is better.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from genlab.errors import DataError
from genlab.metrics.base import Number
from genlab.metrics.keys import count_suffix
from genlab.rng import key
from genlab.types import Unit

if TYPE_CHECKING:  # which imports this module
    from genlab.metrics.estimate import HasPartition

__all__ = [
    "BITS",
    "BITS_PER_CHARACTER",
    "HALVING",
    "NATS",
    "Kind",
    "Likelihood",
    "bits_per_dim",
    "bootstrap",
    "likelihood_keys",
    "log_probs",
    "nats",
    "random_subset",
]

NATS = Number("nll", "lower", "negative log-likelihood", "nats", rank=4, shown=False)
BITS = Number("bpd", "lower", "negative log-likelihood", "bits/dim", rank=3, shown=False)
BITS_PER_CHARACTER = Number(
    "bpc", "lower", "negative log-likelihood", "bits/character", rank=3, shown=False
)
HALVING = Number("ode_halving", None, "nll_ode less that of half the steps", "nats", shown=False)

Kind = Literal["exact", "bound", "estimate"]
"""Whether a likelihood is one, a lower bound of it, or an estimate."""

LOG2 = math.log(2)
BUDGET = 20_000
"""Importance samples in one call of a model: enough to be fast, few enough for a memory."""


@dataclass(frozen=True)
class Likelihood:
    """A model's log-probability, and the images to evaluate it on.

    Args:
        log_prob: ``(x, y, k, generator) -> nats (B,)``: log-probability of discrete images, or the
            bound of it from k importance samples.
        kind: ``exact``, ``bound`` or ``estimate``.
        x: The images to evaluate on, as the model takes them, uint8 ``(N, C, H, W)``.
        y: Their labels for a conditional model, or None.
        dims: Number of real sub-pixels of an image: those of padding do not count.
        split: Name of the split that x is.
        bound: Name of a bound whose samples are averaged, or of an estimate: `likelihood_keys`.
        partition: The model, where its likelihood is an estimate.
        unit: What one of the `dims` is: bits of a character have a key of their own, ``bpc``.
    """

    log_prob: Callable[[Tensor, Tensor | None, int, torch.Generator], Tensor]
    kind: Kind
    x: Tensor
    y: Tensor | None
    dims: int
    split: str = "test"
    bound: str | None = None
    partition: "HasPartition | None" = None
    unit: Unit = "pixel"


def bits_per_dim(nats: float, dims: int) -> float:
    """Nats of an image in bits of a sub-pixel.

    Example:
        >>> bits_per_dim(784 * math.log(256), 784)
        8.0
    """
    return nats / (dims * LOG2)


def nats(bits: float, dims: int) -> float:
    """Bits of a sub-pixel in nats of an image."""
    return bits * dims * LOG2


def likelihood_keys(
    kind: Kind,
    k: int,
    n: int,
    total: int,
    bound: str | None = None,
    unit: Unit = "pixel",
) -> tuple[str, str]:
    """The keys of the nats and of the bits/dim.

    Args:
        kind: Exact, bound or estimate.
        k: Importance samples of a bound, or of an estimate of one.
        n: Images evaluated.
        total: Images of the whole split.
        bound: Name of a bound whose samples are averaged, or of an estimate; None where k of them
            tighten it.
        unit: What an entry of an example is.

    Example:
        >>> likelihood_keys("bound", 16, 10_000, 10_000, bound="vlb")
        ('nll_vlb', 'bpd_vlb')
        >>> likelihood_keys("bound", 1000, 10_000, 10_000)
        ('nll_iw1000', 'bpd_iw1000')
        >>> likelihood_keys("exact", 1, 1000, 10_000)
        ('nll_exact_1k', 'bpd_exact_1k')
        >>> likelihood_keys("estimate", 1, 10_000, 10_000, bound="ais")
        ('nll_ais', 'bpd_ais')
        >>> likelihood_keys("estimate", 1000, 10_000, 10_000)
        ('nll_ais_iw1000', 'bpd_ais_iw1000')
        >>> likelihood_keys("exact", 1, 1000, 1000, unit="character")
        ('nll_exact', 'bpc_exact')
    """
    tightened = ("ais_" if kind == "estimate" else "") + ("elbo" if k == 1 else f"iw{k}")
    which = "exact" if kind == "exact" else bound or tightened
    suffix = count_suffix(n, total)
    bits = "bpc" if unit == "character" else "bpd"
    return f"nll_{which}{suffix}", f"{bits}_{which}{suffix}"


def random_subset(total: int, n: int, seed: int = 0) -> Tensor:
    """Indices of n of `total` images drawn without replacement, in ascending order.

    Never the first n: those of MNIST's test set are easier, by 1.7 nats for one and the same VAE.
    """
    if not 0 < n <= total:
        raise DataError(f"n={n}: a subset needs between 1 and {total} images")
    generator = torch.Generator().manual_seed(key(seed, "subset", total))
    return torch.randperm(total, generator=generator)[:n].sort().values


def log_probs(
    likelihood: Likelihood,
    *,
    k: int = 1,
    n: int | None = None,
    batch: int = 500,
    seed: int = 0,
    device: torch.device | str = "cpu",
    advance: Callable[[int], object] | None = None,
) -> Tensor:
    """Nats of each image of a seeded random subset (or all), float64 on the CPU.

    Args:
        likelihood: Model and data.
        k: Importance samples an image, for a bound.
        n: How many images; all if None, or if there are fewer.
        batch: Most images in a call.
        seed: Seed of the subset and of the model's own randomness.
        device: Where the model is.
        advance: Called with the number of images done after each call.

    Raises:
        DataError: No images, or a model that returns something else than one number an image.
    """
    total = len(likelihood.x)
    index = random_subset(total, total if n is None else min(n, total), seed)
    generator = torch.Generator(device).manual_seed(key(seed, "likelihood"))
    size = batch if likelihood.kind == "exact" else max(1, min(batch, BUDGET // k))
    found = []
    with torch.no_grad():
        for part in index.split(size):
            x = likelihood.x[part].to(device)
            y = None if likelihood.y is None else likelihood.y[part].to(device)
            values = likelihood.log_prob(x, y, k, generator)
            if values.shape != (len(part),):
                raise DataError(
                    f"log_prob of {len(part)} images returned shape {tuple(values.shape)}, "
                    f"expected ({len(part)},)"
                )
            found.append(values.to("cpu", torch.float64))
            if advance is not None:
                advance(len(part))
    return torch.cat(found)


def bootstrap(
    values: Tensor, *, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron 1979): what another test set would give.

    Args:
        values: One number an image, ``(n,)``.
        level: Probability that the interval holds.
        resamples: How many times n values are drawn with replacement.
        seed: Seed of the draws.
    """
    draw = np.random.default_rng(seed)
    x = values.double().numpy()
    means = [x[draw.integers(0, len(x), len(x))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
