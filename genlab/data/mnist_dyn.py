"""Dynamically binarized MNIST, on which likelihoods of binary images are published.

Reference: Salakhutdinov and Murray (2008); Burda, Grosse and Salakhutdinov (2016),
arXiv 1509.00519, whose code draws anew at each access, at test, too.
"""

import torch
from torch import Tensor

from genlab.data.images import ImageData, Split, SplitName
from genlab.data.mnist import Mnist
from genlab.types import ImageSpec

__all__ = ["BinarizedMnist"]


class BinarizedMnist(ImageData):
    """MNIST with binary pixels, each 1 with probability pixel/255, drawn at each access.

    It is stored as it is; `resample` binarizes. Neither a fixed binarization nor a threshold: the
    three have different likelihoods and must not be compared.
    """

    name = "mnist_dyn"

    def __init__(self) -> None:
        self._grey = Mnist()

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(1, 28, 28, 2, 10)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._grey.class_names

    def prepare(self, repair: bool = False) -> None:
        self._grey.prepare(repair)

    def load(self, split: SplitName) -> Split:
        return self._grey.load(split)

    def resample(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        # P(u < x) = x / 255 exactly, as u is one of 0..254.
        u = torch.randint(0, 255, x.shape, dtype=torch.uint8, generator=generator, device=x.device)
        return (u < x).view(torch.uint8)

    def _digests(self) -> list[str]:
        return self._grey._digests()
