"""Conditioner networks of couplings."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConvConditioner", "MLPConditioner", "make_conditioner"]

Shape = tuple[int, ...]


def _zero(layer: nn.Conv2d | nn.Linear) -> None:
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


class _Block(nn.Module):
    """Residual block ``x + f(x)``, f two pre-activated layers, the second of which starts at 0.

    So a deep network starts as a shallow one, and no normalization is needed to train it.
    """

    def __init__(self, first: nn.Conv2d | nn.Linear, second: nn.Conv2d | nn.Linear):
        super().__init__()
        self.first, self.second = first, second
        _zero(second)

    def forward(self, x: Tensor) -> Tensor:
        # In place, into x too, which nobody else holds: small networks are bound by memory.
        return x.add_(self.second(F.relu_(self.first(F.relu(x)))))


class ConvConditioner(nn.Module):
    """Conditioner of maps: residual 3x3 convolutions and a learned map of positions.

    The last layer starts at 0, so that a coupling starts as the identity. A learned map is added
    to the first hidden layer: digits lie in the middle, and convolutions alone do not know where
    that is.

    Args:
        shape: ``(C, H, W)`` of the input.
        out: Channels put out.
        width: Hidden channels.
        depth: Residual blocks.
        context: Length of a context vector, or channels of a context map, as `context_map` says.
        context_map: Whether the context is a map ``(B, context, H, W)``.
    """

    def __init__(
        self,
        shape: Shape,
        out: int,
        *,
        width: int,
        depth: int,
        context: int = 0,
        context_map: bool = False,
    ):
        super().__init__()
        channels, height, columns = shape
        self.context_map = context_map
        self.inlet = nn.Conv2d(channels + context * context_map, width, 3, padding=1)
        self.place = nn.Parameter(torch.zeros(width, height, columns))
        vector = context and not context_map
        self.context = nn.Linear(context, width, bias=False) if vector else None
        self.blocks = nn.Sequential(
            *(
                _Block(nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1))
                for _ in range(depth)
            )
        )
        self.outlet = nn.Conv2d(width, out, 1)
        _zero(self.outlet)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Parameters ``(B, out, H, W)`` of maps ``(B, C, H, W)``."""
        if context is not None and self.context_map:
            x = torch.cat([x, context], 1)
        h = self.inlet(x) + self.place
        if context is not None and self.context is not None:
            h = h + self.context(context)[:, :, None, None]
        return self.outlet(F.relu_(self.blocks(h)))


class MLPConditioner(nn.Module):
    """Conditioner of vectors: residual linear layers, the last of which starts at 0.

    Args:
        n: Length of the input.
        out: Length of the output.
        width: Hidden units.
        depth: Residual blocks.
        context: Length of a context vector.
    """

    def __init__(self, n: int, out: int, *, width: int, depth: int, context: int = 0):
        super().__init__()
        self.inlet = nn.Linear(n + context, width)
        self.blocks = nn.Sequential(
            *(_Block(nn.Linear(width, width), nn.Linear(width, width)) for _ in range(depth))
        )
        self.outlet = nn.Linear(width, out)
        _zero(self.outlet)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Parameters ``(B, out)`` of vectors ``(B, n)``."""
        x = x if context is None else torch.cat([x, context], 1)
        return self.outlet(F.relu_(self.blocks(self.inlet(x))))


def make_conditioner(
    shape: Shape,
    out: int,
    *,
    width: int,
    depth: int,
    context: int = 0,
    context_map: bool = False,
) -> nn.Module:
    """The conditioner of maps ``(C, H, W)`` or of vectors ``(D,)``; ``out`` counts channels."""
    if len(shape) == 1:
        return MLPConditioner(shape[0], out, width=width, depth=depth, context=context)
    return ConvConditioner(
        shape, out, width=width, depth=depth, context=context, context_map=context_map
    )
