"""Loader of validation and test images: each once, in order, the same each time."""

from collections.abc import Iterator

import torch

from genlab.data.images import ImageData, Split
from genlab.rng import stream
from genlab.types import Batch

__all__ = ["EvalLoader", "resampled", "resamples"]

BLOCK = 1000
"""Images that are resampled with one key, whatever the size of the batches."""


class EvalLoader:
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


def resamples(source: ImageData) -> bool:
    """Tells whether a data set has a `resample` of its own."""
    return type(source).resample is not ImageData.resample


def resampled(source: ImageData, images: Split, seed: int, name: str) -> Split:
    """Images as the model sees them, resampled once and for all.

    Args:
        source: The data set, which resamples them.
        images: As they are stored.
        seed: Key of the resampling, with the name and the index.
        name: Name of the split.
    """
    if not resamples(source):
        return images
    x = torch.empty_like(images.x)
    for start in range(0, len(x), BLOCK):
        generator = stream(seed, f"redraw {name}", start)
        x[start : start + BLOCK] = source.resample(images.x[start : start + BLOCK], generator)
    return Split(x, images.y)
