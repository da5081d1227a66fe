"""Callbacks that follow each optimizer step, of which a chunk has several."""

from typing import Any, Protocol, runtime_checkable

import pytorch_lightning as pl

__all__ = ["StepFollower", "followers_of"]


@runtime_checkable
class StepFollower(Protocol):
    """A callback that is told of each optimizer step; Lightning's hooks are called once a chunk."""

    def follow(self, images_seen: int, steps: int) -> None:
        """Follows a step, after the weights have moved.

        Args:
            images_seen: Images seen, the step's own among them.
            steps: The step's number, from 1.
        """

    def roll_back(self, trainer: pl.Trainer, checkpoint: dict[str, Any]) -> None:
        """Goes back to the state of a checkpoint, whose weights the model has again."""


def followers_of(trainer: pl.Trainer) -> list[StepFollower]:
    """The followers among a trainer's callbacks."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return [callback for callback in callbacks if isinstance(callback, StepFollower)]
