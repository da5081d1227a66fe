"""Models that complete images: they keep pixels that are given, and draw the others."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from genlab.errors import ConfigError
from genlab.models.base import GenerativeModel
from genlab.types import ImageSpec, OnProgress, SamplingOptions

__all__ = ["Completing"]


class Completing(GenerativeModel):
    """A model that draws an image in steps, and can begin with some of its pixels.

    A family defines `loss` and `_complete`; what is given to `complete` is checked here.
    """

    draws_in_steps = True
    spec: ImageSpec

    @abstractmethod
    def _complete(
        self,
        x: Tensor,
        known: Tensor,
        y: Tensor | None,
        generator: torch.Generator | None,
        options: Any,
    ) -> Tensor:
        """Draws the pixels outside a mask ``(H, W)``, which lies on the CPU."""

    def draw(
        self, n: int, y: Tensor | None, generator: torch.Generator | None, options: Any
    ) -> Tensor:
        """Completes images of which no pixel is known."""
        x = torch.zeros(n, *self.spec.shape, dtype=torch.uint8, device=self.device)
        known = torch.zeros(self.spec.height, self.spec.width, dtype=torch.bool)
        return self._complete(x, known, y, generator, options)

    @torch.no_grad()
    def complete(
        self,
        x: Tensor,
        known: int | Tensor,
        y: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
        options: SamplingOptions | None = None,
        on_progress: OnProgress | None = None,
    ) -> Tensor:
        """Keeps pixels of images, and draws the others given them.

        Args:
            x: Images, uint8 ``(B, C, H, W)``; what is in the other pixels does not matter.
            known: How many pixels are kept, in raster order; or a mask ``(H, W)`` of them.
            y: Labels ``(B,)``, if the model is conditional.
            generator, options, on_progress: As for `sample`.

        Returns:
            uint8 ``(B, C, H, W)``.

        Raises:
            ConfigError: Images that do not suit the model, or pixels that it cannot begin with.
        """
        options = self._check_options(options)
        mask = known_mask(known, self.spec.height, self.spec.width).cpu()
        x = self._checked(x).to(self.device)
        kept = x[:, :, mask]
        if kept.numel() and int(kept.max()) >= self.spec.levels:
            raise ConfigError(f"the images' values must be below {self.spec.levels}, the levels")
        y = self._check_condition(y, len(x))
        with self.evaluating(), self.reporting(on_progress):
            return self._complete(x, mask, y, generator, options)

    def _checked(self, x: Tensor) -> Tensor:
        """Images that are what they should be.

        Raises:
            ConfigError: Not uint8, or of another shape.
        """
        if x.dtype != torch.uint8:
            raise ConfigError(f"images must be uint8, 0 to {self.spec.levels - 1}, not {x.dtype}")
        if x.shape[1:] != self.spec.shape:
            raise ConfigError(
                f"images must be of shape {self.spec.shape}, not {tuple(x.shape[1:])}"
            )
        return x


def known_mask(known: int | Tensor, height: int, width: int) -> Tensor:
    """The mask ``(H, W)`` of known pixels.

    Args:
        known: How many, in raster order; or the mask itself.
        height: Of an image.
        width: Of an image.

    Raises:
        ConfigError: More than there are, or a mask of another shape.

    Example:
        >>> known_mask(3, 2, 2)
        tensor([[ True,  True],
                [ True, False]])
    """
    if isinstance(known, Tensor):
        if known.shape != (height, width):
            raise ConfigError(f"known must be a mask of shape {(height, width)}")
        return known.to(torch.bool)
    pixels = height * width
    if not 0 <= known <= pixels:
        raise ConfigError(f"known={known}: must be from 0 to {pixels}, the number of pixels")
    return (torch.arange(pixels) < known).view(height, width)
