"""Mixtures of Gaussians in the plane, whose modes can be counted.

Reference: the ring of 8 and the grid of 25 of Srivastava et al. (2017), arXiv 1705.07761, and
Lin et al. (2018), arXiv 1712.04086, quantized to 256 levels.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from genlab.data.images import ImageData, Split, SplitName
from genlab.errors import ConfigError
from genlab.ranges import PositiveFloat, PositiveInt
from genlab.rng import stream
from genlab.types import ImageSpec

__all__ = ["Gaussians"]

CENTRE = 127.5
EXTENT = 96.0
"""Radius of the ring, and half the side of the grid, in levels."""


class Gaussians(ImageData):
    """Points around the modes of a ring or a grid, as tiny images.

    As "points", an image is 1x1x2 and holds the coordinates x and y, quantized to 0..255. As
    "blobs", it is a black square with a white spot at the point, whose brightness-weighted mean
    gives it back. The label is the mode.

    Args:
        layout: 8 modes on a "ring", or 25 on a square "grid".
        form: "points" or "blobs".
        modes: Number of modes, a square number for a grid; 8 or 25 if None.
        std: Standard deviation of a mode, in levels of 0..255.
        size: Height and width of the images of blobs.
        n_train: Number of training images.
        n_test: Number of test images.
        seed: Decides the points.

    Raises:
        ConfigError: The modes do not make a square grid.
    """

    name = "gaussians"

    def __init__(
        self,
        layout: Literal["ring", "grid"] = "ring",
        form: Literal["points", "blobs"] = "points",
        modes: PositiveInt | None = None,
        std: PositiveFloat = 2.0,
        size: PositiveInt = 16,
        n_train: PositiveInt = 20_000,
        n_test: PositiveInt = 5_000,
        seed: int = 0,
    ):
        self.layout = layout
        self.form = form
        self.modes = modes or (8 if layout == "ring" else 25)
        side = math.isqrt(self.modes)
        if layout == "grid" and (side < 2 or side * side != self.modes):
            raise ConfigError(f"data.modes={self.modes}: a grid needs 4, 9, 16, 25, ... modes")
        self.std = std
        self.size = size
        self.n_train = n_train
        self.n_test = n_test
        self.seed = seed

    @property
    def spec(self) -> ImageSpec:
        if self.form == "points":
            return ImageSpec(1, 1, 2, 256, self.modes)
        return ImageSpec(1, self.size, self.size, 256, self.modes)

    @property
    def centres(self) -> Tensor:
        """The modes' coordinates x and y in levels, ``(modes, 2)``."""
        if self.layout == "ring":
            angle = torch.arange(self.modes) * (2 * math.pi / self.modes)
            return CENTRE + EXTENT * torch.stack([angle.cos(), angle.sin()], 1)
        ticks = torch.linspace(-EXTENT, EXTENT, math.isqrt(self.modes))
        return CENTRE + torch.cartesian_prod(ticks, ticks)

    def load(self, split: SplitName) -> Split:
        n = self.n_train if split == "train" else self.n_test
        generator = stream(self.seed, f"gaussians {split}")
        y = torch.randint(self.modes, (n,), generator=generator)
        points = self.centres[y] + self.std * torch.randn(n, 2, generator=generator)
        points = points.clamp(0, 255)
        if self.form == "points":
            return Split(points.round().to(torch.uint8).view(n, 1, 1, 2), y)
        return Split(self._blobs(points), y)

    def points(self, x: Tensor) -> Tensor:
        """The coordinates in levels that images stand for.

        Args:
            x: uint8 of shape ``(N, C, H, W)``, of the data or of a model's samples.

        Returns:
            Float of shape ``(N, 2)``; the centre for an image that is black all over.
        """
        if self.form == "points":
            return x.reshape(-1, 2).float()
        weight = x[:, 0].float()
        total = weight.sum((1, 2)).clamp_min(1e-6)
        at = self._axis(x.device)
        across = (weight.sum(1) @ at) / total
        down = (weight.sum(2) @ at) / total
        black = (weight.sum((1, 2)) == 0)[:, None]
        return torch.stack([across, down], 1).masked_fill(black, CENTRE)

    def assign(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest mode of each image, and its distance from it in standard deviations.

        Args:
            x: uint8 of shape ``(N, C, H, W)``, of the data or of a model's samples.

        Returns:
            int64 and float of shape ``(N,)``. By convention a mode counts as found if a sample
            lies within 3 standard deviations.
        """
        distance = torch.cdist(self.points(x), self.centres.to(x.device))
        nearest = distance.min(1)
        return nearest.indices, nearest.values / self.std

    def _axis(self, device: torch.device | str = "cpu") -> Tensor:
        """The coordinate in levels of each row and column; points stay clear of the border."""
        reach = CENTRE + EXTENT / 2
        return torch.linspace(CENTRE - reach, CENTRE + reach, self.size, device=device)

    def _blobs(self, points: Tensor) -> Tensor:
        at = self._axis()
        width = float(at[1] - at[0]) if self.size > 1 else 1.0
        across = torch.exp(-(((points[:, :1] - at) / width) ** 2) / 2)
        down = torch.exp(-(((points[:, 1:] - at) / width) ** 2) / 2)
        return (255 * down[:, :, None] * across[:, None, :]).round().to(torch.uint8)[:, None]
