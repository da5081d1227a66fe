"""The extractor without a network: the pixels themselves, averaged down where there are many."""

import hashlib

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from genlab.errors import DataError
from genlab.metrics.extractors.base import Features

__all__ = ["PixelsExtractor"]


class PixelsExtractor:
    """Flattened pixels in [0, 1], averaged over square blocks until at most `limit` are left.

    Always there, for any image, and blind to everything but where the light is: a distance of
    pixels forgives blur and punishes a shift by one pixel.

    Args:
        channels: Channels of the images.
        height: Their height.
        width: Their width.
        limit: Largest number of features; 1024 keeps 28x28 gray whole and halves 32x32 RGB.

    Example:
        >>> PixelsExtractor(3, 32, 32).dim
        768
    """

    name = "pixels"
    classes = modes = 0
    batch = 1000

    def __init__(self, channels: int, height: int, width: int, limit: int = 1024):
        self.shape = (channels, height, width)
        self.block = 1
        while channels * (height // self.block) * (width // self.block) > limit:
            self.block += 1
        self.dim = channels * (height // self.block) * (width // self.block)
        blocks = f", averaged over {self.block}x{self.block} blocks" if self.block > 1 else ""
        self.preprocessing = f"{channels}x{height}x{width}, x / 255{blocks}"
        self.id = hashlib.sha256(self.preprocessing.encode()).hexdigest()

    def to(self, device: torch.device | str) -> "PixelsExtractor":
        return self

    def __call__(self, images: Tensor) -> Features:
        if images.shape[1:] != self.shape:
            raise DataError(
                f"extractor pixels: images of shape {tuple(images.shape[1:])}, "
                f"expected {self.shape}"
            )
        return Features(avg_pool2d(images.float() / 255, self.block).flatten(1))
