"""A restricted Boltzmann machine on the way from independent units to itself."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.nn.energy.rbm_core import Biases, RBMCore
from genlab.nn.energy.units import coin

__all__ = ["TemperedRBM"]


class TemperedRBM:
    r"""The family ``log p*_β(v) = base(v, (1-β) a + β b) + Σ_j softplus(β (c + scaled(v) W)_j)``.

    At 0 it is independent visible units of biases a, the data's base rates, and its log Z is known;
    at 1 it is the machine (Salakhutdinov and Murray 2008). Moves draw h, then v: one product each,
    and the hidden units' log-odds of the new v serve its weights and its next move alike.

    Args:
        core: The machine.
        start: Biases a of the independent units, ``(V,)`` or one of each chain ``(N, V)``.
        biases: The machine's, of all chains or one of each.
    """

    def __init__(self, core: RBMCore, start: Tensor, biases: Biases):
        self.core, self.start, self.biases = core, start, biases

    def visible_bias(self, beta: float) -> Tensor:
        """Biases of the visible units at β."""
        return torch.lerp(self.start, self.biases.visible, beta)

    def field(self, v: Tensor) -> Tensor:
        """Log-odds of the hidden units at β = 1."""
        return self.core.field(v, self.biases)

    def log_density(self, v: Tensor, field: Tensor, beta: float) -> Tensor:
        """log p*_β(v), ``(N,)``."""
        return self.core.units.base(v, self.visible_bias(beta)) + F.softplus(beta * field).sum(1)

    def change(self, v: Tensor, field: Tensor, low: float, high: float) -> Tensor:
        """log p*_high(v) - log p*_low(v), float64 ``(N,)``."""
        units = self.core.units
        visible = units.base(v, self.visible_bias(high)) - units.base(v, self.visible_bias(low))
        hidden = F.softplus(high * field) - F.softplus(low * field)
        return (visible + hidden.sum(1)).double()

    def sweep(self, field: Tensor, beta: float, generator: torch.Generator | None = None) -> Tensor:
        """New v of the chains whose hidden units have these log-odds, at β."""
        h = coin((beta * field).sigmoid_(), generator)
        return self.core.units.sample(self.visible_bias(beta), beta * self.core.drive(h), generator)

    def begin(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n exact draws at β = 0."""
        start = self.start.expand(n, -1)
        return self.core.units.sample(start, torch.zeros_like(start), generator)

    def log_z0(self) -> Tensor:
        """log Z at β = 0, exactly: float64, ``()`` or one of each chain."""
        hidden = self.core.weight.shape[1] * math.log(2)
        return self.core.units.log_normalizer(self.start).double() + hidden
