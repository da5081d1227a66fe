"""Quick metrics: an evaluation of the averaged weights along the way."""

import pytorch_lightning as pl
import torch

from genlab.errors import ConfigError
from genlab.training.collapse import Reading
from genlab.training.generative_module import GenerativeModule
from genlab.training.periodic import PeriodicCallback
from genlab.training.run_context import context_of

__all__ = ["QuickMetrics"]


class QuickMetrics(PeriodicCallback):
    """Logs the metrics along the way, under ``quick/``, of the averaged weights.

    Args:
        every: Images seen, or ``"N epochs"``, between two evaluations.
    """

    def __init__(self, every: int | str = "2 epochs"):
        super().__init__(every)
        self.reading: Reading | None = None
        """The newest result, for the guard."""

    def act(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        evaluator = context_of(trainer).evaluator
        if evaluator is None:
            raise ConfigError("callbacks: QuickMetrics needs an evaluator in the RunContext")
        if not evaluator.suite.sample_metrics or not trainer.is_global_zero:
            return
        report = evaluator.run(module.eval_model)
        floors = {value.key: value.floor for value in report.values if value.floor is not None}
        self.reading = Reading(module.images_seen, report.scalars(), floors)
        scalars = {f"quick/{name}": value for name, value in report.scalars().items()}
        trainer.callback_metrics.update({k: torch.tensor(v) for k, v in scalars.items()})
        module.history(scalars)
