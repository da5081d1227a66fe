"""Snapshots of power-function averages on the disk, and the averages reconstructed from them.

    checkpoints/ema/000055000.ckpt    the averages after 55,000 images, its SHA-256 beside it

A snapshot is written as a checkpoint is: under another name, flushed, renamed.
"""

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genlab.errors import DataError
from genlab.runs.storage import sidecar
from genlab.training.saving.checkpoint_io import read_checkpoint, write
from genlab.training.step.power_profile import LIMIT, coefficients, exponent

__all__ = ["FOLDER", "TOLERANCE", "Profiles", "drop_newer", "snapshots", "write_snapshot"]

FOLDER = "ema"
"""Below a run's checkpoints."""

NAME = re.compile(r"\d{9,}\.ckpt")

TOLERANCE = 0.1
"""Largest distance from the wanted profile, as a share of its norm, that is handed out."""


def snapshots(checkpoints: Path) -> dict[int, Path]:
    """A run's snapshots by the images seen, the oldest first; what is half-written is none."""
    found = (checkpoints / FOLDER).glob("*.ckpt")
    return {int(p.stem): p for p in sorted(found) if NAME.fullmatch(p.name)}


def write_snapshot(checkpoints: Path, state: dict[str, Any]) -> Path:
    """Writes what `PowerAverages.state_dict` says, and returns the file."""
    images = state["images"]
    path = checkpoints / FOLDER / f"{images:09d}.ckpt"
    write({"genlab": {"images_seen": images}, **state}, path)
    return path


def drop_newer(checkpoints: Path, images_seen: int) -> None:
    """Removes the snapshots of what a run that goes on from some images has yet to do again."""
    for images, path in snapshots(checkpoints).items():
        if images > images_seen:
            path.unlink()
            sidecar(path).unlink(missing_ok=True)


class Profiles:
    """The averages that a run has stored up to one of its checkpoints.

    Args:
        checkpoints: The folder of the run's checkpoints.
        state: What the checkpoint itself holds of them, from `PowerAverages.state_dict`; the
            reconstructed averages end where these do.
    """

    def __init__(self, checkpoints: Path, state: dict[str, Any]):
        self.end: int = state["images"]
        self.newest: dict[float, dict[str, Tensor]] = state["averages"]
        older = snapshots(checkpoints).items()
        self.files = {images: path for images, path in older if images < self.end}
        times = [*self.files, self.end]
        self.ends = [time for time in times for _ in self.newest]
        self.gammas = [exponent(width) for _ in times for width in self.newest]

    def distance(self, width: float) -> float:
        """Distance of the nearest sum of the stored profiles from one of a width, by its norm."""
        return coefficients(self.ends, self.gammas, self.end, exponent(width))[1]

    def reachable(self) -> tuple[float, float]:
        """Smallest and largest width, to three decimals, that come within the tolerance."""
        grid = [k / 1000 for k in range(10, int(1000 * LIMIT) + 1)]
        good = [width for width in grid if self.distance(width) <= TOLERANCE]
        low, high = min(self.newest), max(self.newest)
        return min([low, *good]), max([high, *good])

    def reconstruct(self, width: float) -> dict[str, Tensor]:
        """The weights averaged by the profile of a width; one snapshot is in memory at a time.

        Raises:
            DataError: A snapshot is damaged, or of another model.
        """
        found, _ = coefficients(self.ends, self.gammas, self.end, exponent(width))
        parts = iter(found.tolist())
        total = {n: torch.zeros_like(t, dtype=torch.float64) for n, t in self.first.items()}

        def add(averages: dict[float, dict[str, Tensor]]) -> None:
            for stored in self.newest:
                share = next(parts)
                for name, tensor in averages[stored].items():
                    total[name] += share * tensor.to(torch.float64)

        for path in self.files.values():
            try:
                add(self.read(path))
            except (KeyError, RuntimeError):
                raise DataError(f"{path} is a snapshot of another run; remove it") from None
        add(self.newest)
        return {name: total[name].to(tensor.dtype) for name, tensor in self.first.items()}

    @property
    def first(self) -> dict[str, Tensor]:
        """One of the averages, for its names and shapes."""
        return next(iter(self.newest.values()))

    def read(self, path: Path) -> dict[float, dict[str, Tensor]]:
        """The averages of a snapshot that is whole."""
        try:
            averages: dict[float, dict[str, Tensor]] = read_checkpoint(path)["averages"]
        except DataError as error:
            raise DataError(f"{error}; without this file the others are used") from None
        return averages
