"""Likelihoods by an estimated partition function, and how far they can be trusted.

log Z by annealed importance sampling is too small on average, so ``nll_ais`` errs towards too good
a number. Beside it stand the effective number of chains, and ``nll_raise``, which errs towards too
bad a one. Where fewer than a tenth of the chains are effective nothing is known of the error, and
no interval is printed.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from genlab.metrics.base import Number
from genlab.metrics.keys import count_suffix
from genlab.metrics.likelihood import NATS, Likelihood, bits_per_dim, bootstrap, random_subset
from genlab.metrics.report import Value
from genlab.nn.energy.log_partition import LogPartition
from genlab.rng import key
from genlab.types import Batch

__all__ = ["EFFECTIVE", "LOG_Z", "REVERSED", "HasPartition", "estimate_values", "with_partition"]

LOG_Z = Number("log_z", None, "log of the partition function", "nats", shown=False)
EFFECTIVE = Number("ais_effective", "higher", "effective number of chains of AIS", shown=False)

REVERSED = 100
"""Images from which chains are led back."""


@runtime_checkable
class HasPartition(Protocol):
    """A model whose likelihood is known up to a partition function, which may be estimated."""

    @property
    def careful(self) -> bool:
        """True where it is exact, or was estimated with care for these very weights."""

    def partitions(self) -> list[LogPartition]:
        """log Z of each class, or of all."""

    def log_prob_reversed(self, batch: Batch, generator: torch.Generator | None) -> Tensor:
        """Nats ``(B,)`` by chains led back from the images."""


def with_partition(values: Sequence[Value], model: HasPartition, dims: int) -> list[Value]:
    """Nats and bits/dim, their intervals over images widened by that of log Z, or without any.

    Args:
        values: Nats and bits/dim with intervals over images.
        model: What they are of.
        dims: Number of sub-pixels.
    """
    partitions = model.partitions()
    if not (model.careful and all(p.trusted for p in partitions)):
        return [replace(value, low=None, high=None) for value in values]
    below = sum(p.log_z - p.low for p in partitions) / len(partitions)
    above = sum(p.high - p.log_z for p in partitions) / len(partitions)
    widened = []
    for value, unit in zip(values, (1.0, bits_per_dim(1.0, dims)), strict=True):
        assert value.low is not None
        assert value.high is not None
        # A larger Z is a worse likelihood.
        low, high = value.low - below * unit, value.high + above * unit
        widened.append(replace(value, low=low, high=high))
    return widened


def estimate_values(
    likelihood: Likelihood,
    model: HasPartition,
    index: Tensor,
    nats: Tensor,
    seed: int,
    device: torch.device | str = "cpu",
) -> list[Value]:
    """What stands beside an estimated likelihood: log Z, effective chains, and the other side.

    The other side is ``nll_raise`` of some of the images, and ``nll_ais`` of the same: the truth
    lies between. It is left out along the way, where log Z is a quick estimate.

    Args:
        likelihood: The images.
        model: The model.
        index: The images that were measured.
        nats: Their negative log-likelihoods, float64 ``(n,)``.
        seed: Seed of the subset and of the chains.
        device: Where the model is.
    """
    # log Z; of several classes the one of fewest effective chains
    partitions, split = model.partitions(), likelihood.split
    worst = min(partitions, key=lambda p: p.effective / p.chains)
    log_z = sum(p.log_z for p in partitions) / len(partitions)
    found = [
        Value(number.name, value, number.better, worst.chains, split, number=number)
        for number, value in ((LOG_Z, log_z), (EFFECTIVE, worst.effective))
    ]
    if not model.careful:
        return found
    # Chains led back from some of the images
    started = time.perf_counter()
    chosen = random_subset(len(index), min(REVERSED, len(index)), seed)
    part = index[chosen]
    x = likelihood.x[part].to(device)
    y = None if likelihood.y is None else likelihood.y[part].to(device)
    generator = torch.Generator(device).manual_seed(key(seed, "reversed"))
    back = -model.log_prob_reversed(Batch(x, y), generator).cpu().double()
    low, high = bootstrap(back, seed=seed)
    seconds = time.perf_counter() - started
    # Both sides, of the same images
    suffix = count_suffix(len(part), len(likelihood.x))
    name = "raise" if likelihood.bound == "ais" else "raise_elbo"
    raised = Value(f"nll_{name}{suffix}", float(back.mean()), "lower", len(part), split)
    found.append(replace(raised, low=low, high=high, seconds=seconds, number=NATS))
    if len(part) < len(index):
        same = replace(raised, key=f"nll_ais{suffix}", value=float(nats[chosen].mean()))
        found.append(replace(same, number=NATS))
    return found
