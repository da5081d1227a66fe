"""Guidance of a denoiser towards a label."""

from collections.abc import Callable

import torch
from torch import Tensor

from genlab.nn.diffusion.solvers import Denoise

__all__ = ["guided"]


def guided(
    denoise: Callable[[Tensor, float, Tensor], Tensor], context: Tensor, guidance: float
) -> Denoise:
    """The denoiser ``D_null + guidance (D_label - D_null)`` (Ho and Salimans 2022).

    Args:
        denoise: ``(z, r, context) -> D(z)``; a context of zeros is that of no label.
        context: Vectors of the labels ``(B, K)``.
        guidance: 1 for the conditional denoiser itself, at one evaluation; any other value takes
            two, in one batch of twice the size.
    """
    if guidance == 1:
        return lambda z, r: denoise(z, r, context)
    both = torch.cat([context, torch.zeros_like(context)])

    def extrapolated(z: Tensor, r: float) -> Tensor:
        d, null = denoise(torch.cat([z, z]), r, both).chunk(2)
        return torch.lerp(null, d, guidance)

    return extrapolated
