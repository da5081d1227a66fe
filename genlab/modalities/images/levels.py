"""The byte scale: integers below the number of levels to bytes, and the check of images."""

import torch
from torch import Tensor

from genlab.errors import DataError

__all__ = ["check_images", "from_bytes", "to_bytes"]


def to_bytes(x: Tensor, levels: int) -> Tensor:
    """Scales integers ``0 .. levels - 1`` to 0..255, for pictures and metrics; halves go up.

    Args:
        x: uint8 of any shape.
        levels: Number of values, 2 to 256.

    Returns:
        uint8 of the same shape.

    Example:
        >>> to_bytes(torch.tensor([0, 1, 2], dtype=torch.uint8), 3).tolist()
        [0, 128, 255]
    """
    if levels == 256:
        return x
    top = levels - 1
    return ((x.to(torch.int32) * 255 + top // 2) // top).to(torch.uint8)


def from_bytes(images: Tensor, levels: int) -> Tensor:
    """The nearest of so many levels to each byte: what `to_bytes` made bytes of, and any picture.

    Args:
        images: uint8 of any shape, 0..255.
        levels: Number of values, 2 to 256.

    Returns:
        uint8 of the same shape, ``0 .. levels - 1``.

    Example:
        >>> from_bytes(torch.tensor([0, 100, 128, 255], dtype=torch.uint8), 2).tolist()
        [0, 0, 1, 1]
    """
    if levels == 256:
        return images
    return ((images.to(torch.int32) * (levels - 1) + 127) // 255).to(torch.uint8)


def check_images(images: Tensor, name: str = "images") -> None:
    """Refuses what are not uint8 images of shape ``(n, C, H, W)``.

    Raises:
        DataError: Wrong dtype, number of dimensions or channels, or no images at all.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise DataError(
            f"{name}: expected uint8 of shape (n, channels, height, width) with values 0..255, "
            f"got {str(images.dtype).removeprefix('torch.')} of shape {tuple(images.shape)}"
        )
    if len(images) == 0:
        raise DataError(f"{name}: there are no images (n=0)")
    if images.shape[1] not in (1, 3):
        raise DataError(f"{name}: {images.shape[1]} channels; allowed are 1 (gray) and 3 (RGB)")
