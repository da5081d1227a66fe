"""The interface of what a task works on: a trained model and its data."""

from typing import Protocol

from genlab.data.module import ImageDataModule
from genlab.models.base import GenerativeModel

__all__ = ["Trained"]


class Trained(Protocol):
    """A trained model and the data that it was trained on."""

    @property
    def model(self) -> GenerativeModel:
        """The model, in evaluation mode."""

    @property
    def data(self) -> ImageDataModule:
        """The data, prepared but not read."""
