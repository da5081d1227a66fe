"""The training session of a run: Lightning's trainer between two states of the run's files."""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.loggers.logger import Logger

from genlab.config.schema import Train
from genlab.data.feed.eval_loader import EvalLoader
from genlab.data.feed.identity import identity
from genlab.errors import NonFiniteError
from genlab.experiment.advice import advise, resume_command
from genlab.experiment.build import build_trainer
from genlab.experiment.parts import Parts
from genlab.experiment.rate_change import rate_change
from genlab.experiment.requeue import requeue
from genlab.experiment.resume_point import ResumePoint
from genlab.experiment.spec_record import spec_record
from genlab.models.base import GenerativeModel
from genlab.rng import stream
from genlab.runs.directory import Run
from genlab.system.signals import handled
from genlab.system.terminal import say, warn
from genlab.training.loggers.setup import rewind_loggers
from genlab.training.run_context import RunContext
from genlab.training.saving.checkpoint_io import newest
from genlab.training.saving.disk_space import explain

__all__ = ["TrainingSession"]

BEGIN = 10_000
"""Images, at most, that a model is shown before it is trained."""


class TrainingSession:
    """Trains a run, and leaves its state in its directory however training ends.

    Args:
        config: The run's config.
        run: The run directory.
        parts: What the config describes.
        loggers: Where to write the history.
        resume: What to resume from, if the run was begun before.
        typed: The overrides of a resumed run, which are none of its config's.
    """

    def __init__(
        self,
        config: Train,
        run: Run,
        parts: Parts,
        loggers: list[Logger],
        resume: ResumePoint | None,
        typed: Sequence[str] = (),
    ):
        self.run = run
        self.parts = parts
        self.resume = resume
        self.loggers = loggers
        self.typed = typed
        context = RunContext(run.checkpoint().parent, parts.evaluator, parts.modality)
        self.trainer = build_trainer(config, parts.data, context, parts.callbacks, loggers)
        self.finished = False
        """True if training has come to its end."""
        self.explained = False
        """True if the user was told how to resume."""

    def train(self) -> None:
        """Trains until the end of the run, a signal or an error.

        Raises:
            SystemExit: A signal ended it; the exit code is that of the signal.
            NonFiniteError: Training cannot go on.
            StorageError: A disk is full, or failed.
        """
        parts, trainer, run = self.parts, self.trainer, self.run
        seen = self.resume.images_seen if self.resume else 0
        if trainer.is_global_zero:
            run.update("run.json", started_from=seen)
        if self.complete():
            if trainer.is_global_zero:
                more = advise("train", run, [f"trainer.max_images={2 * seen}"])
                say(f"       complete already, after {seen:,} images; for as many again\n  {more}")
            self.finished = True
            return
        if self.resume is not None:
            rewind_loggers(self.loggers, seen)
            change = rate_change(parts.module, self.resume.checkpoint)
            if change is not None and trainer.is_global_zero:
                say(f"       {change}")
        status = "failed"
        try:
            # Training proper
            if trainer.is_global_zero:
                facts = {"spec": spec_record(parts.data.spec), **identity(parts.data)}
                run.update("run.json", status="running", **facts)
            if self.resume is None:
                begin(parts)
            with handled(parts.stop.note):
                path = self.resume.path if self.resume else None
                trainer.fit(parts.module, datamodule=parts.data, ckpt_path=path, weights_only=True)
            self.say_why_it_ended()
            if parts.stop.received is not None:  # after the last chunk and its validation
                raise SystemExit(128 + parts.stop.received)
            status = "trained"
            self.finished = True
        # Other ends
        except NonFiniteError:
            status = "diverged"
            raise
        except SystemExit as exit:
            status = "interrupted"
            if trainer.is_global_zero:
                self.say_goodbye()
            if exit.code is None:  # Lightning's own, before the first step
                raise SystemExit(128 + (parts.stop.received or signal.SIGTERM)) from None
            raise
        except OSError as error:
            whole = whole_checkpoint(run.checkpoint().parent)
            known = explain(error, run.shown(), whole, resume_command(run, self.typed))
            raise known or error from None
        finally:
            if trainer.is_global_zero:
                self.write_down(status)

    def say_why_it_ended(self) -> None:
        """Tells that a callback ended training before its end, and why."""
        for callback in self.parts.callbacks:
            reason = getattr(callback, "stopping_reason_message", None)  # of Lightning's
            if isinstance(callback, EarlyStopping) and reason and self.trainer.is_global_zero:
                seen = self.parts.module.images_seen
                say(f"       stopped early, after {seen:,} images: {' '.join(reason.split())}")

    def complete(self) -> bool:
        """True if there is nothing left to do."""
        end, resume = self.parts.module.max_images, self.resume
        if resume is None or end is None:
            return False
        return resume.images_seen >= end and not resume.validation_due

    def write_down(self, status: str) -> None:
        """Writes down what became of the run, as far as there is room to."""
        run = self.run
        try:
            run.update("run.json", status=status, images_seen=self.parts.module.images_seen)
            run.update("summary.json", **self.summary())
        except OSError as error:
            warn(f"{run.shown()}/run.json could not be brought up to date ({error.strerror})")

    def say_goodbye(self) -> None:
        """Tells what was kept, and how to resume."""
        self.explained = True
        module, resume = self.parts.module, resume_command(self.run, self.typed)
        if module.interrupted:
            say(f"stopped after {module.images_seen:,} images, all of it kept; {resume}")
        else:
            whole = whole_checkpoint(self.run.checkpoint().parent) or "nothing was kept yet"
            say(f"stopped at once: {whole}; {resume}")
        requeue(self.parts.stop.received)

    def summary(self) -> dict[str, Any]:
        """Summary of the training."""
        module, checkpoints, guard = self.parts.module, self.parts.checkpoints, self.parts.guard
        return {
            "images_seen": module.images_seen,
            "epochs": module.images_seen / self.parts.data.n_train,
            "train_seconds": round(module.seconds, 3),
            "parameters": sum(p.numel() for p in module.model.parameters()),
            "device": str(module.trained_on or module.device),
            "best_metric": checkpoints.metric,
            "best": checkpoints.best if checkpoints.best_images is not None else None,
            "best_images": checkpoints.best_images,
            "last": checkpoints.latest,
            "checkpoint_seconds": round(checkpoints.seconds, 3),
            "warnings": guard.events,
            "rollbacks": guard.rolled_back,
            "skipped": guard.skipped,
        }


def begin(parts: Parts) -> None:
    """Shows the model training images before its first step: all, or some drawn at random."""
    model, train = parts.module.model, parts.data.train
    if type(model).begin is GenerativeModel.begin:
        return
    order = torch.randperm(len(train.x), generator=stream(parts.module.seed, "begin"))
    most = len(order) if model.begins_with_all else BEGIN
    chosen = train.take(order[:most].sort().values)
    model.begin(EvalLoader(chosen, parts.data.eval_batch_size))


def whole_checkpoint(directory: Path) -> str | None:
    """The newest checkpoint that is whole, for a person."""
    found = newest(directory)
    if found is None:
        return None
    path, checkpoint, _ = found
    return f"{path.name}, of {checkpoint['genlab']['images_seen']:,} images, is whole"
