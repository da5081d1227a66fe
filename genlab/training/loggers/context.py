"""Context of a logger: the run that it writes down, with its configuration, group and tags."""

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
        root: The directory that holds all runs.
        config: The resolved configuration as plain data, already without secrets.
        group: The sweep that the run belongs to.
        job_type: ``train`` or what else the command is.
        tags: Words to find it by.
    """

    run: Run
    root: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    group: str | None = None
    job_type: str = "train"
    tags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The run's path below the root: unique there, and what trackers call the run."""
        return self.run.name_below(self.root)
