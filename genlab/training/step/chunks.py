"""Chunks: batches that one training step takes together, and the validation between them."""

from collections.abc import Iterator

import pytorch_lightning as pl

from genlab.types import Batch

__all__ = ["grouped", "unstacked", "validate"]


def validate(trainer: pl.Trainer) -> None:
    """Validates before the next chunk, as Lightning would have after the last one."""
    loop = trainer.fit_loop.epoch_loop.val_loop
    loop.restarting = False
    trainer.validating = True
    loop.run()
    trainer.training = True


def unstacked(chunk: Batch) -> Iterator[Batch]:
    """The batches of a chunk ``(K, B, C, H, W)``."""
    for k in range(len(chunk.x)):
        yield Batch(chunk.x[k], None if chunk.y is None else chunk.y[k])


def grouped(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """Lists of ``size`` batches; what is left over at the end is a shorter list."""
    group = []
    for batch in batches:
        group.append(batch)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
