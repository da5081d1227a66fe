"""What other programs make of the same images: the sizes that a model's file stands beside."""

import io
import lzma

from PIL import Image
from torch import Tensor

from genlab.applications.complexity import picture_of

__all__ = ["other_sizes"]


def other_sizes(images: Tensor) -> dict[str, int]:
    """Bytes of images under codecs without a model.

    Args:
        images: uint8 ``(n, C, H, W)``, 0..255.

    Returns:
        ``raw``: a byte a sub-pixel; ``png`` and ``webp``: a file an image, lossless; ``png sheet``:
        all in one picture; ``xz``: all bytes together, at its best.
    """
    x = images.permute(0, 2, 3, 1)
    sheet = x.flatten(0, 1).permute(2, 0, 1)[None]
    return {
        "raw": images.numel(),
        "png": sum(size(image, "PNG", optimize=True) for image in images),
        "webp": sum(size(image, "WEBP", lossless=True, quality=75) for image in images),
        "png sheet": size(sheet[0], "PNG", optimize=True),
        "xz": len(lzma.compress(x.contiguous().numpy().tobytes(), preset=9 | lzma.PRESET_EXTREME)),
    }


def size(image: Tensor, form: str, **options: object) -> int:
    """Bytes of an image's file; WebP has no gray."""
    picture: Image.Image = picture_of(image)
    if form == "WEBP":
        picture = picture.convert("RGB")
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.tell()
