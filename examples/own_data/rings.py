"""A data set of your own: rings of two sizes, made on the spot.

    cd examples/own_data
    genlab data show rings --config-dir conf trust=[rings]
    genlab train --config-dir conf trust=[rings] data=rings model=cvae trainer.epochs=20 name=rings
    genlab sample run=rings trust=[rings] label=large n=16

A class that says what an example looks like and loads two splits; all families, metrics and
commands take it from there. Half a minute.
"""

import torch

from genlab.data.images import ImageData, Split, SplitName
from genlab.ranges import PositiveInt
from genlab.rng import stream
from genlab.types import ImageSpec

__all__ = ["Rings"]


class Rings(ImageData):
    """Rings at random places; the class is their size.

    Args:
        size: Height and width of an image.
        n_train: Training images.
        n_test: Test images.
        seed: Decides the images.
    """

    name = "rings"

    def __init__(
        self,
        size: PositiveInt = 16,
        n_train: PositiveInt = 2000,
        n_test: PositiveInt = 500,
        seed: int = 0,
    ):
        self.size, self.seed = size, seed
        self.n = {"train": n_train, "test": n_test}

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(1, self.size, self.size, num_classes=2)

    @property
    def class_names(self) -> tuple[str, ...]:
        return ("small", "large")

    def load(self, split: SplitName) -> Split:
        """All images of a split; a stream of its own makes them the same each time."""
        draw, n = stream(self.seed, f"rings {split}"), self.n[split]
        y = torch.randint(2, (n,), generator=draw)
        radius = (0.15 + 0.15 * y) * self.size
        centre = (0.35 + 0.3 * torch.rand(n, 2, generator=draw)) * self.size
        rows, columns = torch.meshgrid(*[torch.arange(self.size) + 0.5] * 2, indexing="ij")
        distance = torch.hypot(rows - centre[:, :1, None], columns - centre[:, 1:, None])
        edge = (distance - radius[:, None, None]).abs()
        x = (255 * (1.5 - edge).clamp(0, 1)).to(torch.uint8)
        return Split(x[:, None], y)
