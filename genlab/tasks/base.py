"""The interface of a task: something to do with a trained model."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from genlab.data.module import ImageDataModule
from genlab.errors import Unsupported
from genlab.modalities.base import Modality
from genlab.modalities.provenance import Kind
from genlab.models.base import GenerativeModel
from genlab.system.progress import Progress
from genlab.types import SamplingOptions

__all__ = ["Outcome", "Request", "Task", "Trained"]


class Trained(Protocol):
    """A trained model and what it was trained on."""

    @property
    def model(self) -> GenerativeModel:
        """The model, in evaluation mode."""

    @property
    def data(self) -> ImageDataModule:
        """The data, prepared but not read."""

    @property
    def modality(self) -> Modality:
        """Its kind."""


@dataclass(frozen=True)
class Request:
    """Options that all tasks share.

    Args:
        n: Examples wanted, about.
        seed: Key of all random streams.
        y: The conditions of n examples, for a conditional model.
        options: Of the family's sampling.
        batch: Examples at a time.
    """

    n: int
    seed: int
    y: Tensor | None
    options: SamplingOptions
    batch: int = 500


@dataclass(frozen=True)
class Outcome:
    """A task's result, on the scale of `Modality.display`, on the CPU.

    Args:
        x: Examples ``(n, ...)``; of a film frames of examples ``(frames, n, ...)``.
        columns: Examples a row, where rows mean something.
        film: Whether it is a film.
        kinds: What the examples are, in turn (of a table, what its columns are): ``synthetic``,
            ``real``, or ``composite`` where part of an example is real. What holds real ones does
            not say of itself that a model made it all.
    """

    x: Tensor
    columns: int | None = None
    film: bool = False
    kinds: tuple[Kind, ...] = ("synthetic",)


class Task(ABC):
    """Task performed with a trained model; its options are the arguments of its constructor.

    A task of the user's own is a subclass and a YAML in the config group ``task``.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    """The capabilities of `GenerativeModel` that it uses."""

    @abstractmethod
    def run(self, trained: Trained, request: Request, progress: Progress) -> Outcome:
        """Performs the task.

        Raises:
            Unsupported: This model cannot.
        """

    def check(self, model: GenerativeModel) -> None:
        """Refuses a model that lacks what the task needs.

        Raises:
            Unsupported: It does.
        """
        missing = [name for name in self.needs if not model.can(name)]
        if missing:
            raise Unsupported(
                f"task: {type(self).__name__} needs a model with {' and '.join(self.needs)}, and "
                f"{type(model).__name__} has no {', '.join(missing)}; genlab list models shows "
                "what each can do"
            )
