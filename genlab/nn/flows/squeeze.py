"""Squeeze of squares of pixels into channels."""

import torch
from torch import Tensor

from genlab.errors import ConfigError
from genlab.nn.flows.invertible import Invertible

__all__ = ["Squeeze"]

CORNERS = ((0, 0), (1, 1), (0, 1), (1, 0))


class Squeeze(Invertible):
    """Squeeze of ``(C, H, W)`` to ``(4 C, H/2, W/2)``, pixels stacked (Dinh et al. 2017).

    The two corners of one diagonal come first, then those of the other: so the two halves of the
    channels are the two colours of a checkerboard, and a coupling of the halves is the
    checkerboard coupling of RealNVP (arXiv:1605.08803, figure 3) without a mask to multiply by.

    Args:
        shape: ``(C, H, W)``; H and W even.

    Raises:
        ConfigError: A side is odd.

    Example:
        >>> x = torch.arange(4.0).view(1, 1, 2, 2)
        >>> Squeeze((1, 2, 2))(x)[0].flatten()
        tensor([0., 3., 1., 2.])
    """

    def __init__(self, shape: tuple[int, int, int]):
        super().__init__()
        channels, height, width = shape
        if height % 2 or width % 2:
            raise ConfigError(
                f"model.scales: maps of {height}x{width} cannot be squeezed, both sides must be "
                "even; take fewer scales"
            )
        self.before = shape
        self.after = (4 * channels, height // 2, width // 2)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `Invertible.forward`; the volume stays."""
        return torch.cat([x[..., i::2, j::2] for i, j in CORNERS], 1), x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As `Invertible.inverse`."""
        x = z.new_empty(len(z), *self.before)
        for (i, j), corner in zip(CORNERS, z.chunk(4, 1), strict=True):
            x[..., i::2, j::2] = corner
        return x
