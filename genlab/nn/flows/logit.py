"""Logit of the unit interval."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.nn.flows.invertible import Invertible, sum_except_batch

__all__ = ["Logit", "Stretch", "log_sigmoid_slope"]


class Logit(Invertible):
    """Logit ``logit(margin + (1 - 2 margin) y)`` of y in [0, 1] (Dinh et al. 2017, section 4.1).

    Args:
        margin: Keeps clear of the infinite ends, above 0 and below 1/2.
    """

    def __init__(self, margin: float):
        super().__init__()
        self.margin = margin

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `Invertible.forward`."""
        inner = 1 - 2 * self.margin
        # From the nearer end each, so that neither loses digits to the other.
        below = torch.log(self.margin + inner * x)
        above = torch.log(self.margin + inner * (1 - x))
        log_det = math.log(inner) * x[0].numel() - sum_except_batch(below + above)
        return below - above, log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As `Invertible.inverse`; beyond the ends of [0, 1] for what no y maps to."""
        return (torch.sigmoid(z) - self.margin) / (1 - 2 * self.margin)


class Stretch(Invertible):
    """Stretch ``2 y - 1`` of [0, 1] to [-1, 1]."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `Invertible.forward`."""
        return (2 * x).sub_(1), x.new_full((len(x),), math.log(2) * x[0].numel())

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As `Invertible.inverse`."""
        return (z + 1).mul_(0.5)

    def inverse_(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As `Invertible.inverse_`."""
        return z.add_(1).mul_(0.5)


def log_sigmoid_slope(v: Tensor) -> Tensor:
    """``log sigmoid'(v)``, which is also the log-density of the standard logistic."""
    return F.logsigmoid(v) + F.logsigmoid(-v)
