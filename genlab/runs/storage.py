"""Files that survive a kill at any moment, whole or not by a SHA-256 beside them.

Of ``last.ckpt`` two generations are kept, the one before as ``previous.ckpt``. The sidecar of
each, ``last.ckpt.sha256``, is what ``sha256sum -c`` reads. While a file is replaced, its sidecar
names the new content and the old one: whichever of the two a kill leaves is known to be whole.
"""

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

__all__ = [
    "adopt",
    "copy_file",
    "digests",
    "flaw",
    "set_aside",
    "sidecar",
    "store",
    "sweep",
    "temporary",
]

STALE = re.compile(r"\.(.+)\.(\d+)\.tmp")
DIGEST = re.compile(r"([0-9a-f]{64})  \S.*")


class Hashed:
    """A file to write to that hashes what it is given, and remembers why it could not be written.

    Args:
        file: The file.
    """

    def __init__(self, file: IO[bytes]):
        self.file = file
        self.hash = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, content: bytes) -> int:
        """Writes all of it."""
        try:
            self.file.write(content)
        except OSError as error:
            self.error = error  # torch.save says something else of it
            raise
        self.hash.update(content)
        return len(content)

    def flush(self) -> None:
        """Flush that `torch.save` calls at the end."""
        self.file.flush()


def temporary(path: Path) -> Path:
    """Path of a file before it gets its name: beside it, as a rename must stay within a
    file system."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def sidecar(path: Path) -> Path:
    """The file that holds a file's SHA-256."""
    return path.with_name(f"{path.name}.sha256")


def digests(path: Path) -> list[str]:
    """The SHA-256 that a file may have, none if its sidecar is missing or damaged."""
    try:
        lines = sidecar(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [match[1] for line in lines if (match := DIGEST.fullmatch(line))]


def flaw(path: Path, file: Any) -> str | None:
    """Problems of a file by its sidecar; None if it is whole.

    A directory without any sidecar was written before there were any, and is taken as it is.

    Args:
        path: The file.
        file: The same, opened; left at its start.
    """
    if not any(path.parent.glob("*.sha256")):
        return None
    known = digests(path)
    if not known:
        return f"{sidecar(path).name} is missing or damaged"
    found = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    if found in known:
        return None
    return f"SHA-256 {found[:12]}... instead of {known[0][:12]}..."


def store(path: Path, write: Callable[[Hashed], None], keep: Path | None = None) -> None:
    """Writes a file and its sidecar; after a kill at any moment, the old file or the new is whole.

    Args:
        path: The file.
        write: Writes the content.
        keep: What the file that was there before is called from then on.

    Raises:
        OSError: It cannot be written; what was there is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = temporary(path)
    try:
        with part.open("wb") as file:
            hashed = Hashed(file)
            try:
                write(hashed)
            except Exception:
                if hashed.error is not None:
                    raise hashed.error from None
                raise
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            copy_file(path, keep)
        exchange(part, path, [hashed.hash.hexdigest()])
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = error.filename or str(path)
        raise


def copy_file(source: Path, target: Path) -> None:
    """Makes target the same file as source, sidecar and all, without writing the content again.

    The next `store` of the source replaces its name, not this content.
    """
    part = temporary(target)
    part.unlink(missing_ok=True)
    try:
        os.link(source, part)
    except OSError:  # a file system without hard links
        try:
            with source.open("rb") as old, part.open("wb") as new:
                while block := old.read(1 << 20):
                    new.write(block)
                new.flush()
                os.fsync(new.fileno())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    exchange(part, target, digests(source))


def exchange(part: Path, target: Path, new: list[str]) -> None:
    """Gives a finished file its name, and its sidecar the digests that it may have."""
    both = [*new, *(old for old in digests(target) if old not in new)] if target.exists() else new
    note(target, both, lasting=True)
    part.replace(target)
    synchronize(target.parent)
    if both != new:
        note(target, new, lasting=False)


def note(path: Path, found: list[str], lasting: bool) -> None:
    """Writes a sidecar atomically; where it must be on the disk before what follows, it is."""
    beside = sidecar(path)
    part = temporary(beside)
    try:
        with part.open("w", encoding="utf-8") as file:
            file.writelines(f"{digest}  {path.name}\n" for digest in found)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        part.replace(beside)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def synchronize(directory: Path) -> None:
    """Brings a directory's names to the disk: without, a power cut may undo a rename."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_aside(path: Path) -> None:
    """Takes a damaged file out of the way, and keeps it for whoever wants to look into it."""
    if path.exists():
        path.replace(path.with_name(f"{path.name}.damaged"))
        sidecar(path).unlink(missing_ok=True)


def adopt(directory: Path) -> None:
    """Gives checkpoints from before there were sidecars their own."""
    if not any(directory.glob("*.sha256")):
        for path in directory.glob("*.ckpt"):
            with path.open("rb") as file:
                note(path, [hashlib.file_digest(file, "sha256").hexdigest()], lasting=True)


def sweep(directory: Path) -> list[Path]:
    """Removes the temporary files below a directory whose writer is gone.

    Returns:
        What was removed.
    """
    removed = []
    for path in sorted(directory.rglob(".*.tmp")):
        match = STALE.fullmatch(path.name)
        if match and path.is_file() and not writes(int(match[2])):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def writes(process: int) -> bool:
    """True if another process of that number may still be writing."""
    if process == os.getpid():
        return False  # it has only just begun
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
