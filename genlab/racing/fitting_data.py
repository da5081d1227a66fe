"""Fit of a candidate to the data: in or out, and why."""

from dataclasses import dataclass
from typing import Any

from genlab.racing.race_settings import Candidate

__all__ = ["Facts", "why_in", "why_out"]


@dataclass(frozen=True)
class Facts:
    """What is known of the data before anything is trained.

    Args:
        kind: ``image``.
        shape: Of an example.
        levels: Values of an entry; None for real numbers.
        classes: Labels; 0 where the data has none.
        dims: Entries of an example.
        train_images: Examples to train on.
        val_images: Examples set aside.
        objective: The key of what decides, ``fd_digits_1k``.
        name: What is asked of a run, ``fd_digits``.
        better: ``lower`` or ``higher``.
        note: What is to be known of the objective.
    """

    kind: str
    shape: tuple[int, ...]
    levels: int | None
    classes: int
    dims: int
    train_images: int
    val_images: int
    objective: str
    name: str
    better: str = "lower"
    note: str = ""

    @classmethod
    def of(cls, content: dict[str, Any]) -> "Facts":
        """The facts as a journal holds them."""
        known = {key: content[key] for key in cls.__dataclass_fields__ if key in content}
        return cls(**known | {"shape": tuple(content["shape"])})

    @property
    def text(self) -> str:
        """In a line."""
        shape = "x".join(map(str, self.shape))
        labels = f"{self.classes} classes" if self.classes else "no labels"
        levels = "real numbers" if self.levels is None else f"{self.levels} levels"
        return f"{self.train_images:,} x {self.kind} {shape}, {levels}, {labels}"


def why_out(candidate: Candidate, facts: Facts) -> str | None:
    """Why a candidate does not suit the data; None if it does.

    Example:
        >>> facts = Facts("image", (1, 8, 8), 256, 0, 64, 500, 50, "fd_pixels", "fd_pixels")
        >>> why_out(Candidate(overrides=[], least_images=1000), facts)
        'wants 1,000 training images, there are 500'
    """
    if candidate.least_images is not None and facts.train_images < candidate.least_images:
        return f"wants {candidate.least_images:,} training images, there are {facts.train_images:,}"
    if candidate.most_dims is not None and facts.dims > candidate.most_dims:
        return f"is for at most {candidate.most_dims:,} values an image, these have {facts.dims:,}"
    if candidate.labels and not facts.classes:
        return "is conditional, and the data has no labels"
    return None


def why_in(candidate: Candidate, facts: Facts) -> str:
    """Why a candidate suits the data."""
    parts = [f"models {facts.kind} data of this shape"]
    if candidate.least_images is not None:
        parts.append(f"{facts.train_images:,} images are at least {candidate.least_images:,}")
    if candidate.most_dims is not None:
        parts.append(f"{facts.dims:,} values an image are at most {candidate.most_dims:,}")
    if candidate.labels:
        parts.append(f"{facts.classes} classes to be conditioned on")
    return ", ".join(parts)
