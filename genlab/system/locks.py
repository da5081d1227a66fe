"""File locks that tell whether a process still lives: the kernel frees them when it dies."""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

__all__ = ["Lock", "is_held"]


class Lock:
    """An exclusive lock on a file, held until it is released and by everyone who inherited it.

    It belongs to the open file, not to a process: a child that is given the descriptor holds it,
    too, so that it stays locked when its parent is killed and the child is not.

    Args:
        path: The file; it is made if it does not exist, and stays.
    """

    def __init__(self, path: Path):
        self.path = path
        self.descriptor = -1

    def acquire(self, wait: bool = True, waiting: Callable[[], None] | None = None) -> bool:
        """Takes the lock.

        Args:
            wait: Wait for another holder to be gone.
            waiting: Called once if there is one that does not go at once.

        Returns:
            Whether it is held now.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        started, told = time.monotonic(), waiting is None
        while True:
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if not wait:
                    self.release()
                    return False
            # Someone may only have looked whether it is held: that takes no second.
            if not told and waiting is not None and time.monotonic() - started > 1:
                waiting()
                told = True
            time.sleep(0.05)

    def release(self) -> None:
        """Gives it up; another holder of the same open file keeps it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> "Lock":
        if self.descriptor < 0:
            self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.release()


def is_held(path: Path) -> bool:
    """True if somebody holds the lock of this file; makes no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
