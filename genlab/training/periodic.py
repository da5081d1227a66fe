"""Periodic callbacks: they act every n images, at the end of the chunk that reaches them."""

from typing import Any

import pytorch_lightning as pl

from genlab.training.generative_module import GenerativeModule
from genlab.training.intervals import images_of

__all__ = ["PeriodicCallback"]


class PeriodicCallback(pl.Callback):
    """Calls `act` whenever another interval of images has been seen, and once at the end.

    Args:
        every: Images seen, or ``"N epochs"``.
    """

    def __init__(self, every: int | str):
        self.every = every
        self.interval = 0
        self.done = 0
        self.last = 0
        self.kept: int | None = None
        """Images seen when the resumed run last acted."""

    def act(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """The action; runs on every process, in evaluation's own random state."""
        raise NotImplementedError

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, GenerativeModule)
        epoch = trainer.datamodule.n_train  # type: ignore[attr-defined]
        self.interval = images_of(self.every, epoch, f"callbacks.{type(self).__name__}.every")
        self.done = module.images_seen // self.interval
        # What a signal kept from its last validation has not acted at its end either.
        due = module.validation_due and self.kept is not None
        self.last = self.kept or 0 if due else module.images_seen

    def on_save_checkpoint(
        self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint.setdefault("acted", {})[type(self).__name__] = self.last

    def on_load_checkpoint(
        self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.kept = checkpoint.get("acted", {}).get(type(self).__name__)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(module, GenerativeModule)
        if module.images_seen // self.interval > self.done:
            self.run(trainer, module)

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Acts before the last validation, so that the last checkpoint is judged by it, too."""
        assert isinstance(module, GenerativeModule)
        ending = trainer.should_stop and not module.interrupted
        if ending and not trainer.sanity_checking and module.images_seen > self.last:
            self.run(trainer, module)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, GenerativeModule)
        # An interrupted run goes on as if it had not been: what is due at its end is not due now.
        if module.images_seen > self.last and not module.interrupted:
            self.run(trainer, module)

    def run(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """Acts, and takes note of it."""
        self.done, self.last = module.images_seen // self.interval, module.images_seen
        with module.pause():
            self.act(trainer, module)
