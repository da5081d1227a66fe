"""Vector quantization."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = ["Codebook"]


class Codebook(nn.Module):
    r"""Codebook of K vectors, moving averages of the vectors that they stand for.

    van den Oord et al. 2017 ("Neural Discrete Representation Learning", appendix A.1). No gradient
    reaches the codebook: `observe` collects what a step needs, `update` applies it once a step,
    summed over all processes. A code that is hardly used any more is moved onto a random vector of
    the batch; so is every code at the first step, which therefore starts from data.

    Args:
        codes: Number K of codes.
        dim: Length of a code vector.
        decay: Of the moving averages, per step.
        revive: A code used fewer than this many times a step, on average, is replaced.
    """

    codes: Tensor
    count: Tensor
    total: Tensor
    new_count: Tensor
    new_total: Tensor
    candidates: Tensor

    def __init__(self, codes: int, dim: int, *, decay: float = 0.99, revive: float = 0.1):
        super().__init__()
        self.decay, self.revive = decay, revive
        self.register_buffer("codes", torch.randn(codes, dim))
        self.register_buffer("count", torch.zeros(codes))
        self.register_buffer("total", torch.zeros(codes, dim))
        # What the running step has seen; not part of the state between steps.
        self.register_buffer("new_count", torch.zeros(codes), persistent=False)
        self.register_buffer("new_total", torch.zeros(codes, dim), persistent=False)
        self.register_buffer("candidates", torch.zeros(codes, dim), persistent=False)

    def nearest(self, z: Tensor) -> Tensor:
        """Index of the nearest code of each vector ``(B, D, H, W)``: int64 ``(B, H, W)``."""
        flat = z.detach().movedim(1, -1).to(self.codes.dtype)
        with torch.autocast(z.device.type, enabled=False):  # in bf16 near codes are one
            # |z - e|^2 without |z|^2, which is the same for all codes.
            return (self.codes.square().sum(1) - 2 * flat @ self.codes.T).argmin(-1)

    def lookup(self, index: Tensor) -> Tensor:
        """Vectors ``(B, D, H, W)`` of indices ``(B, H, W)``."""
        return self.codes[index].movedim(-1, 1)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Quantizes vectors; the gradient passes straight through.

        Args:
            z: ``(B, D, H, W)``.

        Returns:
            The nearest codes ``(B, D, H, W)``, whose gradient goes to z as it is, and their
            indices ``(B, H, W)``.
        """
        index = self.nearest(z)
        return z + (self.lookup(index) - z).detach(), index

    @torch.no_grad()
    def observe(self, z: Tensor, index: Tensor) -> None:
        """Adds a batch to what `update` will apply."""
        flat = z.detach().movedim(1, -1).flatten(0, -2).to(self.codes.dtype)
        index = index.flatten()
        self.new_count.index_add_(0, index, torch.ones_like(flat[:, 0]))
        self.new_total.index_add_(0, index, flat)
        pick = torch.randint(len(flat), (len(self.codes),), device=flat.device)
        self.candidates.copy_(flat[pick])

    @torch.no_grad()
    def update(self) -> None:
        """One step of the moving averages, and new places for codes out of use."""
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(self.new_count)
            dist.all_reduce(self.new_total)
            dist.broadcast(self.candidates, src=0)
        self.count.lerp_(self.new_count, 1 - self.decay)
        self.total.lerp_(self.new_total, 1 - self.decay)
        dead = self.count < self.revive
        self.count.masked_fill_(dead, 1.0)
        self.total.copy_(torch.where(dead[:, None], self.candidates, self.total))
        self.codes.copy_(self.total / self.count[:, None])
        self.new_count.zero_()
        self.new_total.zero_()
