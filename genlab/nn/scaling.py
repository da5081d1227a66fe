"""The one home of the scale: integers 0 .. levels - 1 to floats, and floats back to integers.

Both scales put the lowest level on the lower end and the highest on the upper end, so a round
trip gives back every integer, and a float beyond the ends becomes the end.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from genlab.types import Batch

__all__ = ["from_signed", "from_unit", "mean_and_spread", "to_signed", "to_unit"]


def to_unit(x: Tensor, levels: int) -> Tensor:
    """Integers ``0 .. levels - 1`` as floats of the default dtype in ``[0, 1]``.

    Example:
        >>> to_unit(torch.tensor([0, 51, 255], dtype=torch.uint8), 256)
        tensor([0.0000, 0.2000, 1.0000])
    """
    if x.is_floating_point():
        return x.to(torch.get_default_dtype()) / (levels - 1)
    unit = x.to(torch.get_default_dtype())  # a copy, to be changed in place: a pass less of memory
    return unit.div_(levels - 1) if levels > 2 else unit


def to_signed(x: Tensor, levels: int) -> Tensor:
    """Integers ``0 .. levels - 1`` as floats of the default dtype in ``[-1, 1]``.

    Example:
        >>> to_signed(torch.tensor([0, 1], dtype=torch.uint8), 2)
        tensor([-1.,  1.])
    """
    if x.is_floating_point():
        return x.to(torch.get_default_dtype()) * (2 / (levels - 1)) - 1
    return x.to(torch.get_default_dtype()).mul_(2 / (levels - 1)).sub_(1)


def from_unit(u: Tensor, levels: int) -> Tensor:
    """The nearest level, as uint8, of floats on the scale ``[0, 1]``; beyond it, the end.

    Example:
        >>> from_unit(torch.tensor([-3.0, 0.49, 0.51, 9.0]), 2)
        tensor([0, 0, 1, 1], dtype=torch.uint8)
    """
    return (u * (levels - 1)).round_().clamp_(0, levels - 1).to(torch.uint8)


def from_signed(s: Tensor, levels: int) -> Tensor:
    """The nearest level, as uint8, of floats on the scale ``[-1, 1]``; beyond it, the end."""
    return from_unit((s + 1) / 2, levels)


def mean_and_spread(batches: Iterable[Batch], levels: int) -> tuple[float, float]:
    """Mean and standard deviation, at least 0.01, of all pixels on the scale ``[-1, 1]``.

    Example:
        >>> mean_and_spread([Batch(torch.tensor([0, 1, 1, 0]))], 2)
        (0.0, 1.0)
    """
    count, total, squared = 0, 0.0, 0.0
    for batch in batches:
        x = to_signed(batch.x, levels).double()
        count += x.numel()
        total, squared = total + float(x.sum()), squared + float(x.square().sum())
    mean = total / count
    return mean, max(squared / count - mean**2, 1e-4) ** 0.5
