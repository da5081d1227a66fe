"""Differentiable augmentation (DiffAugment)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

__all__ = ["DiffAugment", "DiffAugmentName", "brighten", "contrast", "cutout", "saturate", "shift"]

DiffAugmentName = Literal["color", "translation", "cutout"]


def brighten(x: Tensor, by: Tensor) -> Tensor:
    """Adds a number ``(B,)`` to all pixels of each image."""
    return x + by[:, None, None, None]


def saturate(x: Tensor, factor: Tensor) -> Tensor:
    """Scales each image's distance from its grey image, the mean of its channels."""
    mean = x.mean(1, keepdim=True)
    return mean + (x - mean) * factor[:, None, None, None]


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Scales each image's distance from its mean over all pixels and channels."""
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * factor[:, None, None, None]


def shift(x: Tensor, down: Tensor, right: Tensor, fill: float) -> Tensor:
    """Moves each image by whole pixels ``(B,)`` each way; what is uncovered gets the fill value."""
    b, _, height, width = x.shape
    rows = torch.arange(height, device=x.device) - down[:, None] + 1
    columns = torch.arange(width, device=x.device) - right[:, None] + 1
    padded = pad(x, (1, 1, 1, 1), value=fill)
    rows, columns = rows.clamp(0, height + 1), columns.clamp(0, width + 1)
    image = torch.arange(b, device=x.device)[:, None, None]
    return padded.movedim(1, -1)[image, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def cutout(x: Tensor, top: Tensor, left: Tensor, size: tuple[int, int], fill: float) -> Tensor:
    """Fills a rectangle of each image; its upper left corner ``(B,)`` may lie outside."""
    rows = torch.arange(x.shape[2], device=x.device) - top[:, None]
    columns = torch.arange(x.shape[3], device=x.device) - left[:, None]
    inside = ((rows >= 0) & (rows < size[0]))[:, None, :, None]
    inside = inside & ((columns >= 0) & (columns < size[1]))[:, None, None, :]
    return x.masked_fill(inside, fill)


class DiffAugment(nn.Module):
    """Random changes of colour and position, the same kind for real and generated images.

    Zhao et al. 2020, arXiv:2006.10738, section 4: ``color`` is brightness by up to half the unit
    range, saturation by a factor from 0 to 2 and contrast by one from 0.5 to 1.5; ``translation``
    by up to an eighth of each side; ``cutout`` of a square of half the sides. Images are on
    [-1, 1], and what is uncovered becomes ``fill``: the published 0 is middle grey.

    Args:
        policy: The kinds, in this order.
        fill: Value of uncovered pixels.
    """

    def __init__(
        self,
        policy: Sequence[DiffAugmentName] = ("color", "translation", "cutout"),
        fill: float = 0.0,
    ):
        super().__init__()
        self.policy, self.fill = tuple(policy), fill

    def forward(self, x: Tensor) -> Tensor:
        """Changed images, of the shape of x ``(B, C, H, W)``."""
        for name in self.policy:
            x = getattr(self, f"_{name}")(x)
        return x

    def _color(self, x: Tensor) -> Tensor:
        b, device = len(x), x.device
        x = brighten(x, torch.rand(b, device=device) - 0.5)
        if x.shape[1] > 1:
            x = saturate(x, 2 * torch.rand(b, device=device))
        return contrast(x, torch.rand(b, device=device) + 0.5)

    def _translation(self, x: Tensor) -> Tensor:
        down, right = (
            torch.randint(-most, most + 1, (len(x),), device=x.device)
            for most in (int(side / 8 + 0.5) for side in x.shape[2:])
        )
        return shift(x, down, right, self.fill)

    def _cutout(self, x: Tensor) -> Tensor:
        size = (int(x.shape[2] / 2 + 0.5), int(x.shape[3] / 2 + 0.5))
        top, left = (
            torch.randint(0, side + 1 - cut % 2, (len(x),), device=x.device) - cut // 2
            for side, cut in zip(x.shape[2:], size, strict=True)
        )
        return cutout(x, top, left, size, self.fill)
