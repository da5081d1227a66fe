"""The interface of a kind of data: how it is checked, shown, saved and counted."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from genlab.errors import Unsupported
from genlab.modalities.rendering import Rendering
from genlab.types import Spec

__all__ = ["Modality"]


class Modality(ABC):
    """One kind of data. The program asks it wherever examples meet a person or a file.

    A kind of the user's own is a subclass, chosen with ``modality=NAME`` in the config.

    Args:
        spec: Kind and geometry of the data.
    """

    noun: ClassVar[str] = "examples"
    """What several of them are called."""

    suffix: ClassVar[str] = ".npz"
    """Of the file that examples are saved to if nothing else is asked for."""

    def __init__(self, spec: Spec):
        self.spec: Any = spec

    @abstractmethod
    def check(self, x: Tensor, what: str) -> None:
        """Refuses what are no examples of this kind.

        Args:
            x: ``(n, *spec.shape)``.
            what: What they are called in the error.

        Raises:
            DataError: They are none.
        """

    def display(self, x: Tensor) -> Tensor:
        """Examples on the scale on which they are saved, shown and measured."""
        return x

    @abstractmethod
    def render(self, shown: Tensor, columns: int | None = None) -> Rendering:
        """Examples for a person.

        Args:
            shown: What `display` returned.
            columns: Examples a row, where they lie in rows.
        """

    def compare(self, first: Tensor, second: Tensor) -> Rendering:
        """Examples, each beside its counterpart (its reconstruction), as `display` returned them.

        Raises:
            Unsupported: This kind has no such view.
        """
        raise Unsupported(f"{self.noun} are not shown in pairs")

    @abstractmethod
    def save(
        self, shown: Tensor, target: Path, columns: int | None, note: Mapping[str, Any]
    ) -> Path:
        """Writes examples in the form that the target's name asks for.

        Args:
            shown: What `display` returned.
            target: The file or folder.
            columns: Examples a row, where they lie in rows.
            note: Where they come from; kept in the file.

        Returns:
            The file or folder.

        Raises:
            ConfigError: The name asks for something else, or cannot be written to.
        """

    def check_target(self, target: Path) -> None:
        """Refuses a target that `save` and `save_film` would, before anything is drawn for it.

        Raises:
            ConfigError: The name asks for something else, or is a folder's.
        """
        return

    def save_film(self, frames: Tensor, target: Path, note: Mapping[str, Any]) -> Path:
        """Writes frames ``(frames, n, ...)``, each of examples as `display` returned them.

        Raises:
            Unsupported: There is no film of this kind of data.
            ConfigError: As `save`.
        """
        raise Unsupported(f"there is no film of {self.noun}")

    def extractors(self) -> list[str]:
        """Names of the extractors in whose features sets of them are compared by default."""
        return []
