"""Ctrl-C and the signals of a scheduler: finish the chunk, keep everything, say how to go on."""

import signal
import threading
from types import FrameType
from typing import Any

import pytorch_lightning as pl

from genlab.training.checkpoints import Checkpoints
from genlab.training.module import GenerativeModule

__all__ = ["GracefulStop"]

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")


class GracefulStop(pl.Callback):
    """Ends training at the end of the chunk in which a signal came, with a checkpoint of it.

    A second Ctrl-C ends at once, and what is kept is the checkpoint before.

    Args:
        checkpoints: Where the state is kept.
    """

    def __init__(self, checkpoints: Checkpoints):
        self.checkpoints = checkpoints
        self.received: int | None = None
        self.before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread may handle signals
        for name in SIGNALS:
            number = getattr(signal, name, None)
            if number is not None:
                self.before[number] = signal.signal(number, self.note)

    def note(self, number: int, frame: FrameType | None) -> None:
        """Remembers the signal; the chunk in progress goes on."""
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(module, GenerativeModule)
        asked = trainer.strategy.reduce_boolean_decision(self.received is not None, all=False)
        if asked and not module.interrupted:
            module.log_due()
            self.checkpoints.save(trainer)
            # What still runs before Lightning returns, a validation, is not part of the run.
            module.interrupted = True
            trainer.should_stop = True

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}
