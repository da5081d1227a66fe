"""The checkpoint that a run resumes from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from genlab.errors import DataError
from genlab.runs.directory import Run
from genlab.runs.storage import set_aside
from genlab.system.paths import shown
from genlab.system.terminal import say, warn
from genlab.training.generative_module import GenerativeModule
from genlab.training.saving.checkpoint_io import GENERATIONS, newest

__all__ = ["ResumePoint", "find_resume_point"]

NEEDED = ("images_seen", "steps", "seconds", "schedule", "ema", "window", "window_start")
"""What a checkpoint must hold of the module's own state."""

OPTIONAL = {"skipped", "in_a_row", "skipped_at"}
"""What callbacks take for 0 where an older checkpoint lacks it: at that time there was no such."""


@dataclass(frozen=True)
class ResumePoint:
    """A checkpoint, read.

    Args:
        path: The file.
        checkpoint: What it holds.
    """

    path: Path
    checkpoint: dict[str, Any]

    @property
    def images_seen(self) -> int:
        """Images that it had seen."""
        return int(self.checkpoint["genlab"]["images_seen"])

    @property
    def validation_due(self) -> bool:
        """True if a signal kept it from a validation."""
        return bool(self.checkpoint["genlab"].get("validation_due"))

    def check(self, module: GenerativeModule, callbacks: Sequence[pl.Callback] = ()) -> None:
        """Refuses the checkpoint of another model, or one that lacks what training goes on from.

        Raises:
            DataError: It is one.
        """
        missing = [name for name in NEEDED if name not in self.checkpoint["genlab"]]
        kept = self.checkpoint.get("callbacks", {})
        for callback in callbacks:
            state = kept.get(callback.state_key)
            if isinstance(state, dict):  # else it is new in this session
                lacking = callback.state_dict().keys() - state.keys() - OPTIONAL
                missing += sorted(f"{type(callback).__name__}.{name}" for name in lacking)
        if missing:
            raise DataError(
                f"{self.path} was written by another version of genlab: it lacks "
                f"{', '.join(missing)}, so it cannot be resumed exactly. It can still be sampled, "
                f"evaluated, and be the start of a new run: init_from={shown(self.path.parents[1])}"
            )
        mine = {name: value.shape for name, value in module.state_dict().items()}
        theirs = {name: value.shape for name, value in self.checkpoint["state_dict"].items()}
        if mine != theirs:
            different = sorted(n for n in mine.keys() | theirs if mine.get(n) != theirs.get(n))
            raise DataError(
                f"{self.path} is the checkpoint of another model than config.yaml's "
                f"({different[0]} and {len(different) - 1} more tensors differ)"
            )


def find_resume_point(
    run: Run, module: GenerativeModule, first: bool, callbacks: Sequence[pl.Callback] = ()
) -> ResumePoint | None:
    """The newest checkpoint of a run that is whole; None if it has none yet.

    A damaged one is set aside, so that it does not become a generation that is kept.

    Raises:
        DataError: None is whole, or it is of another model.
    """
    found = newest(run.checkpoint().parent)
    if found is None:
        say("       stopped before its first checkpoint: it starts again") if first else None
        return None
    path, checkpoint, wrong = found
    point = ResumePoint(path, checkpoint)
    if wrong and first:
        for name in GENERATIONS[: GENERATIONS.index(path.name)]:
            set_aside(path.with_name(name))
        for problem in wrong:
            warn(f"{problem}; goes on from {path.name}, of {point.images_seen:,} images")
    point.check(module, callbacks)
    return point
