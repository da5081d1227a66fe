"""Checkpoints: written atomically, read as plain tensors, the last and the best of a run."""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import CheckpointIO
from torch import Tensor

from genlab.errors import ConfigError, DataError, NonFiniteError
from genlab.training.background import Writer
from genlab.training.loggers.context import notice
from genlab.training.module import GenerativeModule
from genlab.training.nonfinite import CURES, all_finite
from genlab.training.snapshot import snapshot
from genlab.training.storage import copy_file, flaw, sidecar, store

__all__ = ["GENERATIONS", "AtomicCheckpointIO", "Checkpoints", "newest", "read_checkpoint"]

GENERATIONS = ("last.ckpt", "previous.ckpt", "best.ckpt")
"""Where the state of a run is looked for, the newest first."""


class AtomicCheckpointIO(CheckpointIO):
    """Writes beside the target, flushes to disk and renames; reads tensors and plain data only.

    Lightning stages in the system's temporary directory and copies where that is on another file
    system: killed in the copy, it leaves half a file under the final name. Of ``last.ckpt`` the
    one before is kept as ``previous.ckpt``.

    With a `Writer` as Lightning's ``storage_options``, what the checkpoint holds now is copied, and
    the copy is written by the writer's thread: the same bytes by the same steps.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Writer | None = None
    ) -> None:
        if storage_options is None:
            write(checkpoint, Path(path))
        else:
            storage_options.submit(partial(write, snapshot(checkpoint), Path(path)))

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path), map_location or "cpu")

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)
        sidecar(Path(path)).unlink(missing_ok=True)


def write(checkpoint: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint; of the last one, the one before is kept."""
    keep = path.with_name("previous.ckpt") if path.name == "last.ckpt" else None
    store(path, lambda file: torch.save(checkpoint, file), keep)  # type: ignore[arg-type]


def read_checkpoint(path: Path, device: Any = "cpu") -> dict[str, Any]:
    """Reads a checkpoint that is whole, without running any code in it.

    Raises:
        DataError: The file is missing, is not what its sidecar says, or holds more than tensors
            and plain data.
    """
    refuse_code()
    if not path.is_file():
        raise DataError(f"{path} does not exist: the run has no such checkpoint")
    try:
        with path.open("rb") as file:
            wrong = flaw(path, file)
            if wrong is not None:
                raise DataError(f"{path} is damaged ({wrong})")
            checkpoint = torch.load(file, map_location=device, weights_only=True)
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from None
    except Exception as error:
        raise DataError(
            f"{path} is damaged or no checkpoint of genlab ({type(error).__name__})"
        ) from None
    if not isinstance(checkpoint, dict) or "genlab" not in checkpoint:
        raise DataError(f"{path} is no checkpoint of genlab: the key 'genlab' is missing")
    return checkpoint


def refuse_code() -> None:
    """Refuses what would make torch run code that a checkpoint holds, whatever it is told."""
    if os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        raise DataError(
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set, which lets a checkpoint run code: unset it"
        )


def newest(directory: Path) -> tuple[Path, dict[str, Any], list[str]] | None:
    """The newest checkpoint of a run that is whole.

    Returns:
        The file, what it holds, and what is wrong with newer ones; None if there is no checkpoint.

    Raises:
        DataError: There are some, but none is whole.
    """
    refuse_code()
    wrong: list[str] = []
    for name in GENERATIONS:
        path = directory / name
        if not path.exists():
            continue
        try:
            return path, read_checkpoint(path), wrong
        except DataError as error:
            wrong.append(str(error))
    if wrong:
        raise DataError("\n".join([*wrong, "no checkpoint of the run is whole: train it anew"]))
    return None


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
        """Where to; set by the train command."""
        self.best = math.inf if mode == "min" else -math.inf
        self.best_images: int | None = None
        self.metric: str | None = None
        self.latest: float | None = None
        """The monitored metric's last value."""
        self.seconds = 0.0
        """For which training stood still because of checkpoints, since the process began."""

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, GenerativeModule)
        if trainer.sanity_checking or self.directory is None or module.interrupted:
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
        if trainer.is_global_zero and (better or not best.exists()):
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
        """Does what must come after the last checkpoint, when that is written."""
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
        self.writer.check()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
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
        distances = sorted(name for name in metrics if name.startswith("quick/fd"))
        return next((name for name in ("val/loss", *distances) if name in metrics), None)

    def improves(self, value: float) -> bool:
        """Whether the value beats the best so far."""
        return value < self.best if self.mode == "min" else value > self.best

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_images": self.best_images, "metric": self.metric}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]
        self.best_images = state_dict["best_images"]
        self.metric = state_dict["metric"]


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
