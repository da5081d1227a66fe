"""Visible units of a restricted Boltzmann machine: bits, and real numbers under a Gaussian."""

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.row_streams import normal, uniform

__all__ = ["BernoulliUnits", "GaussianUnits", "VisibleUnits", "coin", "dot"]


def coin(p: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Bits that are 1 with probabilities p: a third of the time of `torch.bernoulli` on a CPU."""
    return (uniform(p.shape, generator, device=p.device) < p).to(p.dtype)


def dot(v: Tensor, bias: Tensor) -> Tensor:
    """Inner products ``(B,)`` of rows with one bias ``(V,)``, or with one each ``(B, V)``."""
    return v @ bias if bias.dim() == 1 else (v * bias).sum(1)


class VisibleUnits(nn.Module, ABC):
    """Units v with ``log p*(v | h) = base(v, bias) + scaled(v)·(W h)``."""

    @abstractmethod
    def base(self, v: Tensor, bias: Tensor) -> Tensor:
        """Unnormalized log-density of units without connections, ``(B,)``."""

    @abstractmethod
    def log_normalizer(self, bias: Tensor, drive: Tensor | None = None) -> Tensor:
        """log of the integral over v of exp(base(v, bias) + scaled(v)·drive), summed over units.

        Args:
            bias: ``(..., V)``.
            drive: W h, ``(..., V)``; 0 if None.
        """

    @abstractmethod
    def scaled(self, v: Tensor) -> Tensor:
        """What the weights see of v."""

    @abstractmethod
    def sample(
        self, bias: Tensor, drive: Tensor, generator: torch.Generator | None = None, beta: float = 1
    ) -> Tensor:
        """Draws v; of ``p^beta`` where beta is not 1 (bias and drive are those of p)."""

    @abstractmethod
    def mean(self, bias: Tensor, drive: Tensor) -> Tensor:
        """Mean of v."""

    @abstractmethod
    def pull(self, v: Tensor, bias: Tensor) -> Tensor:
        """Derivative of `base` by the bias, ``(B, V)``, but for what does not depend on v."""


class BernoulliUnits(VisibleUnits):
    """Bits 0 and 1; the bias is their log-odds.

    Example:
        >>> BernoulliUnits().log_normalizer(torch.zeros(3))  # three bits, eight states
        tensor(2.0794)
    """

    def base(self, v: Tensor, bias: Tensor) -> Tensor:
        return dot(v, bias)

    def log_normalizer(self, bias: Tensor, drive: Tensor | None = None) -> Tensor:
        return F.softplus(bias if drive is None else bias + drive).sum(-1)

    def scaled(self, v: Tensor) -> Tensor:
        return v

    def sample(
        self, bias: Tensor, drive: Tensor, generator: torch.Generator | None = None, beta: float = 1
    ) -> Tensor:
        odds = bias + drive
        return coin((odds if beta == 1 else odds * beta).sigmoid_(), generator)

    def mean(self, bias: Tensor, drive: Tensor) -> Tensor:
        return (bias + drive).sigmoid()

    def pull(self, v: Tensor, bias: Tensor) -> Tensor:
        return v


class GaussianUnits(VisibleUnits):
    """Real numbers of one learned standard deviation s: E = |v - b|² / 2s² - (v / s²) W h - c h."""

    def __init__(self) -> None:
        super().__init__()
        self.log_std = nn.Parameter(torch.zeros(()))

    @property
    def variance(self) -> Tensor:
        """s²."""
        return (2 * self.log_std).exp()

    def base(self, v: Tensor, bias: Tensor) -> Tensor:
        return -(v - bias).square().sum(1) / (2 * self.variance)

    def log_normalizer(self, bias: Tensor, drive: Tensor | None = None) -> Tensor:
        total = bias.shape[-1] * (self.log_std + 0.5 * math.log(2 * math.pi))
        if drive is None:
            return total.expand(bias.shape[:-1])
        return total + ((bias * drive).sum(-1) + 0.5 * drive.square().sum(-1)) / self.variance

    def scaled(self, v: Tensor) -> Tensor:
        return v / self.variance

    def sample(
        self, bias: Tensor, drive: Tensor, generator: torch.Generator | None = None, beta: float = 1
    ) -> Tensor:
        noise = normal(drive.shape, generator, device=drive.device, dtype=drive.dtype)
        return bias + drive + noise * (self.log_std.exp() / math.sqrt(beta))

    def mean(self, bias: Tensor, drive: Tensor) -> Tensor:
        return bias + drive

    def pull(self, v: Tensor, bias: Tensor) -> Tensor:
        return v / self.variance
