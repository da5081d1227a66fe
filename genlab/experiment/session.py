"""A run's trainer: built before anything is written, then run between two states of its files."""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.loggers.logger import Logger

from genlab.data.module import ImageDataModule
from genlab.errors import DataError, NonFiniteError
from genlab.experiment.build import build_trainer, plain
from genlab.experiment.requeue import requeue
from genlab.runs.directory import Run
from genlab.system.signals import handled
from genlab.system.terminal import say, warn
from genlab.training.budget import Budget
from genlab.training.checkpoints import Checkpoints
from genlab.training.evaluation import Evaluator, QuickMetrics
from genlab.training.generative_module import GenerativeModule
from genlab.training.guard import Guard
from genlab.training.interrupt import GracefulStop
from genlab.training.intervals import images_of, seconds_of
from genlab.training.loggers.setup import rewind_loggers
from genlab.training.periodic import Every
from genlab.training.progress_bar import Progress
from genlab.training.saving.checkpoint_io import newest
from genlab.training.saving.disk_space import explain

__all__ = ["Fitting", "Start", "go_on"]


@dataclass(frozen=True)
class Start:
    """The checkpoint that a run goes on from.

    Args:
        path: The file.
        checkpoint: What it holds.
    """

    path: Path
    checkpoint: dict[str, Any]

    @property
    def images_seen(self) -> int:
        """Images that it had seen."""
        return int(self.checkpoint["genlab"]["images_seen"])

    @property
    def validation_due(self) -> bool:
        """Whether a signal kept it from a validation."""
        return bool(self.checkpoint["genlab"].get("validation_due"))

    def check(self, module: GenerativeModule) -> None:
        """Refuses the checkpoint of another model.

        Raises:
            DataError: It is one.
        """
        mine = {name: value.shape for name, value in module.state_dict().items()}
        theirs = {name: value.shape for name, value in self.checkpoint["state_dict"].items()}
        if mine != theirs:
            different = sorted(n for n in mine.keys() | theirs if mine.get(n) != theirs.get(n))
            raise DataError(
                f"{self.path} is the checkpoint of another model than config.yaml's "
                f"({different[0]} and {len(different) - 1} more tensors differ)"
            )


def go_on(place: Run) -> str:
    """How a run that stopped goes on."""
    return f"go on with\n  genlab train run={place.shown()}"


@dataclass
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
    finished: bool = False
    """Whether training has come to its end."""
    told: bool = False
    """Whether the user was told how to go on."""

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
            ConfigError: An interval cannot be read, or the training loader cannot be made.
        """
        data.train_loader()
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

    def run(self, place: Run, loggers: list[Logger], start: Start | None) -> None:
        """Trains, and leaves the run's state in its directory however training ends.

        Args:
            place: The run directory.
            loggers: Where to write the history.
            start: What to go on from.

        Raises:
            SystemExit: A signal ended it; the exit code is that of the signal.
            StorageError: A disk is full, or failed.
        """
        trainer, module = self.trainer, self.module
        seen = start.images_seen if start else 0
        if trainer.is_global_zero:
            place.update("run.json", started_from=seen)
        complete = module.max_images is not None and seen >= module.max_images
        if complete and start is not None and not start.validation_due:
            if trainer.is_global_zero:
                more = "go on with trainer.epochs=MORE"
                say(f"       complete already, after {seen:,} images; {more}")
            self.finished = True
            return
        trainer.loggers = loggers
        self.checkpoints.directory = place.checkpoint().parent
        if start is not None:
            rewind_loggers(loggers, seen)
        status = "failed"
        try:
            if trainer.is_global_zero:
                place.update("run.json", status="running", fingerprint=self.data.fingerprint)
            with handled(self.stop.note):
                path = start.path if start else None
                trainer.fit(module, datamodule=self.data, ckpt_path=path, weights_only=True)
            if self.stop.received is not None:  # after the last chunk and its validation
                raise SystemExit(128 + self.stop.received)
            status = "trained"
            self.finished = True
        except NonFiniteError:
            status = "diverged"
            raise
        except SystemExit as exit:
            status = "interrupted"
            if trainer.is_global_zero:
                self.say_goodbye(place)
            if exit.code is None:  # Lightning's own, before the first step
                raise SystemExit(128 + (self.stop.received or signal.SIGTERM)) from None
            raise
        except OSError as error:
            known = explain(error, place.shown(), kept(self.checkpoints.directory))
            raise known or error from None
        finally:
            if trainer.is_global_zero:
                self.settle(place, status)

    def settle(self, place: Run, status: str) -> None:
        """Writes down what became of the run, as far as there is room to."""
        try:
            place.update("run.json", status=status, images_seen=self.module.images_seen)
            place.update("summary.json", **self.summary())
        except OSError as error:
            warn(f"{place.shown()}/run.json could not be brought up to date ({error.strerror})")

    def say_goodbye(self, place: Run) -> None:
        """Tells what was kept, and how to go on."""
        self.told = True
        if self.module.interrupted:
            say(f"stopped after {self.module.images_seen:,} images, all of it kept; {go_on(place)}")
        else:
            whole = kept(place.checkpoint().parent) or "nothing was kept yet"
            say(f"stopped at once: {whole}; {go_on(place)}")
        requeue(self.stop.received)

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
            "checkpoint_seconds": round(checkpoints.seconds, 3),
            "warnings": self.guard.events,
            "rollbacks": self.guard.rolled_back,
            "skipped": self.guard.skipped,
        }


def kept(directory: Path | None) -> str | None:
    """The newest checkpoint that is whole, for a person."""
    found = newest(directory) if directory is not None else None
    return None if found is None else f"{found[0].name}, of {images(found[1])} images, is whole"


def images(checkpoint: dict[str, Any]) -> str:
    """How many images a checkpoint had seen, for a person."""
    return f"{checkpoint['genlab']['images_seen']:,}"
