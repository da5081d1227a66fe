"""Interface and composition of invertible maps."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

__all__ = ["Chain", "Flatten", "Invertible", "Reshape", "soft_clamp", "sum_except_batch"]


class Invertible(nn.Module, ABC):
    """Bijection of tensors ``(B, ...)``, applied to each row on its own.

    ``forward`` gives the image and the logarithm of the absolute Jacobian determinant of each
    row; ``inverse`` undoes it. A context, where a map takes one, conditions both directions: a
    vector ``(B, E)``, or for maps of images also a map ``(B, E, H, W)``.
    """

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The image z and ``log |det dz/dx|``, nats ``(B,)``."""

    @abstractmethod
    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """The x whose image is z."""

    def inverse_(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As `inverse`, but z may be overwritten: for the steps of a chain, without gradients."""
        return self.inverse(z, context)


class Chain(Invertible):
    """Composition of maps, one after the other.

    Args:
        steps: The maps, in forward order.
        recompute: Keep only what passes between the maps for the backward pass, and run each map
            again when its turn comes: less memory for about half more time. Peak memory above
            the start of a step of ``flow_glow`` on 128 images of 28x28, by resident set: 87, 199
            and 335 MiB with 2, 8 and 16 steps a scale, 70, 89 and 110 MiB with recomputation, for
            1.4 to 1.6 times the CPU time (2026-11-22, one core of an AMD EPYC, torch 2.15.0).
    """

    def __init__(self, steps: Iterable[Invertible], recompute: bool = False):
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.recompute = recompute

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `Invertible.forward`."""
        log_det = x.new_zeros(len(x))
        again = self.recompute and torch.is_grad_enabled()
        for step in self.steps:
            if again:
                # The maps draw no random numbers, so there is no state of these to restore.
                x, here = checkpoint(
                    step, x, context, use_reentrant=False, preserve_rng_state=False
                )
            else:
                x, here = step(x, context)
            log_det = log_det + here
        return x, log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As `Invertible.inverse`."""
        if not torch.is_grad_enabled():
            return self.inverse_(z.clone(), context)
        for step in reversed(self.steps):
            assert isinstance(step, Invertible)
            z = step.inverse(z, context)
        return z

    def inverse_(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As `Invertible.inverse_`."""
        for step in reversed(self.steps):
            assert isinstance(step, Invertible)
            z = step.inverse_(z, context)
        return z


class Reshape(Invertible):
    """Reshaping of rows: the same numbers in the same order."""

    def __init__(self, before: tuple[int, ...], after: tuple[int, ...]):
        super().__init__()
        self.before, self.after = before, after

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `Invertible.forward`; the volume stays."""
        return x.reshape(-1, *self.after), x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As `Invertible.inverse`."""
        return z.reshape(-1, *self.before)


class Flatten(Reshape):
    """Flattening of maps ``(C, H, W)`` to vectors of length ``C H W``."""

    def __init__(self, shape: tuple[int, int, int]):
        super().__init__(shape, (shape[0] * shape[1] * shape[2],))


def soft_clamp(x: Tensor, limit: float) -> Tensor:
    """Soft clamp ``limit tanh(x / limit)``: close to x near 0, and never beyond the limit.

    By a sigmoid, which on CPUs takes a third of tanh's time.

    Example:
        >>> soft_clamp(torch.tensor([0.0, 100.0, -100.0]), 2.0)
        tensor([ 0.,  2., -2.])
    """
    return torch.sigmoid(x * (2 / limit)).mul(2 * limit).sub(limit)


def sum_except_batch(x: Tensor) -> Tensor:
    """The sum over all dimensions but the first, ``(B,)``."""
    return x.flatten(1).sum(1)
