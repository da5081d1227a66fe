"""The run context: what the callbacks of a run share, handed over in Lightning's `setup`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from genlab.modalities.base import Modality
from genlab.training.evaluator import Evaluator

__all__ = ["RunContext", "RunTrainer", "context_of"]


@dataclass(frozen=True)
class RunContext:
    """The run as its callbacks need it, besides the trainer and the module.

    Args:
        checkpoints: The folder of the run's checkpoints; None keeps none.
        evaluator: What measures along the way.
        modality: The kind of the data; None is that of the data's spec.
    """

    checkpoints: Path | None = None
    evaluator: Evaluator | None = None
    modality: Modality | None = None


class RunTrainer(pl.Trainer):
    """Lightning's trainer with a run's context.

    Args:
        context: What the callbacks share.
        arguments: Lightning's own.
    """

    def __init__(self, context: RunContext, **arguments: Any):
        super().__init__(**arguments)
        self.context = context


def context_of(trainer: pl.Trainer) -> RunContext:
    """The context of a trainer; an empty one for a plain trainer of Lightning's."""
    return trainer.context if isinstance(trainer, RunTrainer) else RunContext()
