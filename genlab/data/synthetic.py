"""Tiny images of bars and blobs, for tests, first steps and debugging."""

from typing import Literal

import torch
from torch import Tensor

from genlab.data.images import ImageData, Split, SplitName
from genlab.errors import ConfigError
from genlab.ranges import NonNegativeInt, PositiveInt, Range
from genlab.rng import stream
from genlab.types import ImageSpec

__all__ = ["Synthetic"]


class Synthetic(ImageData):
    """Bright bars or blobs on a dark, slightly noisy ground, made in milliseconds.

    The class is the place: of class k are the images with a bar on the k-th line (rows first,
    then columns) or a blob at the k-th place of a grid, modulo their number.

    Args:
        kind: "bars" (as long as the image) or "blobs".
        size: Height and width.
        channels: Number of channels; each has the same shape in another brightness. Without a
            modality of your own 1 or 3, which have a picture.
        levels: Number of values of a sub-pixel, 2 for binary images.
        classes: Number of classes, 0 for images without labels (of 10 kinds).
        n_train: Number of training images.
        n_test: Number of test images.
        seed: Decides the images.

    Raises:
        ConfigError: ``levels`` is not within 2 and 256.
    """

    name = "synthetic"

    def __init__(
        self,
        kind: Literal["bars", "blobs"] = "bars",
        size: PositiveInt = 8,
        channels: PositiveInt = 1,
        levels: PositiveInt = 256,
        classes: NonNegativeInt = 10,
        n_train: PositiveInt = 1024,
        n_test: PositiveInt = 256,
        seed: int = 0,
    ):
        if levels not in Range(low=2, high=256):
            raise ConfigError(f"data.levels={levels}: must be within 2 and 256")
        self.kind = kind
        self.size = size
        self.channels = channels
        self.levels = levels
        self.classes = classes
        self.n_train = n_train
        self.n_test = n_test
        self.seed = seed

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(self.channels, self.size, self.size, self.levels, self.classes)

    def load(self, split: SplitName) -> Split:
        n = self.n_train if split == "train" else self.n_test
        generator = stream(self.seed, f"synthetic {split}")
        y = torch.randint(self.classes or 10, (n,), generator=generator)
        light = self._shapes()[y][:, None]
        bright = 0.6 + 0.4 * torch.rand(n, self.channels, 1, 1, generator=generator)
        noise = 0.15 * torch.rand(n, self.channels, self.size, self.size, generator=generator)
        value = (light * bright).maximum(noise)
        x = (value * (self.levels - 1)).round().to(torch.uint8)
        return Split(x, y if self.classes else None)

    def _shapes(self) -> Tensor:
        """Image of each class without noise, ``(classes, size, size)`` within 0 and 1."""
        lines = torch.arange(self.size)
        shapes = []
        for k in range(self.classes or 10):
            if self.kind == "bars":
                down, at = (k // self.size) % 2 == 0, k % self.size
                line = (lines == at).float()
                shape = line[:, None].expand(-1, self.size) if down else line.expand(self.size, -1)
            else:
                row, column = ((k // 3) % 3 + 0.5) / 3, (k % 3 + 0.5) / 3
                rows = (lines + 0.5 - row * self.size)[:, None]
                columns = (lines + 0.5 - column * self.size)[None]
                shape = torch.exp(-(rows**2 + columns**2) / (2 * (self.size / 8) ** 2))
            shapes.append(shape)
        return torch.stack(shapes)
