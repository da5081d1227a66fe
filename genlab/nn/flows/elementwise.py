"""Elementwise monotone functions: additive, affine and spline."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor

from genlab.nn.flows.invertible import soft_clamp, sum_except_batch
from genlab.nn.flows.spline import knots, rational_quadratic, rational_quadratic_inverse

__all__ = ["Additive", "Affine", "Elementwise", "ElementwiseName", "Spline", "make_elementwise"]

ElementwiseName = Literal["additive", "affine", "spline"]


class Elementwise(ABC):
    """Monotone function of each number; parameters that are all 0 give the identity.

    Attributes:
        size: P, the number of parameters of one number.
    """

    size: int

    @abstractmethod
    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Values ``(B, C, ...)`` and the log-determinant ``(B,)``; params ``(B, P, C, ...)``."""

    @abstractmethod
    def inverse(self, y: Tensor, params: Tensor) -> Tensor:
        """The x that `forward` maps to y."""

    def inverse_(self, y: Tensor, params: Tensor) -> None:
        """Puts what `forward` maps to y into y itself; without gradients."""
        y.copy_(self.inverse(y, params))


class Additive(Elementwise):
    """Additive function ``x + shift``: volume-preserving (Dinh et al. 2015, NICE)."""

    size = 1

    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """As `Elementwise.forward`; the volume stays."""
        return x + params.squeeze(1), x.new_zeros(len(x))

    def inverse(self, y: Tensor, params: Tensor) -> Tensor:
        """As `Elementwise.inverse`."""
        return y - params[:, 0]

    def inverse_(self, y: Tensor, params: Tensor) -> None:
        """As `Elementwise.inverse_`."""
        y.sub_(params[:, 0])


class Affine(Elementwise):
    """Affine function ``x exp(log_scale) + shift`` with the log-scale inside ``[-limit, limit]``.

    An unbounded scale is what lets inverses of trained flows overflow.
    """

    size = 2

    def __init__(self, limit: float = 2.0):
        self.limit = limit

    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """As `Elementwise.forward`."""
        shift, raw = params.unbind(1)  # whose gradients are put together at once
        log_scale = soft_clamp(raw, self.limit)
        return torch.addcmul(shift, x, log_scale.exp()), sum_except_batch(log_scale)

    def inverse(self, y: Tensor, params: Tensor) -> Tensor:
        """As `Elementwise.inverse`."""
        return (y - params[:, 0]) * soft_clamp(params[:, 1], self.limit).neg().exp()

    def inverse_(self, y: Tensor, params: Tensor) -> None:
        """As `Elementwise.inverse_`."""
        log_scale = params[:, 1].mul(-2 / self.limit).sigmoid_()  # as `soft_clamp`, negated
        log_scale.mul_(2 * self.limit).sub_(self.limit)
        y.sub_(params[:, 0]).mul_(log_scale.exp_())


class Spline(Elementwise):
    """Rational-quadratic spline after a shift and a scale; its tails are the identity.

    Args:
        bins: K, of the spline.
        bound: The spline covers ``[-bound, bound]``.
        limit: Of the log-scale.
    """

    def __init__(self, bins: int = 8, bound: float = 4.0, limit: float = 2.0):
        self.affine, self.bound = Affine(limit), bound
        self.size = self.affine.size + 3 * bins - 1

    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """As `Elementwise.forward`."""
        x, log_det = self.affine.forward(x, params[:, : self.affine.size])
        y, log_slope = rational_quadratic(x, *self._knots(params), self.bound)
        return y, log_det + sum_except_batch(log_slope)

    def inverse(self, y: Tensor, params: Tensor) -> Tensor:
        """As `Elementwise.inverse`."""
        x = rational_quadratic_inverse(y, *self._knots(params), self.bound)
        return self.affine.inverse(x, params[:, : self.affine.size])

    def _knots(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return knots(params[:, self.affine.size :], self.bound)


def make_elementwise(name: ElementwiseName, *, bins: int = 8) -> Elementwise:
    """The function that a coupling's YAML names."""
    if name == "additive":
        return Additive()
    return Affine() if name == "affine" else Spline(bins)
