"""Checkpoint files: written atomically, read as plain tensors."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import CheckpointIO

from genlab.errors import DataError
from genlab.runs.storage import flaw, sidecar, store
from genlab.training.saving.background import Writer
from genlab.training.saving.snapshot import snapshot

__all__ = ["GENERATIONS", "AtomicCheckpointIO", "newest", "read_checkpoint", "refuse_code", "write"]

GENERATIONS = ("last.ckpt", "previous.ckpt", "best.ckpt")
"""Places of a run's state, the newest first."""


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
