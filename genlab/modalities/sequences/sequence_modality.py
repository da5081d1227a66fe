"""Sequences as a kind of data: lines of text, text files and arrays."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from genlab.errors import ConfigError, DataError
from genlab.modalities.base import Modality
from genlab.modalities.provenance import write_sidecar
from genlab.modalities.rendering import Rendering
from genlab.modalities.sequences.characters import decode
from genlab.system.paths import write_atomically

__all__ = ["SequenceModality"]

RULE = "-" * 72
"""Line between two texts."""


class SequenceModality(Modality):
    """Sequences of ids ``(n, length)``, shown as their characters, or as numbers without any."""

    noun = "sequences"
    suffix = ".txt"

    def check(self, x: Tensor, what: str) -> None:
        levels, shape = self.spec.levels, self.spec.shape
        if x.dtype != self.spec.dtype or x.ndim != 2 or tuple(x.shape[1:]) != shape:
            raise DataError(
                f"{what}: expected {self.spec.dtype} ids of shape (n, {shape[0]}), found "
                f"{x.dtype} of shape {tuple(x.shape)}"
            )
        if x.numel() and not 0 <= int(x.min()) <= int(x.max()) < levels:
            raise DataError(
                f"{what}: ids from 0 to {levels - 1} are needed, found {int(x.min())} to "
                f"{int(x.max())}"
            )

    def texts(self, x: Tensor) -> list[str]:
        """The text of each sequence ``(n, length)``."""
        if self.spec.vocabulary is not None:
            return decode(x, self.spec.vocabulary)
        return [" ".join(map(str, row)) for row in x.tolist()]

    def render(self, shown: Tensor, columns: int | None = None) -> Rendering:
        """Texts below each other, with a rule between two of them."""
        return Rendering(text=f"\n{RULE}\n".join(self.texts(shown)))

    def compare(self, first: Tensor, second: Tensor) -> Rendering:
        """Pairs of texts, the second of each right below the first."""
        pairs = zip(self.texts(first), self.texts(second), strict=True)
        return Rendering(text=f"\n{RULE}\n".join(f"{a}\n=>\n{b}" for a, b in pairs))

    def save(
        self, shown: Tensor, target: Path, columns: int | None, note: Mapping[str, Any]
    ) -> Path:
        """A ``.txt`` holds the texts, a ``.npz`` the ids; the note lies beside it."""
        self.check_target(target)
        if target.suffix == ".txt":
            text = self.render(shown).text
            assert text is not None
            write_atomically(target, text.encode() + b"\n")
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(target, ids=shown.numpy())
        write_sidecar(target, note)
        return target

    def check_target(self, target: Path) -> None:
        if target.suffix not in (".txt", ".npz"):
            raise ConfigError(f"out={target}: a .txt or a .npz is needed")
        if target.is_dir():
            raise ConfigError(f"out={target}: is a folder; a file of this name cannot be written")
