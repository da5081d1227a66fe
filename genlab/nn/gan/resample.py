"""Bilinear resampling that can be differentiated twice on every device."""

import torch
from torch import Tensor

__all__ = ["resample"]


def mirrored(position: Tensor, size: int) -> Tensor:
    """Positions in pixels, thrown back by the outer edges of the first and last pixel."""
    folded = torch.remainder(position + 0.5, 2 * size)
    return (size - (folded - size).abs() - 0.5).clamp(0, size - 1)


def resample(x: Tensor, grid: Tensor) -> Tensor:
    """Values at points of images; beyond the border an image is mirrored.

    What ``grid_sample(x, grid, padding_mode="reflection", align_corners=False)`` gives. That has no
    second derivative on a GPU, which a gradient penalty of augmented images needs.

    Args:
        x: Images ``(B, C, H, W)``.
        grid: Points ``(B, H, W, 2)``, x before y, in units of half the sides from the centre. They
            get no gradient.
    """
    height, width = x.shape[2:]
    points = grid.detach().to(torch.float32)
    column = mirrored(((points[..., 0] + 1) * width - 1) / 2, width)
    row = mirrored(((points[..., 1] + 1) * height - 1) / 2, height)
    left, top = column.floor(), row.floor()
    right_share, low_share = column - left, row - top
    flat, out = x.flatten(2), torch.zeros_like(x).flatten(2)
    for low in (0, 1):
        for right in (0, 1):
            share = (low_share if low else 1 - low_share) * (
                right_share if right else 1 - right_share
            )
            # beyond the last pixel, where the share is 0, the last one is as good
            i = (top + low).clamp(max=height - 1).long()
            j = (left + right).clamp(max=width - 1).long()
            index = (i * width + j).flatten(1)[:, None].expand(-1, x.shape[1], -1)
            out = out + share.flatten(1)[:, None].to(x.dtype) * flat.gather(2, index)
    return out.view_as(x)
