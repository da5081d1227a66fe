"""What a logger must know about the run that it writes down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genlab.runs.directory import Run

__all__ = ["Context"]


@dataclass(frozen=True)
class Context:
    """A run, as its loggers see it.

    Args:
        run: The run directory.
        root: The directory that holds all runs; the local dashboard's store lies there.
        config: The resolved configuration as plain data, already without secrets.
        group: What the run belongs to: its sweep.
        job_type: ``train`` or what else the command is.
        tags: Words to find the run by.
    """

    run: Run
    root: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    group: str | None = None
    job_type: str = "train"
    tags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The run's path below the root: unique there, and what dashboards call the run."""
        path, root = self.run.path.resolve(), self.root.resolve()
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
