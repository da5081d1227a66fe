"""Energy of a restricted Boltzmann machine and its conditionals, one product each."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.energy.units import VisibleUnits

__all__ = ["Biases", "RBMCore", "binary_states"]

STATES = 2**13
"""States enumerated at once."""


class Biases(NamedTuple):
    """Biases of units ``(V,)`` and ``(H,)``, or of each example ``(B, V)`` and ``(B, H)``."""

    visible: Tensor
    hidden: Tensor


class RBMCore(nn.Module):
    r"""``log p*(v) = base(v, b) + Σ_j softplus(c_j + (scaled(v) W)_j)``, the hidden summed out.

    Given labels, the biases are those of the class: b + b_y and c + c_y.

    Args:
        units: The visible units.
        visible: Number of them, V.
        hidden: Number of hidden units, H.
        num_classes: Classes with biases of their own, 0 for none.
    """

    def __init__(self, units: VisibleUnits, visible: int, hidden: int, num_classes: int = 0):
        super().__init__()
        self.units = units
        self.weight = nn.Parameter(0.01 * torch.randn(visible, hidden))
        self.visible_bias = nn.Parameter(torch.zeros(visible))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        if num_classes:
            self.visible_of_class = nn.Parameter(torch.zeros(num_classes, visible))
            self.hidden_of_class = nn.Parameter(torch.zeros(num_classes, hidden))

    def biases(self, y: Tensor | None = None) -> Biases:
        """The biases, for labels ``(B,)`` where there are classes."""
        if y is None:
            return Biases(self.visible_bias, self.hidden_bias)
        visible, hidden = self.visible_of_class[y], self.hidden_of_class[y]
        return Biases(self.visible_bias + visible, self.hidden_bias + hidden)

    def field(self, v: Tensor, biases: Biases) -> Tensor:
        """Log-odds of the hidden units ``(B, H)``."""
        return torch.addmm(biases.hidden, self.units.scaled(v), self.weight)

    def drive(self, h: Tensor) -> Tensor:
        """W h, what the hidden units tell the visible ones, ``(B, V)``."""
        return h @ self.weight.T

    def log_unnormalized(self, v: Tensor, biases: Biases, field: Tensor | None = None) -> Tensor:
        """log p*(v) ``(B,)``: minus the free energy."""
        field = self.field(v, biases) if field is None else field
        return self.units.base(v, biases.visible) + F.softplus(field).sum(1)

    def log_z_over_hidden(self, biases: Biases) -> Tensor:
        """log Z by enumeration of the 2^H hidden states, for one class; float64 ``()``."""
        total = []
        for h in binary_states(len(biases.hidden), self.weight):
            visible = self.units.log_normalizer(biases.visible, self.drive(h))
            total.append((h @ biases.hidden + visible).double().logsumexp(0))
        return torch.stack(total).logsumexp(0)

    def log_z_over_visible(self, biases: Biases) -> Tensor:
        """log Z by enumeration of the 2^V states of visible bits, for one class; float64 ``()``."""
        total = [
            self.log_unnormalized(v, biases).double().logsumexp(0)
            for v in binary_states(len(biases.visible), self.weight)
        ]
        return torch.stack(total).logsumexp(0)


def binary_states(n: int, like: Tensor) -> Iterator[Tensor]:
    """All states of n bits in portions ``(at most 8192, n)``.

    Args:
        n: Number of bits.
        like: Tensor whose dtype and device they have.

    Example:
        >>> next(binary_states(2, torch.zeros(1)))
        tensor([[0., 0.],
                [1., 0.],
                [0., 1.],
                [1., 1.]])
    """
    bits = torch.arange(n, device=like.device)
    for number in torch.arange(2**n, device=like.device).split(STATES):
        yield ((number[:, None] >> bits) & 1).to(like.dtype)
