"""Monotone rational-quadratic splines."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.nn.flows.invertible import soft_clamp

__all__ = ["knots", "rational_quadratic", "rational_quadratic_inverse"]

SMALLEST_BIN = 5e-3
"""Smallest width and height of a bin, as a share of the interval."""
LOG_SLOPE = 3.0
"""Largest logarithm of a slope at a knot, and minus the smallest. With bins that are not all too
small, this keeps the spline invertible in float32: between steep ends of a low bin it is flat."""


class _AtBin(torch.autograd.Function):
    """Start and width of a bin, given the widths of all: gather and cumulative sum in one.

    Its gradient is two comparisons instead of a scatter and a reversed sum.
    """

    @staticmethod
    def forward(ctx: Any, widths: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        ends = widths.cumsum(1)
        ctx.save_for_backward(index)
        ctx.bins = widths.shape[1]
        width = widths.gather(1, index)
        return (ends.gather(1, index) - width).squeeze(1), width.squeeze(1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        start, width = grads
        (index,) = ctx.saved_tensors
        bins = torch.arange(ctx.bins, device=index.device).view(1, -1, *[1] * (index.dim() - 2))
        before, here = (bins < index).to(start.dtype), (bins == index).to(start.dtype)
        return before * start.unsqueeze(1) + here * width.unsqueeze(1), None


def knots(params: Tensor, bound: float) -> tuple[Tensor, Tensor, Tensor]:
    """Bins of a spline on ``[-bound, bound]`` from free parameters; all 0 is the identity.

    Args:
        params: ``(B, 3 K - 1, ...)``: K widths, K heights and K - 1 slopes, unnormalized.
        bound: Half the length of the interval.

    Returns:
        Widths and heights ``(B, K, ...)``, positive with sum ``2 bound``, and positive slopes at
        the inner knots ``(B, K - 1, ...)``.
    """
    bins = (params.shape[1] + 1) // 3
    widths, heights, slopes = params.split([bins, bins, bins - 1], 1)
    share = 1 - bins * SMALLEST_BIN
    return (
        2 * bound * (SMALLEST_BIN + share * widths.softmax(1)),
        2 * bound * (SMALLEST_BIN + share * heights.softmax(1)),
        soft_clamp(slopes, LOG_SLOPE).exp(),
    )


def _bin(v: Tensor, sizes: Tensor, bound: float) -> Tensor:
    """The bin that each number lies in, int64 ``(B, 1, ...)``."""
    inner = sizes.detach()[:, :-1].cumsum(1) - bound
    return (v.detach().unsqueeze(1) >= inner).sum(1, keepdim=True)


def _select(
    widths: Tensor, heights: Tensor, slopes: Tensor, index: Tensor, bound: float
) -> tuple[Tensor, ...]:
    left, width = _AtBin.apply(widths, index)
    bottom, height = _AtBin.apply(heights, index)
    ends = F.pad(slopes.flatten(2), (0, 0, 1, 1), value=1.0).unflatten(2, slopes.shape[2:])
    slope_left = ends.gather(1, index).squeeze(1)
    slope_right = ends.gather(1, index + 1).squeeze(1)
    return left - bound, width, bottom - bound, height, slope_left, slope_right


def rational_quadratic(
    x: Tensor, widths: Tensor, heights: Tensor, slopes: Tensor, bound: float
) -> tuple[Tensor, Tensor]:
    r"""A monotone rational-quadratic spline inside ``[-bound, bound]``, the identity outside.

    Durkan et al. 2019, "Neural Spline Flows", arXiv:1906.04032, equations 4 and 5, with linear
    tails of slope 1.

    Args:
        x: Numbers ``(B, ...)``.
        widths: Of the K bins, ``(B, K, ...)``, positive, with sum ``2 bound``.
        heights: Of the K bins, likewise.
        slopes: At the K - 1 inner knots, positive.
        bound: Half the length of the interval.

    Returns:
        The spline's values and the logarithms of its slope, both of x's shape.
    """
    inside = x.abs() < bound
    # Outside, any point of the interval stands in for x: it keeps the unused branch finite.
    v = x.clamp(-bound, bound)
    index = _bin(v, widths, bound)
    left, w, bottom, h, d0, d1 = _select(widths, heights, slopes, index, bound)
    t = ((v - left) / w).clamp(0, 1)
    s, u = h / w, t * (1 - t)
    denominator = s + (d1 + d0 - 2 * s) * u
    y = bottom + h * (s * t.square() + d0 * u) / denominator
    slope = d1 * t.square() + 2 * s * u + d0 * (1 - t).square()
    log_slope = 2 * s.log() + slope.log() - 2 * denominator.log()
    return torch.where(inside, y, x), torch.where(inside, log_slope, torch.zeros_like(x))


def rational_quadratic_inverse(
    y: Tensor, widths: Tensor, heights: Tensor, slopes: Tensor, bound: float
) -> Tensor:
    """The x that `rational_quadratic` maps to y, in closed form (equations 6 to 8)."""
    v = y.clamp(-bound, bound)
    index = _bin(v, heights, bound)
    left, w, bottom, h, d0, d1 = _select(widths, heights, slopes, index, bound)
    s, rise = h / w, v - bottom
    bend = rise * (d1 + d0 - 2 * s)
    a, b, c = h * (s - d0) + bend, h * d0 - bend, -s * rise
    root = (b.square() - 4 * a * c).clamp_min(0).sqrt()
    x = left + w * (2 * c / (-b - root)).clamp(0, 1)
    return torch.where(y.abs() < bound, x, y)
