"""Invertible mixing of channels: 1x1 convolution by LU factors, and riffle."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.nn.flows.invertible import Invertible, soft_clamp

__all__ = ["InvertibleLinear", "Riffle"]

LIMIT = 5.0


class InvertibleLinear(Invertible):
    r"""Invertible 1x1 convolution ``z = W x`` of the channels at each site (Glow).

    ``W = P L (U + diag(sign exp(log_diag)))`` with a fixed permutation P, unit lower triangular L
    and strictly upper triangular U (Kingma and Dhariwal 2018, arXiv:1807.03039, equation 10): the
    log-determinant is the sum of ``log_diag``, C additions instead of O(C^3). Both W and its
    inverse are put together in float64.

    Args:
        channels: Size of dimension 1.
        reverse: Start by reversing the channels, which swaps the halves of a coupling, rather
            than from the identity.
    """

    order: Tensor

    def __init__(self, channels: int, reverse: bool = False):
        super().__init__()
        order = torch.arange(channels)
        self.register_buffer("order", order.flip(0) if reverse else order)
        self.lower = nn.Parameter(torch.zeros(channels, channels))
        self.upper = nn.Parameter(torch.zeros(channels, channels))
        self.log_diag = nn.Parameter(torch.zeros(channels))

    def factors(self) -> tuple[Tensor, Tensor]:
        """L and U with their diagonals, float64 ``(C, C)``."""
        lower, upper = self.lower.double(), self.upper.double()
        eye = torch.eye(len(lower), dtype=lower.dtype, device=lower.device)
        diagonal = torch.diag(soft_clamp(self.log_diag.double(), LIMIT).exp())
        return lower.tril(-1) + eye, upper.triu(1) + diagonal

    def weight(self) -> Tensor:
        """W, float64 ``(C, C)``."""
        lower, upper = self.factors()
        return (lower @ upper)[self.order]

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `Invertible.forward`."""
        log_det = x[0, 0].numel() * soft_clamp(self.log_diag, LIMIT).sum()
        return self._apply_matrix(self.weight(), x), log_det.expand(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As `Invertible.inverse`."""
        lower, upper = self.factors()
        eye = torch.eye(len(lower), dtype=lower.dtype, device=lower.device)
        right = torch.linalg.solve_triangular(lower, eye, upper=False, unitriangular=True)
        inverse = torch.linalg.solve_triangular(upper, right, upper=True)
        return self._apply_matrix(inverse[:, self.order.argsort()], z)

    @staticmethod
    def _apply_matrix(matrix: Tensor, x: Tensor) -> Tensor:
        matrix = matrix.to(x.dtype)
        return F.linear(x, matrix) if x.dim() == 2 else F.conv2d(x, matrix[:, :, None, None])


class Riffle(Invertible):
    """Riffle of the channels, 0, 2, 4, ... and then 1, 3, 5, ...: regroups halves by slices."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = (channels + 1) // 2

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `Invertible.forward`; the volume stays."""
        if x.shape[1] % 2:
            z = torch.cat([x[:, 0::2], x[:, 1::2]], 1)
        else:  # one copy, forwards and backwards
            z = x.unflatten(1, (-1, 2)).transpose(1, 2).flatten(1, 2)
        return z, x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As `Invertible.inverse`."""
        x = torch.empty_like(z)
        x[:, 0::2], x[:, 1::2] = z[:, : self.first], z[:, self.first :]
        return x
