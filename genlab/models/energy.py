"""Energy models: a known log p* and a log Z that is summed, or estimated and said to be."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from genlab.models.completing import Completing
from genlab.nn.energy.log_partition import LogPartition
from genlab.rng import stream
from genlab.types import Batch, ImageSpec

__all__ = ["EnergyModel"]

QUICK = 1000
"""Temperatures of the estimate along the way, of 100 chains: 8 CPU-seconds at 784 x 500."""

EXACT = LogPartition(0.0, 0.0, 0.0, 1.0, 1, 0)


class EnergyModel(Completing):
    """A model p(x | y) = p*(x | y) / Z(y).

    Z belongs to the weights: one that was estimated is kept beside a checksum of them, and counts
    for no other weights. `finish` estimates it with care and keeps it; until then, along the way,
    it is estimated quickly, once for each state of the weights.

    Args:
        spec: What the images look like.
        exact: Whether Z is the sum over all states.
        chains: Chains of an estimate, of each class.
        temperatures: Temperatures of the careful estimate.
        conditional: Model p(x | y).
    """

    log_z_table: Tensor
    log_z_weights: Tensor

    def __init__(
        self, spec: ImageSpec, exact: bool, chains: int, temperatures: int, conditional: bool
    ):
        super().__init__(spec, conditional)
        self.exact, self.ais_chains, self.ais_temperatures = exact, chains, temperatures
        self._quick: tuple[Tensor, list[LogPartition]] | None = None
        rows = max(self.num_classes, 1)
        self.register_buffer("log_z_table", torch.zeros(rows, 6, dtype=torch.float64))
        self.register_buffer("log_z_weights", torch.zeros(2, dtype=torch.float64))

    @abstractmethod
    def log_unnormalized(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """log p*(x | y) of discrete images ``(B,)``, or one draw of a bound of it."""

    @abstractmethod
    def sum_states(self) -> Tensor:
        """log Z of each class, or of all, exactly: float64 ``(C,)``."""

    @abstractmethod
    def anneal(self, steps: int, generator: torch.Generator) -> list[LogPartition]:
        """Estimates of log Z of each class, or of all."""

    @abstractmethod
    def log_prob_reversed(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Nats ``(B,)`` by chains led back from the images, a lower bound on average: RAISE."""

    def checksum(self) -> Tensor:
        """Two sums over all weights, which tell one state of them from another."""
        with torch.no_grad():
            flat = [p.double() for p in self.parameters()]
            total = torch.stack([p.sum() for p in flat]).sum()
            squares = torch.stack([p.square().sum() for p in flat]).sum()
        return torch.stack([total, squares])

    @property
    def careful(self) -> bool:
        """True where log Z is exact, or `finish` estimated it for these very weights."""
        now = self.checksum()
        return self.exact or torch.allclose(self.log_z_weights, now, rtol=1e-9, atol=0)

    def partitions(self) -> list[LogPartition]:
        """log Z of each class, or of all: exact, or the best estimate there is."""
        now = self.checksum()
        if torch.allclose(self.log_z_weights, now, rtol=1e-9, atol=0):
            return [as_partition(row) for row in self.log_z_table.tolist()]
        if self._quick is None or not torch.allclose(self._quick[0], now, rtol=1e-9, atol=0):
            self._quick = now, self.find_partitions(QUICK)
        return self._quick[1]

    def find_partitions(self, steps: int) -> list[LogPartition]:
        """log Z by enumeration, or by so many temperatures."""
        if self.exact:
            sums = self.sum_states().tolist()
            return [EXACT._replace(log_z=z, low=z, high=z) for z in sums]
        return self.anneal(steps, stream(0, "log Z", device=self.device))

    def finish(self, batches: Iterable[Batch]) -> None:
        """Estimates log Z with care, and keeps it with the weights."""
        found = self.find_partitions(self.ais_temperatures)
        self.log_z_table.copy_(torch.tensor(found, dtype=torch.float64))
        self.log_z_weights.copy_(self.checksum())

    @torch.no_grad()
    def log_prob(
        self, batch: Batch, *, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        """log p*(x | y) - log Z(y), nats ``(B,)``; of a bound, log of the mean of k draws."""
        y = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        log_z = torch.tensor([p.log_z for p in self.partitions()], dtype=torch.float64)
        given = Batch(batch.x, y)
        draws = samples if self.noisy else 1
        log_p = torch.stack([self.log_unnormalized(given, generator) for _ in range(draws)])
        total = log_p.double().logsumexp(0) - torch.tensor(float(draws)).log()
        return (total - log_z.to(total.device)[0 if y is None else y]).to(log_p.dtype)

    noisy: bool = False
    """True where `log_unnormalized` is a draw of a bound, whose mean over k is tighter."""


def as_partition(row: list[Any]) -> LogPartition:
    """A row of the table that is kept, as it was."""
    log_z, low, high, effective, chains, steps = row
    return LogPartition(log_z, low, high, effective, int(chains), int(steps))
