"""Batched augmentation of uint8 images.

A transform draws its parameters and applies them in two steps: so the parameters of a whole batch
can be drawn on any process and applied to the share of it that this process trains on, and a test
can apply given parameters.
"""

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.errors import ConfigError
from genlab.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, Probability

__all__ = ["Affine", "Flip", "PadCrop", "Transform"]


class Transform(ABC):
    """A random change of images that keeps their shape."""

    @abstractmethod
    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Parameters for n images, ``(n, ...)``, drawn on the CPU."""

    @abstractmethod
    def apply(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Images changed by the parameters.

        Args:
            x: uint8 ``(n, C, H, W)`` on any device.
            parameters: What `draw` gave for these images.

        Returns:
            uint8 ``(n, C, H, W)``.
        """

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Draws and applies."""
        return self.apply(x, self.draw(len(x), generator))


class Flip(Transform):
    """Mirrors images, left to right or top to bottom.

    Args:
        p: Probability for each image.
        vertical: Top to bottom instead of left to right.
    """

    def __init__(self, p: Probability = 0.5, vertical: bool = False):
        self.p = p
        self.dim = -2 if vertical else -1

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.rand(n, generator=generator) < self.p

    def apply(self, x: Tensor, parameters: Tensor) -> Tensor:
        mirrored = parameters.to(x.device)[:, None, None, None]
        return torch.where(mirrored, x.flip(self.dim), x)


class PadCrop(Transform):
    """Pads images on all sides and cuts a random window of the old size.

    Args:
        padding: Pixels on each side.
        mode: What the border is filled with: 0, the mirrored image, or its last pixels.
    """

    def __init__(
        self,
        padding: PositiveInt = 4,
        mode: Literal["constant", "reflect", "edge"] = "constant",
    ):
        self.padding = padding
        self.mode = mode

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randint(2 * self.padding + 1, (n, 2), generator=generator)

    def apply(self, x: Tensor, parameters: Tensor) -> Tensor:
        """The parameters are the window's top and left corner in the padded image."""
        n, _, height, width = x.shape
        if self.mode == "reflect" and self.padding >= min(height, width):
            raise ConfigError(
                f"data.augment: a padding of {self.padding} by reflection needs larger images "
                f"than {height}x{width}"
            )
        start = parameters.to(x.device) - self.padding
        rows = start[:, :1] + torch.arange(height, device=x.device)
        columns = start[:, 1:] + torch.arange(width, device=x.device)
        inside = torch.ones((), dtype=torch.bool, device=x.device)
        if self.mode == "constant":
            valid_rows = (rows >= 0) & (rows < height)
            valid_columns = (columns >= 0) & (columns < width)
            inside = valid_rows[:, None, :, None] & valid_columns[:, None, None, :]
        rows, columns = self._within(rows, height), self._within(columns, width)
        each = torch.arange(n, device=x.device)[:, None, None]
        # Advanced indices on both sides of a slice: the channels come last.
        window = x[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        return (window * inside).to(torch.uint8).contiguous()

    def _within(self, index: Tensor, size: int) -> Tensor:
        """Indices moved into the image by the mode of padding."""
        if self.mode == "reflect":
            index = index.abs()
            return size - 1 - (size - 1 - index).abs()
        return index.clamp(0, size - 1)


class Affine(Transform):
    """Rotates, shifts, scales and shears images about their centre, bilinearly; 0 beyond the edge.

    The conventions are those of torchvision's functional ``affine``.

    Args:
        degrees: Rotation within plus or minus this, counted clockwise.
        translate: Shift within plus or minus this share of the height and width.
        scale: Factor of size, from and to.
        shear: Shear along x within plus or minus this, in degrees.

    Raises:
        ConfigError: The scales are not in order.
    """

    def __init__(
        self,
        degrees: NonNegativeFloat = 10.0,
        translate: Probability = 0.1,
        scale: tuple[PositiveFloat, PositiveFloat] = (1.0, 1.0),
        shear: NonNegativeFloat = 0.0,
    ):
        if not 0 < scale[0] <= scale[1]:
            raise ConfigError(f"data.augment.affine.scale={list(scale)}: must be [small, large]")
        self.degrees = degrees
        self.translate = translate
        self.scale = scale
        self.shear = shear

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Rotation in degrees, shift in x and in y as shares, scale, shear in degrees."""
        u = 2 * torch.rand(n, 5, generator=generator) - 1
        low, high = math.log(self.scale[0]), math.log(self.scale[1])
        scale = torch.exp(low + (high - low) * (u[:, 3] + 1) / 2)
        return torch.stack(
            [
                u[:, 0] * self.degrees,
                u[:, 1] * self.translate,
                u[:, 2] * self.translate,
                scale,
                u[:, 4] * self.shear,
            ],
            1,
        )

    def apply(self, x: Tensor, parameters: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        matrix = self.inverse(parameters.to(x.device), height, width)
        # Pixel centres about the image's centre, in pixels.
        across = torch.arange(width, device=x.device) - (width - 1) / 2
        down = torch.arange(height, device=x.device) - (height - 1) / 2
        grid = torch.stack(
            [
                across.expand(height, width),
                down[:, None].expand(height, width),
                torch.ones(height, width, device=x.device),
            ],
            -1,
        )
        source = torch.einsum("hwk,njk->nhwj", grid, matrix)
        source = source / torch.tensor([width / 2, height / 2], device=x.device)
        moved = F.grid_sample(
            x.float(), source, mode="bilinear", padding_mode="zeros", align_corners=False
        )
        return moved.round_().to(torch.uint8)

    def inverse(self, parameters: Tensor, height: int, width: int) -> Tensor:
        """Inverse maps, from a pixel of the result to its source, ``(n, 2, 3)``, in pixels.

        The forward map is: shear, rotate, scale, shift.
        """
        angle, right, down, scale, shear = parameters.unbind(1)
        angle, shear = angle.deg2rad(), shear.deg2rad()
        cos, sin, tan = angle.cos(), angle.sin(), shear.tan()
        # Rotation times shear [[1, -tan], [0, 1]], inverted by hand: its determinant is 1.
        a, b = cos, -cos * tan - sin
        c, d = sin, -sin * tan + cos
        linear = torch.stack([torch.stack([d, -b], 1), torch.stack([-c, a], 1)], 1)
        linear = linear / scale[:, None, None]
        # torchvision shifts by whole pixels.
        shift = torch.stack([(right * width).round(), (down * height).round()], 1)
        return torch.cat([linear, -(linear @ shift[:, :, None])], 2)
