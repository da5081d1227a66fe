"""Room on a disk: looked for before training, and explained when it ran out in the middle of it."""

import errno
import os
import shutil
from pathlib import Path

import torch
from torch import Tensor

from genlab.errors import ConfigError, StorageError
from genlab.runs.storage import temporary
from genlab.training.generative_module import GenerativeModule
from genlab.training.saving.checkpoint_io import GENERATIONS

__all__ = ["check_room", "checkpoint_bytes", "explain", "snapshot_bytes"]

MARGIN = 20_000_000
"""Bytes for what else a run writes: history, pictures, reports."""

STORAGE = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EIO", "EACCES", "EPERM", "ESTALE")
    if hasattr(errno, name)
}
"""Error numbers that mean a failing disk, not a mistake in a program."""


def checkpoint_bytes(module: GenerativeModule, averages: int = 0) -> int:
    """About the size of a checkpoint: weights, their average, and two moments of each weight.

    Args:
        module: The module.
        averages: Copies of the trained weights beside these.
    """
    state = [t for t in module.model.state_dict().values() if isinstance(t, Tensor)]
    trained = [p for p in module.model.parameters() if p.requires_grad]
    copies = 1 if module.ema is None else 2
    return copies * size(state) + (2 + averages) * size(trained)


def snapshot_bytes(module: GenerativeModule, averages: int, interval: int) -> int:
    """Size of all snapshots of a run of known length; of one that only time ends, of one of them.

    Args:
        module: The module.
        averages: Averages in each.
        interval: Images between two.
    """
    trained = [p for p in module.model.parameters() if p.requires_grad]
    return -(-(module.max_images or 1) // interval) * averages * size(trained)


def size(tensors: list[Tensor] | list[torch.nn.Parameter]) -> int:
    """Bytes of tensors."""
    return sum(t.numel() * t.element_size() for t in tensors)


def check_room(directory: Path, checkpoint: int, key: str, beside: int = 0) -> None:
    """Refuses to start where checkpoints cannot be written or will not fit.

    Args:
        directory: Where to; made if it does not exist.
        checkpoint: Bytes of one; as many as there are generations and one in the making must fit,
            less those that the directory's run has already.
        key: What the user typed to choose the directory.
        beside: Bytes of the snapshots of averages that a run keeps beside its checkpoints.

    Raises:
        ConfigError: It cannot be written to, or too little is free.
    """
    probe = temporary(directory / "probe")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(directory).free
        need = (len(GENERATIONS) + 1) * checkpoint + beside + MARGIN - taken(directory)
        if free < need:
            more = f" and {megabytes(beside)} of snapshots of averages" if beside else ""
            raise ConfigError(
                f"{key}: {megabytes(need)} are needed for checkpoints of "
                f"{megabytes(checkpoint)}{more}, and {megabytes(free)} are free; make room, or "
                "choose another disk with root=DIR"
            )
        with probe.open("wb") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(f"{key}: cannot be written to ({error.strerror})") from None
    finally:
        if probe.exists():
            probe.unlink()


def taken(directory: Path) -> int:
    """Bytes of the checkpoints that are there, which new ones replace; links count once."""
    found = [path.stat() for path in (directory / "checkpoints").rglob("*.ckpt")]
    return sum({stat.st_ino: stat.st_size for stat in found}.values())


def explain(error: OSError, run: str, kept: str | None, resume: str) -> StorageError | None:
    """Message about a disk that failed in the middle of training; None if it was no disk.

    Args:
        error: What the system said.
        run: The run directory as a person would type it.
        kept: What the newest whole checkpoint is, for a person.
        resume: How to resume, a line and a command.
    """
    if error.errno not in STORAGE:
        return None
    where = error.filename or run
    free = ""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        try:
            free = f", {megabytes(shutil.disk_usage(run).free)} are free"
        except OSError as unknown:
            free = f", what is free is unknown ({unknown.strerror})"
    whole = kept or "there was no checkpoint yet"
    return StorageError(
        f"{where} could not be written ({error.strerror}{free}); {whole}; when there is room, "
        f"{resume}"
    )


def megabytes(count: int) -> str:
    """Bytes for a person.

    Example:
        >>> megabytes(12_345_678)
        '12.3 MB'
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
