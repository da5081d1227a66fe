"""Stacked MNIST: three digits as one colour image, 1000 modes to find or to miss.

Reference: Metz, Poole, Pfau and Sohl-Dickstein (2017), arXiv 1611.02163; with 128,000 images
and 26,000 samples as in Srivastava et al. (2017), arXiv 1705.07761, and Lin et al. (2018),
arXiv 1712.04086.
"""

import torch

from genlab.data.images import ImageData, Split, SplitName
from genlab.data.mnist import Mnist
from genlab.ranges import PositiveInt
from genlab.rng import stream
from genlab.types import ImageSpec

__all__ = ["StackedMnist"]


class StackedMnist(ImageData):
    """Three random digits as the red, green and blue of a 3x28x28 image.

    The label of the digits r, g and b is 100 r + 10 g + b, one of 1000. Training images are made
    of MNIST's training images only, test images of its test images.

    Args:
        n_train: Number of training images; 128,000 of them take 301 MB.
        n_test: Number of test images.
        seed: Decides which digits are stacked.
    """

    name = "stacked_mnist"

    def __init__(self, n_train: PositiveInt = 128_000, n_test: PositiveInt = 26_000, seed: int = 0):
        self.n_train = n_train
        self.n_test = n_test
        self.seed = seed
        self._digits = Mnist()

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(3, 28, 28, 256, 1000)

    def prepare(self, repair: bool = False) -> None:
        self._digits.prepare(repair)

    def load(self, split: SplitName) -> Split:
        digits = self._digits.load(split)
        assert digits.y is not None
        n = self.n_train if split == "train" else self.n_test
        generator = stream(self.seed, f"stacked mnist {split}")
        chosen = torch.randint(len(digits.x), (n, 3), generator=generator)
        y = digits.y[chosen] @ torch.tensor([100, 10, 1])
        return Split(digits.x[:, 0][chosen], y)

    def _digests(self) -> list[str]:
        # They and the seed decide the contents; hashing 365 MB at each start would not say more.
        return [*self._digits._digests(), str((self.n_train, self.n_test, self.seed))]
