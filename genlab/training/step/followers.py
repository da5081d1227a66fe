"""Callbacks that follow each optimizer step, of which a chunk has several."""

from typing import Any, Protocol, runtime_checkable

import pytorch_lightning as pl

from genlab.training.step.ema import EMA

__all__ = ["Followers", "StepFollower"]


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


class Followers:
    """All that follows the weights: their moving average, and the callbacks that ask for it.

    Args:
        ema: The moving average, if there is one.
        trainer: The trainer, with its callbacks.
    """

    def __init__(self, ema: EMA | None, trainer: pl.Trainer):
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        self.ema = ema
        self.callbacks = [c for c in callbacks if isinstance(c, StepFollower)]

    def follow(self, batch: int, images_seen: int, steps: int) -> None:
        """Follows a step of n images; see `StepFollower.follow`."""
        if self.ema is not None:
            self.ema.follow(batch, images_seen, steps)
        for callback in self.callbacks:
            callback.follow(images_seen, steps)

    def roll_back(self, trainer: pl.Trainer, checkpoint: dict[str, Any]) -> None:
        """Goes back to a checkpoint's averages."""
        average = checkpoint["genlab"]["ema"]
        if self.ema is not None and average is not None:
            self.ema.load_state_dict(average)
        for callback in self.callbacks:
            callback.roll_back(trainer, checkpoint)
