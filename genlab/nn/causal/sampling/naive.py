"""Naive sampling: a whole forward pass of the network for each pixel.

The definition, against which the engines are tested, and hundreds of times slower.
"""

import torch
from torch import Tensor, nn

from genlab.nn.causal.fold import Fold
from genlab.nn.heads.base import Head
from genlab.nn.scaling import to_signed

__all__ = ["fill_naively"]


@torch.inference_mode()
def fill_naively(
    x: Tensor,
    u: Tensor,
    network: nn.Module,
    head: Head,
    fold: Fold,
    context: Tensor | None = None,
    *,
    known: int = 0,
    temperature: float = 1.0,
    params: Tensor | None = None,
) -> Tensor:
    """Draws all pixels but the first ones; see `genlab.nn.causal.sampling.filling.fill`."""
    width = x.shape[3]
    for pixel in range(known, x.shape[2] * width):
        row, column = divmod(pixel, width)
        here = slice(row, row + 1), slice(column, column + 1)
        for color in range(fold.ordered):  # each color sees those before it
            seen = fold.sites(to_signed(x, head.levels))
            found = fold.pixels(network(seen, context))[:, :, *here]
            value = head.quantile(found, u[:, :, *here], temperature)
            colors = slice(color, color + 1) if fold.ordered > 1 else slice(None)
            x[:, colors, *here] = value[:, colors]
        if params is not None:
            params[:, :, *here] = found
    return x
