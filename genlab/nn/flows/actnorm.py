"""Activation normalization (ActNorm)."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from genlab.nn.flows.invertible import Invertible, soft_clamp

__all__ = ["ActNorm"]

SMALLEST = 1e-4
LIMIT = 5.0


class ActNorm(Invertible):
    r"""Activation normalization by a learned scale and shift (Kingma and Dhariwal 2018).

    ``z = (x - mean) / std * exp(log_scale) + shift``, with mean and standard deviation of the first
    batch in training mode (of all processes together; arXiv:1807.03039, section 3.1) and a scale
    and a shift that start at 1 and 0. The statistics are buffers rather than initial values of
    the parameters: a moving average of the weights copies buffers as they are, so it never has to
    catch up with the initialization, and a state dict holds them, so a resumed run does not
    initialize again.

    Args:
        channels: Size of dimension 1.
    """

    mean: Tensor
    std: Tensor
    initialized: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.shift = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))
        self.register_buffer("initialized", torch.zeros((), dtype=torch.bool))
        self.done = False  # spares a GPU a synchronization at each step

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `Invertible.forward`; the first batch in training mode initializes."""
        if self.training and not self.done:
            if not bool(self.initialized):
                self.initialize(x)
            self.done = True
        log_scale = soft_clamp(self.log_scale, LIMIT)
        scale = log_scale.exp() / self.std
        sites = x[0, 0].numel()
        log_det = sites * (log_scale - self.std.log()).sum()
        z = x * self._column(scale, x) + self._column(self.shift - self.mean * scale, x)
        return z, log_det.expand(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As `Invertible.inverse`."""
        scale = soft_clamp(self.log_scale, LIMIT).exp() / self.std
        return (z - self._column(self.shift, z)) / self._column(scale, z) + self._column(
            self.mean, z
        )

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Takes up the statistics of a batch ``(B, C, ...)``."""
        rows = x.detach().movedim(1, 0).flatten(1).double()
        count = rows.new_tensor(float(rows.shape[1]))
        sums = torch.stack([rows.sum(1), rows.square().sum(1), count.expand(len(rows))])
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(sums)
        mean = sums[0] / sums[2]
        std = (sums[1] / sums[2] - mean.square()).clamp_min(SMALLEST**2).sqrt()
        self.mean.copy_(mean)
        if sums[2, 0] > 1:  # one number has no spread
            self.std.copy_(std)
        self.initialized.fill_(True)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.done = False
        super()._load_from_state_dict(*args, **kwargs)

    @staticmethod
    def _column(values: Tensor, x: Tensor) -> Tensor:
        return values.view(-1, *[1] * (x.dim() - 2))
