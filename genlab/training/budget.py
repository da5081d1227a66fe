"""Time budget: training ends after a given wall time, counted over all resumptions of a run."""

from typing import Any

import pytorch_lightning as pl

from genlab.ranges import PositiveFloat
from genlab.training.generative_module import GenerativeModule

__all__ = ["Budget"]


class Budget(pl.Callback):
    """Stops training at the end of the chunk in which the time is up.

    Args:
        seconds: Wall time of training, validation and previews together.
    """

    def __init__(self, seconds: PositiveFloat):
        self.seconds = seconds

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(module, GenerativeModule)
        # Every process must stop at the same chunk, or the others wait for it for ever.
        if trainer.strategy.reduce_boolean_decision(module.seconds >= self.seconds, all=False):
            module.log_losses()
            trainer.should_stop = True
