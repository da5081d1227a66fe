"""Running normal distribution of codes."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from genlab.row_streams import normal

__all__ = ["RunningNormal"]


class RunningNormal(nn.Module):
    """Running mean and full covariance of codes; the standard normal at first.

    Args:
        dim: Length D of a code.
        decay: Of the moving averages, per step.
    """

    mean: Tensor
    covariance: Tensor
    new: Tensor

    def __init__(self, dim: int, *, decay: float = 0.99):
        super().__init__()
        self.decay = decay
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("covariance", torch.eye(dim))
        # Sums over the running step of c c^T, c and 1, with c = z - mean: not part of the state.
        self.register_buffer("new", torch.zeros(dim + 1, dim + 1), persistent=False)

    @torch.no_grad()
    def observe(self, z: Tensor) -> None:
        """Adds codes ``(B, D)`` to what `update` will apply."""
        centred = torch.cat([z.detach() - self.mean, z.new_ones(len(z), 1)], 1)
        self.new.addmm_(centred.T, centred)

    @torch.no_grad()
    def update(self) -> None:
        """One step of the moving averages, with the codes of all processes."""
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(self.new)
        n = self.new[-1, -1]
        shift, square = self.new[-1, :-1] / n.clamp_min(1), self.new[:-1, :-1] / n.clamp_min(1)
        share = (1 - self.decay) * (n > 0)
        # Moments of the mixture of the old distribution and the step's, in these shares.
        spread = square - share * torch.outer(shift, shift)
        self.covariance.lerp_(spread, share)
        self.mean.add_(share * shift)
        self.new.zero_()

    @torch.no_grad()
    def fit(self, z: Tensor) -> None:
        """Takes mean and covariance of codes ``(N, D)`` instead of the moving averages."""
        self.mean.copy_(z.mean(0))
        self.covariance.copy_(torch.cov(z.T, correction=0).reshape(self.covariance.shape))

    def sample(
        self, n: int, *, generator: torch.Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """Draws n codes ``(n, D)``; the temperature scales their spread."""
        mean = self.mean
        noise = normal((n, len(mean)), generator, dtype=mean.dtype, device=mean.device)
        values, vectors = torch.linalg.eigh(self.covariance)
        return mean + temperature * (noise * values.clamp_min(0).sqrt()) @ vectors.T
