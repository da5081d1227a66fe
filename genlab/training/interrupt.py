"""Ctrl-C and the signals of a scheduler: finish the chunk, keep everything, say how to go on."""

import signal
from types import FrameType
from typing import Any

import pytorch_lightning as pl

from genlab.system.signals import set_handlers
from genlab.training.checkpoints import Checkpoints, validates_now
from genlab.training.generative_module import GenerativeModule

__all__ = ["GracefulStop"]


class GracefulStop(pl.Callback):
    """Ends training at the end of the chunk in which a signal came, with a checkpoint of it.

    A validation is given up at its next batch; the run that goes on begins with it. A second Ctrl-C
    ends at once, and what is kept is the checkpoint before.

    Args:
        checkpoints: Where the state is kept.
    """

    def __init__(self, checkpoints: Checkpoints):
        self.checkpoints = checkpoints
        self.received: int | None = None

    def note(self, number: int, frame: FrameType | None = None) -> None:
        """Remembers the first signal, as its handler; the chunk in progress goes on."""
        if self.received is not None and number == signal.SIGINT:
            raise SystemExit(128 + number)
        self.received = self.received or number

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        # Lightning has put its own handler of TERM first, which leaves with exit code 0.
        set_handlers(lambda number: self.note)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(module, GenerativeModule)
        if trainer.strategy.reduce_boolean_decision(self.received is not None, all=False):
            module.log_due()
            module.postpone_validation(validates_now(trainer) or module.done)
            self.end(trainer, module)

    def on_validation_batch_start(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        assert isinstance(module, GenerativeModule)
        # Several processes would have to agree on each batch; they finish the validation.
        if self.received is not None and trainer.world_size == 1:
            module.postpone_validation()
            self.end(trainer, module)

    def end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """Keeps the state, and leaves.

        Raises:
            SystemExit: With the signal's exit code.
        """
        # Not in the background: when the process is gone, the state must be on the disk, and
        # a second Ctrl-C must be able to end the writing.
        self.checkpoints.save(trainer, background=False)
        module.interrupt()
        raise SystemExit(128 + (self.received or signal.SIGTERM))
