"""Batches for validation and test: each image once, in order, the same each time."""

from collections.abc import Iterator

import torch

from genlab.data.images import ImageData, Split
from genlab.rng import stream
from genlab.types import Batch

__all__ = ["Batches", "redrawn"]

BLOCK = 1000
"""Images that are redrawn with one key, whatever the size of the batches."""


class Batches:
    """Batches of a split in order, the last one possibly smaller; a plain iterable.

    Unlike torch's DataLoader, it draws nothing from the global random state, so that having a
    validation does not change the training.

    Args:
        images: The images, as the model is to see them.
        batch_size: Images in a batch.
    """

    def __init__(self, images: Split, batch_size: int):
        self.images = images
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.images.x) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self.images.x), self.batch_size):
            yield Batch(*self.images.take(slice(start, start + self.batch_size)))


def redrawn(source: ImageData, images: Split, seed: int, name: str) -> Split:
    """Images as the model sees them, drawn once and for all.

    Args:
        source: Draws them.
        images: As they are stored.
        seed: Key of the drawing, with the name and the index.
        name: Name of the split.
    """
    if type(source).redraw is ImageData.redraw:
        return images
    x = torch.empty_like(images.x)
    for start in range(0, len(x), BLOCK):
        generator = stream(seed, f"redraw {name}", start)
        x[start : start + BLOCK] = source.redraw(images.x[start : start + BLOCK], generator)
    return Split(x, images.y)
