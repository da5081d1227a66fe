"""Complexity of an image: how long its PNG is, how much neighbours differ, how bright it is.

The likelihood of an image is mostly its complexity: simple images are likely under any model, so
that a model of clothes finds digits likelier than clothes (Nalisnick et al. 2019). What corrects
for it needs these numbers and no odd example.
"""

import io
import math

import torch
from PIL import Image
from torch import Tensor

__all__ = ["Residual", "picture_of", "png_nats", "statistics"]


def png_nats(images: Tensor) -> Tensor:
    """Length of each image's PNG file, in nats; 1 bit a pixel where it is black and white.

    Args:
        images: uint8 ``(n, C, H, W)``, values 0..255.

    Returns:
        float64 ``(n,)``.
    """
    found = []
    for image in images:
        file = io.BytesIO()
        picture_of(image).save(file, "PNG", optimize=True)
        found.append(file.tell())
    return torch.tensor(found, dtype=torch.float64) * 8 * math.log(2)


def picture_of(image: Tensor) -> Image.Image:
    """An image ``(C, H, W)`` as a picture: of 1 bit where it is black and white, gray or RGB."""
    if image.shape[0] == 3:
        return Image.fromarray(image.permute(1, 2, 0).numpy())
    picture = Image.fromarray(image[0].numpy())
    return picture.convert("1") if bool(((image == 0) | (image == 255)).all()) else picture


def statistics(images: Tensor) -> Tensor:
    """What an image's likelihood is regressed on: 1, variation, brightness, length of its PNG.

    Variation is the sum of the differences between neighbours, brightness that of all values, both
    with 255 as the unit: black-white transitions and white pixels of a binary image.

    Args:
        images: uint8 ``(n, C, H, W)``, values 0..255.

    Returns:
        float64 ``(n, 4)``.

    Example:
        >>> statistics(torch.tensor([[[[0, 255], [0, 255]]]], dtype=torch.uint8))[0, :3].tolist()
        [1.0, 2.0, 2.0]
    """
    x = images.double() / 255
    variation = x.diff(dim=2).abs().sum((1, 2, 3)) + x.diff(dim=3).abs().sum((1, 2, 3))
    brightness = x.sum((1, 2, 3))
    return torch.stack([torch.ones_like(variation), variation, brightness, png_nats(images)], 1)


class Residual:
    """What is left of a score once its regression on complexity is taken off.

    Args:
        complexity: `statistics` of normal images, ``(n, k)``.
        score: Their scores, ``(n,)``; at least as many as there are statistics.
    """

    def __init__(self, complexity: Tensor, score: Tensor):
        # Columns of one scale; where images do not differ in one, its weight is 0.
        self.scale = complexity.abs().amax(0).clamp_min(1e-12)
        solved = torch.linalg.lstsq(
            complexity / self.scale, score.double()[:, None], driver="gelsd"
        )
        self.weights = solved.solution[:, 0]

    def __call__(self, complexity: Tensor, score: Tensor) -> Tensor:
        """Scores less what complexity explains, float64 ``(m,)``."""
        return score.double() - complexity / self.scale @ self.weights
