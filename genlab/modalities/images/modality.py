"""Images as a kind of data: grids, films, PNG files and arrays."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from genlab.errors import ConfigError
from genlab.modalities.base import Modality
from genlab.modalities.images.grid import compare, grid
from genlab.modalities.images.image_files import write_film, write_images
from genlab.modalities.images.levels import check_images, to_bytes
from genlab.modalities.rendering import Rendering

__all__ = ["ImageModality"]


class ImageModality(Modality):
    """Discrete images, uint8 ``(n, C, H, W)`` below the number of levels."""

    noun = "images"
    suffix = ".png"

    def check(self, x: Tensor, what: str) -> None:
        check_images(x, what)

    def display(self, x: Tensor) -> Tensor:
        """Images on the byte scale, 0 to 255."""
        return to_bytes(x, self.spec.levels)

    def render(self, shown: Tensor, columns: int | None = None) -> Rendering:
        return Rendering(grid(shown, columns=columns))

    def compare(self, first: Tensor, second: Tensor) -> Rendering:
        """Pairs of images, the second of each right below the first."""
        return Rendering(compare(first, second))

    def save(
        self, shown: Tensor, target: Path, columns: int | None, note: Mapping[str, Any]
    ) -> Path:
        """A ``.png`` holds a grid, a ``.npz`` an array, a folder one PNG an image."""
        return write_images(shown, target, columns, note)

    def check_target(self, target: Path) -> None:
        if target.suffix not in ("", ".png", ".npz", ".gif"):
            raise ConfigError(f"out={target}: a .png, a .npz, or a folder (no suffix) is needed")
        if target.suffix and target.is_dir():
            raise ConfigError(f"out={target}: is a folder; a file of this name cannot be written")

    def save_film(self, frames: Tensor, target: Path, note: Mapping[str, Any]) -> Path:
        """A ``.gif`` of grids that runs for ever."""
        return write_film(frames, target, note)

    def extractors(self) -> list[str]:
        return ["auto"]
