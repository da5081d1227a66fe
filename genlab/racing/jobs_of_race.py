"""Jobs of a race and what comes of them: plain data between the race and its workers."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

__all__ = ["ITEMS", "Job", "Outcome", "Runner", "items_of"]

ITEMS = "evaluation/race_items.json"
"""File in a run's directory of what each test image gave it, where a likelihood decides."""


@dataclass(frozen=True)
class Job:
    """Something that a worker does.

    Args:
        kind: ``inspect`` looks at the data, ``profile`` trains the first steps, ``rung`` trains up
            to an amount and measures.
        candidate: Its name.
        seed: Of the run.
        overrides: What begins the run.
        directory: The run's, below that of the race.
        amount: Training since the beginning.
        unit: Of the amount: ``seconds`` or ``images``.
        rung: Number of the rung.
        objective: What is measured.
        samples: How many samples, or images, measure it.
        split: The images whose likelihood is measured.
        chunk: Optimizer steps in a step of the trainer: an amount in seconds ends after one.
        timeout: Seconds after which it is given up; None never.
    """

    kind: Literal["inspect", "profile", "rung"]
    candidate: str
    seed: int
    overrides: tuple[str, ...]
    directory: str
    amount: float = 0.0
    unit: str = "seconds"
    rung: int = 0
    objective: str = "fd"
    samples: int = 0
    split: str = "val"
    chunk: int = 16
    timeout: float | None = None

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Args:
        job: The job.
        values: What was found; see `genlab.experiment.race_jobs`.
        failed: Why it failed, None if it did not.
    """

    job: Job
    values: dict[str, Any] = field(default_factory=dict)
    failed: str | None = None


class Runner(Protocol):
    """Runs jobs, several at a time, and yields each outcome as it comes."""

    def __call__(self, jobs: Sequence[Job]) -> Iterator[Outcome]: ...


def items_of(run: Path) -> list[float]:
    """What each test image gave a run; empty without."""
    file = run / ITEMS
    return list(json.loads(file.read_text(encoding="utf-8"))["items"]) if file.is_file() else []
