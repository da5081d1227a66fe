"""A run's trainer: built before anything is written, then run between two states of its files."""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.loggers.logger import Logger

from genlab.commands.build import build_trainer, plain
from genlab.commands.display import say
from genlab.data.module import ImageDataModule
from genlab.runs import Run
from genlab.training.budget import Budget
from genlab.training.cadence import images_of, seconds_of
from genlab.training.checkpoints import Checkpoints, read_checkpoint
from genlab.training.evaluation import Evaluator, QuickMetrics
from genlab.training.every import Every
from genlab.training.guard import Guard
from genlab.training.interrupt import GracefulStop
from genlab.training.loggers import Progress, rewind_loggers
from genlab.training.module import GenerativeModule

__all__ = ["Fitting"]


@dataclass(frozen=True)
class Fitting:
    """A trainer and what it trains, ready to go.

    Args:
        trainer: The trainer.
        module: The module.
        data: The data.
        checkpoints: What keeps the run's state.
        stop: What ends the run at a signal.
        guard: What watches for collapse.
    """

    trainer: pl.Trainer
    module: GenerativeModule
    data: ImageDataModule
    checkpoints: Checkpoints
    stop: GracefulStop
    guard: Guard

    @classmethod
    def of(
        cls,
        cfg: DictConfig,
        data: ImageDataModule,
        module: GenerativeModule,
        evaluator: Evaluator,
    ) -> "Fitting":
        """Builds the trainer and its callbacks.

        Raises:
            ConfigError: An interval cannot be read, or the stream cannot be made.
        """
        data.train_stream(chunk=data.chunk, seed=data.seed, curriculum=data.curriculum)
        chosen = {k: instantiate(c) for k, c in (cfg.callbacks or {}).items() if c is not None}
        for name, callback in chosen.items():
            if isinstance(callback, Every):
                images_of(callback.every, data.n_train, f"callbacks.{name}.every")
            if isinstance(callback, QuickMetrics):
                callback.evaluator = evaluator
        kept = [c for c in chosen.values() if isinstance(c, Checkpoints)]
        checkpoints = kept[0] if kept else Checkpoints()
        stop = GracefulStop(checkpoints)
        callbacks = [c for c in chosen.values() if c is not checkpoints]
        guard = Guard(**(plain(cfg.get("guard")) or {}))
        guard.evaluation = next((c for c in callbacks if isinstance(c, QuickMetrics)), None)
        guard.checkpoints = checkpoints
        callbacks.append(guard)
        if cfg.trainer.max_time is not None:
            module.max_seconds = seconds_of(cfg.trainer.max_time)
            callbacks.append(Budget(module.max_seconds))
        if cfg.trainer.progress:
            callbacks.append(Progress())
        # The checkpoint comes last: it holds what the others came to.
        callbacks += [stop, checkpoints]
        return cls(build_trainer(cfg, data, callbacks), module, data, checkpoints, stop, guard)

    def run(self, place: Run, loggers: list[Logger], start: Path | None) -> None:
        """Trains, and leaves the run's state in its directory however training ends.

        Args:
            place: The run directory.
            loggers: Where to write the history.
            start: The checkpoint to go on from.

        Raises:
            SystemExit: A signal ended it; the exit code is that of the signal.
        """
        trainer, module = self.trainer, self.module
        trainer.loggers = loggers
        self.checkpoints.directory = place.checkpoint().parent
        if start is not None:
            rewind_loggers(loggers, read_checkpoint(start)["genlab"]["images_seen"])
        status = "failed"
        try:
            if trainer.is_global_zero:
                place.update("run.json", status="running", fingerprint=self.data.fingerprint)
            trainer.fit(module, datamodule=self.data, ckpt_path=start, weights_only=True)
            status = "interrupted" if module.interrupted else "trained"
        finally:
            if trainer.is_global_zero:
                place.update("run.json", status=status, images_seen=module.images_seen)
                place.update("summary.json", **self.summary())
        if status == "interrupted":
            if trainer.is_global_zero:
                say(
                    f"stopped after {module.images_seen:,} images, all of it kept; go on with\n"
                    f"  genlab train run={place.shown()}"
                )
            raise SystemExit(128 + (self.stop.received or signal.SIGINT))

    def summary(self) -> dict[str, Any]:
        """What training came to."""
        module, checkpoints = self.module, self.checkpoints
        return {
            "images_seen": module.images_seen,
            "epochs": module.images_seen / self.data.n_train,
            "train_seconds": round(module.seconds, 3),
            "parameters": sum(p.numel() for p in module.model.parameters()),
            "device": str(module.device),
            "best_metric": checkpoints.metric,
            "best": checkpoints.best if checkpoints.best_images is not None else None,
            "best_images": checkpoints.best_images,
            "last": checkpoints.latest,
            "warnings": self.guard.events,
            "rollbacks": self.guard.rolled_back,
        }
