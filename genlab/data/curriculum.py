"""Curricula: coarse images or few classes first, by images seen.

Reference: Bengio, Louradour, Collobert and Weston (2009), Curriculum learning.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.errors import ConfigError
from genlab.ranges import NonNegativeInt, PositiveInt

__all__ = ["ClassOrder", "Curriculum", "Resolution"]


class Curriculum:
    """Schedule of the training images that are shown; this one shows all from the start."""

    shows: ClassVar[bool] = False
    """True if `show` changes images."""

    def bind(self, y: Tensor | None) -> None:
        """Takes the labels of all training images, ``(N,)``, before any other method is called.

        Raises:
            ConfigError: The curriculum needs other labels.
        """

    def stage(self, position: int) -> int:
        """Number of the stage after ``position`` images seen, from 0; each has its own order."""
        return 0

    def start(self, stage: int) -> int:
        """Images seen before the stage."""
        return 0

    def candidates(self, stage: int, y: Tensor | None) -> Tensor | None:
        """Indices of the images that are shown in a stage; None for all.

        Args:
            stage: The stage.
            y: The labels of all training images, ``(N,)``.
        """
        return None

    def show(self, x: Tensor, position: int) -> Tensor:
        """Images as they are shown after ``position`` images seen, uint8 ``(B, C, H, W)``."""
        return x


class Resolution(Curriculum):
    """Curriculum of resolutions: images averaged down to a size, and enlarged again to their own.

    The shape never changes, so that any family can be trained.

    Args:
        sizes: Height and width of the stages, such as ``[7, 14]``; full size follows.
        until: Images seen at the end of each stage, such as ``[50000, 150000]``.
        enlarge: How images are enlarged again.

    Raises:
        ConfigError: The two lists differ in length or are not in order.
    """

    shows = True

    def __init__(
        self,
        sizes: list[PositiveInt],
        until: list[PositiveInt],
        enlarge: Literal["nearest", "bilinear"] = "nearest",
    ):
        if len(sizes) != len(until) or list(until) != sorted(set(until)):
            raise ConfigError(
                f"curriculum.until={list(until)}: must be {len(sizes)} rising numbers of images, "
                f"one for each of curriculum.sizes={list(sizes)}"
            )
        self.sizes = tuple(sizes)
        self.until = tuple(until)
        self.enlarge = enlarge

    def show(self, x: Tensor, position: int) -> Tensor:
        height, width = x.shape[-2:]
        size = next((s for s, end in zip(self.sizes, self.until, strict=True) if position < end), 0)
        if size == 0 or size >= max(height, width):
            return x
        small = F.adaptive_avg_pool2d(x.float(), (min(size, height), min(size, width)))
        large = (
            F.interpolate(small, (height, width), mode="bilinear", align_corners=False)
            if self.enlarge == "bilinear"
            else F.interpolate(small, (height, width), mode="nearest")
        )
        return large.round_().to(torch.uint8)


class ClassOrder(Curriculum):
    """Curriculum of classes: few first, then one more at a time.

    Args:
        first: Number of classes at the start.
        every: Images seen between one more class and the next.
        order: The classes in the order of their coming; 0, 1, 2, ... if None.
    """

    def __init__(
        self,
        first: PositiveInt = 2,
        every: PositiveInt = 20_000,
        order: list[NonNegativeInt] | None = None,
    ):
        self.first = first
        self.every = every
        self.order = tuple(order or ())
        self.classes: tuple[int, ...] = ()

    def bind(self, y: Tensor | None) -> None:
        if y is None:
            raise ConfigError("curriculum=classes needs labels, and this data set has none")
        present = y.unique().tolist()
        unknown = sorted(set(self.order) - set(present))
        if unknown:
            raise ConfigError(
                f"curriculum.order={list(self.order)}: no images of {unknown}; "
                f"there are the classes {present}"
            )
        self.classes = (*self.order, *(label for label in present if label not in self.order))

    def stage(self, position: int) -> int:
        return min(position // self.every, max(0, len(self.classes) - self.first))

    def start(self, stage: int) -> int:
        return stage * self.every

    def candidates(self, stage: int, y: Tensor | None) -> Tensor | None:
        assert y is not None, "bind has seen to it"
        shown = torch.tensor(self.classes[: self.first + stage])
        return torch.isin(y, shown).nonzero()[:, 0]
