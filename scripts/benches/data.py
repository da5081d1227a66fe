"""The images that every bench is run on: the bundled MNIST, in memory."""

import functools

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from genlab.data.mnist import Mnist
from genlab.types import ImageSpec

__all__ = ["SPEC", "mnist", "mnist32"]

SPEC = ImageSpec(1, 28, 28, 256, 10)


@functools.cache
def mnist() -> tuple[Tensor, Tensor]:
    """60,000 images, uint8 ``(N, 1, 28, 28)``, and their labels."""
    source = Mnist()
    source.prepare()
    x, y = source.load("train")
    assert y is not None
    return x, y


@functools.cache
def mnist32() -> Tensor:
    """The images at 32x32."""
    x = interpolate(mnist()[0].float(), size=(32, 32), mode="bilinear", antialias=True)
    return x.round().clamp(0, 255).to(torch.uint8)
