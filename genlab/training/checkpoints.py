"""Checkpoints: written atomically, read as plain tensors, the last and the best of a run."""

import io
import math
import os
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import CheckpointIO

from genlab.errors import ConfigError, DataError
from genlab.runs import write_atomically
from genlab.training.module import GenerativeModule

__all__ = ["AtomicCheckpointIO", "Checkpoints", "read_checkpoint"]


class AtomicCheckpointIO(CheckpointIO):
    """Writes beside the target, flushes to disk and renames; reads tensors and plain data only.

    Lightning stages in the system's temporary directory and copies where that is on another file
    system: killed in the copy, it leaves half a file under the final name.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_atomically(Path(path), content.getvalue())

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path), map_location or "cpu")

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def read_checkpoint(path: Path, device: Any = "cpu") -> dict[str, Any]:
    """Reads a checkpoint without running any code in it.

    Raises:
        DataError: The file is missing, damaged, or holds more than tensors and plain data.
    """
    if os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        raise DataError(
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set, which lets a checkpoint run code: unset it"
        )
    if not path.is_file():
        raise DataError(f"{path} does not exist: the run has no such checkpoint")
    try:
        checkpoint = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise DataError(
            f"{path} is damaged or no checkpoint of genlab ({type(error).__name__})"
        ) from None
    if not isinstance(checkpoint, dict) or "genlab" not in checkpoint:
        raise DataError(f"{path} is no checkpoint of genlab: the key 'genlab' is missing")
    return checkpoint


class Checkpoints(pl.Callback):
    """Keeps the last checkpoint and the best one, after each validation.

    The state of a run lies between two chunks, when the metrics of the validation are known. A
    checkpoint is never the state inside a step, and never holds a number that is not finite.

    Args:
        monitor: The metric that makes the best; ``auto``: ``val/loss`` where the family has one,
            else the Fréchet distance of the quick metrics.
        mode: Whether ``min`` or ``max`` is best.
    """

    def __init__(self, monitor: str = "auto", mode: Literal["min", "max"] = "min"):
        self.monitor = monitor
        self.mode = mode
        self.directory: Path | None = None
        """Where to; set by the train command."""
        self.best = math.inf if mode == "min" else -math.inf
        self.best_images: int | None = None
        self.metric: str | None = None
        self.latest: float | None = None
        """The monitored metric's last value."""

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, GenerativeModule)
        if trainer.sanity_checking or self.directory is None or module.interrupted:
            return
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items()}
        self.metric = self.metric or self.choose(metrics)
        value = metrics.get(self.metric) if self.metric else None
        self.latest = value if value is not None and math.isfinite(value) else None
        better = value is not None and math.isfinite(value) and self.improves(value)
        if better and value is not None:
            self.best, self.best_images = value, module.images_seen
        self.save(trainer)
        if better or not (self.directory / "best.ckpt").exists():
            link(self.directory / "last.ckpt", self.directory / "best.ckpt")

    def save(self, trainer: pl.Trainer) -> None:
        """Writes the last checkpoint; every process must call it."""
        if self.directory is not None:
            trainer.save_checkpoint(self.directory / "last.ckpt", weights_only=False)

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


def link(source: Path, target: Path) -> None:
    """Makes target the same file as source, atomically, without writing the content again.

    The next save of the source replaces its name, not this content.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    part.unlink(missing_ok=True)
    try:
        os.link(source, part)
    except OSError:  # a file system without hard links
        write_atomically(target, source.read_bytes())
        return
    part.replace(target)
