"""The check that losses and gradients are finite, and what becomes of a run where one is not."""

import math
from typing import Any, Protocol, runtime_checkable

import pytorch_lightning as pl
from torch.optim import Optimizer

from genlab.errors import NonFiniteError
from genlab.models.base import GenerativeModel
from genlab.training.step.nonfinite import describe, describe_gradient, finite_gradients
from genlab.types import Batch, Loss

__all__ = ["FiniteCheck", "NonFiniteHandler"]


@runtime_checkable
class NonFiniteHandler(Protocol):
    """A callback that may go on after a loss or a gradient that is not finite."""

    checks_every_step: bool
    """True if each step's numbers are checked on a GPU, too, which waits for it."""

    def on_nonfinite(self, trainer: pl.Trainer, module: Any, reason: str, moved: bool) -> None:
        """Goes on somehow, or raises.

        Args:
            trainer: The trainer.
            module: The `GenerativeModule`.
            reason: Which number is not finite, and why.
            moved: Whether weights have moved by it already.

        Raises:
            NonFiniteError: Training cannot go on.
        """


class FiniteCheck:
    """Checks a run's numbers, and asks its callbacks what to do where one is not finite.

    Args:
        trainer: The trainer, with its callbacks.
        module: The `GenerativeModule`, on its device.
    """

    def __init__(self, trainer: pl.Trainer, module: Any):
        self.trainer = trainer
        self.module = module
        self.model: GenerativeModel = module.model
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        self.handlers = [c for c in callbacks if isinstance(c, NonFiniteHandler)]
        # Reading a number of a GPU waits for it.
        wanted = any(handler.checks_every_step for handler in self.handlers)
        self.every_step = wanted or module.device.type != "cuda"
        # A scaler of gradients leaves out a step by itself when they overflow.
        self.scaled = getattr(trainer.precision_plugin, "scaler", None) is not None

    def loss(self, loss: Loss, batch: Batch, player: str) -> None:
        """Refuses a player's loss on a batch.

        Raises:
            NonFiniteError: It is not finite; no weight has moved by it.
        """
        # Several processes must agree: the gradient, which is all of theirs, tells them.
        checked = self.every_step and self.trainer.world_size == 1
        if checked and not math.isfinite(loss.total.detach()):
            seen, step = self.module.images_seen, self.module.steps
            raise NonFiniteError(describe(self.model, batch, seen, player, step))

    def gradient(self, optimizer: Optimizer) -> None:
        """Refuses the gradient that an optimizer is about to take a step by.

        Raises:
            NonFiniteError: It is not finite; no weight has moved by it.
        """
        if self.every_step and not self.scaled and not finite_gradients(optimizer):
            seen, step = self.module.images_seen, self.module.steps
            raise NonFiniteError(describe_gradient(self.model, seen, step))

    def lost(self, batch: Batch) -> NonFiniteError:
        """The message about losses that prove not finite after weights moved by them."""
        return NonFiniteError(describe(self.model, batch, self.module.images_seen))

    def handle(self, error: NonFiniteError, moved: bool = False) -> None:
        """Hands an error to the callbacks that can go on; without one it is raised."""
        if not self.handlers:
            raise error
        for handler in self.handlers:
            handler.on_nonfinite(self.trainer, self.module, str(error), moved)
        for optimizer in self.trainer.optimizers:
            optimizer.zero_grad()
