"""Checkpoints: written atomically, read as plain tensors, the last and the best of a run."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor

from genlab.errors import ConfigError, NonFiniteError
from genlab.runs.storage import copy_file
from genlab.system.terminal import notice
from genlab.training.callback_settings import keep_settings
from genlab.training.generative_module import GenerativeModule
from genlab.training.run_context import context_of
from genlab.training.saving.background import Writer
from genlab.training.step.nonfinite import CURES, all_finite

__all__ = ["Checkpoints", "validates_now"]


class Checkpoints(pl.Callback):
    """Keeps the last checkpoint and the best one, after each validation.

    The state of a run lies between two chunks, when the metrics of the validation are known. A
    checkpoint is never the state inside a step, and never holds a number that is not finite.

    Args:
        monitor: The metric that makes the best; ``auto``: ``val/loss`` where the family has one,
            else the Fréchet distance of the quick metrics.
        mode: Whether ``min`` or ``max`` is best.
        background: Write in a thread while training goes on. One is written at a time; whoever
            reads a checkpoint, and the end of training, waits for it. What fails is raised at the
            end of the chunk in which it did. A copy of the state is held in memory meanwhile.
    """

    def __init__(
        self,
        monitor: str = "auto",
        mode: Literal["min", "max"] = "min",
        background: bool = False,
    ):
        self.monitor = monitor
        self.mode = mode
        self.background = background
        self.writer = Writer()
        self.directory: Path | None = None
        """The run's directory, from its context; None keeps nothing."""
        self.best = math.inf if mode == "min" else -math.inf
        self.best_images: int | None = None
        self.metric: str | None = None
        self.latest: float | None = None
        """The monitored metric's last value."""
        self.saved = 0
        """Images seen at the last checkpoint of this process."""
        self.seconds = 0.0
        """For which training stood still because of checkpoints, since the process began."""

    def setup(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        self.directory = context_of(trainer).checkpoints

    def on_load_checkpoint(
        self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        keep_settings(trainer.callbacks, checkpoint.get("callbacks", {}))  # type: ignore[attr-defined]

    def write_in_foreground(self) -> None:
        """Writes no longer in the background: several processes must find the same files."""
        self.background = False

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, GenerativeModule)
        if not trainer.sanity_checking:
            self.keep(trainer, module)

    def keep(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """Writes the last checkpoint, and the best one where this is it.

        Without a value of the monitored metric there is nothing to choose by: the last is the best.
        """
        if self.directory is None or module.interrupted:
            return
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items()}
        self.metric = self.metric or self.choose(metrics)
        value = metrics.get(self.metric) if self.metric else None
        self.latest = value if value is not None and math.isfinite(value) else None
        self.wait()  # the best one may be in the making
        best = self.directory / "best.ckpt"  # it may have been lost, and its value with it
        better = self.latest is not None and (self.improves(self.latest) or not best.exists())
        if better and value is not None:
            self.best, self.best_images = value, module.images_seen
        self.save(trainer)
        self.saved = module.images_seen
        chosen = better or self.best_images is None or not best.exists()
        if trainer.is_global_zero and chosen:
            self.act(partial(copy_file, self.directory / "last.ckpt", best))

    def save(self, trainer: pl.Trainer, background: bool = True) -> None:
        """Writes the last checkpoint; every process must call it.

        Args:
            trainer: The trainer.
            background: Whether it may still be in the making afterwards, where that was asked for.

        Raises:
            NonFiniteError: A weight is not finite; what was saved before stays.
            OSError: This one or the one before could not be written.
        """
        if self.directory is None:
            return
        module = trainer.lightning_module
        assert isinstance(module, GenerativeModule)
        self.wait()
        with self.standstill():
            broken = nonfinite_weights(module)
            if broken:
                raise NonFiniteError(
                    f"after {module.images_seen:,} images, weights are not finite ({broken}); they "
                    f"were not saved. {CURES}"
                )
            trainer.save_checkpoint(
                self.directory / "last.ckpt",
                weights_only=False,
                storage_options=self.writer if self.background and background else None,
            )

    def act(self, task: Callable[[], object]) -> None:
        """Acts after the last checkpoint, once that is written."""
        if self.background:
            self.writer.submit(task)
        else:
            with self.standstill():
                task()

    def wait(self) -> None:
        """Waits until what was saved is on the disk; whoever reads a checkpoint must call it.

        Raises:
            OSError: It could not be written.
        """
        with self.standstill():
            self.writer.wait()

    @contextmanager
    def standstill(self) -> Iterator[None]:
        """Counts the time inside as that of checkpoints."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds += time.monotonic() - start

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(module, GenerativeModule)
        self.writer.check()
        if not sum(trainer.num_val_batches) and validates_now(trainer):  # nothing to validate with
            self.keep(trainer, module)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, GenerativeModule)
        if not sum(trainer.num_val_batches) and module.images_seen > self.saved:
            self.keep(trainer, module)
        self.wait()

    def on_exception(
        self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Lets the last checkpoint become whole; the error that ends training comes before its
        own, of which only a line is left."""
        try:
            self.wait()
        except Exception as error:
            notice(f"genlab: warning: the last checkpoint could not be written ({error})")

    def choose(self, metrics: dict[str, float]) -> str | None:
        """The metric to monitor.

        Raises:
            ConfigError: The metric that was asked for is not there.
        """
        if self.monitor != "auto":
            if self.monitor not in metrics:
                raise ConfigError(
                    f"callbacks.checkpoints.monitor={self.monitor}: there is "
                    f"{', '.join(sorted(metrics)) or 'no metric'}"
                )
            return self.monitor
        distances = sorted(name for name in metrics if name.startswith(("quick/fd", "quick/fid")))
        return next((name for name in ("val/loss", *distances) if name in metrics), None)

    def improves(self, value: float) -> bool:
        """True if the value beats the best so far."""
        return value < self.best if self.mode == "min" else value > self.best

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_images": self.best_images, "metric": self.metric}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]
        self.best_images = state_dict["best_images"]
        self.metric = state_dict["metric"]


def validates_now(trainer: pl.Trainer) -> bool:
    """True where Lightning validates after the chunk that has just ended, if it has images to."""
    every = trainer.val_check_batch
    return isinstance(every, int) and (trainer.fit_loop.total_batch_idx + 1) % every == 0


def nonfinite_weights(module: GenerativeModule) -> str | None:
    """Names of what is to be saved and is not finite: weights, averages, moments."""
    parameters = dict(module.model.named_parameters())
    average = module.ema.model.named_parameters() if module.ema is not None else ()
    moments: list[Tensor] = [
        value
        for optimizer in module.trainer.optimizers
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, Tensor)
    ]
    everything = [*parameters.values(), *(p.detach() for _, p in average), *moments]
    # NaN and infinity survive a sum, which is read once and needs no memory; one wait for a GPU.
    sums = [t.detach().sum().to(module.device) for t in everything if t.is_floating_point()]
    if all_finite(torch.stack(sums)):
        return None
    found = [name for name, p in parameters.items() if not all_finite(p)]
    if not found and all_finite(everything):  # large numbers, whose sum alone is too large
        return None
    shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
    return shown or "in the average or the optimizer"
