"""The small immutable records that every part of genlab shares."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

__all__ = ["Batch", "ImageSpec", "Loss"]


@dataclass(frozen=True)
class ImageSpec:
    """What the images of a data set look like: all that a model learns about its data up front.

    It is read off the data and handed to the model by the code, never repeated in YAML.

    Args:
        channels: Number of channels C.
        height: Height H in pixels.
        width: Width W in pixels.
        levels: Number of values a sub-pixel can take: 256 for 8-bit images, 2 for binary ones.
            Stored images hold the integers ``0 .. levels - 1`` as uint8.
        num_classes: Number of labels, 0 where the data has none.
    """

    channels: int
    height: int
    width: int
    levels: int = 256
    num_classes: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(C, H, W)``."""
        return (self.channels, self.height, self.width)

    @property
    def dims(self) -> int:
        """Number of real sub-pixels ``C * H * W``, the divisor of bits/dim."""
        return self.channels * self.height * self.width


class Batch(NamedTuple):
    """A batch of images.

    Args:
        x: Integers ``0 .. levels - 1``, uint8 of shape ``(B, C, H, W)``.
        y: Labels, int64 of shape ``(B,)``, or None where the data has none.
    """

    x: Tensor
    y: Tensor | None = None


class Loss(NamedTuple):
    """What a player minimizes.

    Args:
        total: The scalar to differentiate, a mean over the batch.
        parts: Detached scalars worth logging, by the field's names (``rate``, ``distortion``).
    """

    total: Tensor
    parts: dict[str, Tensor]
