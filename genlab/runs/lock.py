"""The lock of a run directory: one training process at a time."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genlab.errors import ConfigError
from genlab.runs.directory import Run
from genlab.runs.storage import adopt, sweep
from genlab.system.locks import Lock
from genlab.system.terminal import warn

__all__ = ["lock_run"]

UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}


@contextmanager
def lock_run(run: Run) -> Iterator[None]:
    """Keeps other training processes out, and clears away what a dead one left half written.

    The lock is the kernel's and goes with the process, however that ends.

    Raises:
        ConfigError: Another process trains this run; it is named.
    """
    lock = Lock(run.path / ".lock")
    try:
        if not lock.acquire(wait=False):
            raise ConfigError(
                f"run={run.shown()}: is being trained by {holder(lock.path)}; stop that, or wait"
            )
        os.ftruncate(lock.descriptor, 0)
        os.pwrite(lock.descriptor, f"process {os.getpid()} on {os.uname().nodename}".encode(), 0)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        warn(f"{run.shown()}: this file system has no locks: train the run in one process only")
    with lock:
        sweep(run.path)
        adopt(run.path / "checkpoints")
        yield


def holder(path: Path) -> str:
    """Who wrote its name into a lock."""
    return path.read_text(encoding="utf-8", errors="replace")[:100].strip() or "another process"
