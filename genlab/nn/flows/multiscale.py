"""Multi-scale architecture: half of the numbers leave at each scale."""

import torch
from torch import Tensor, nn

from genlab.nn.flows.coupling import Coupling, split_sizes
from genlab.nn.flows.elementwise import Affine
from genlab.nn.flows.invertible import Invertible

__all__ = ["FactorOut", "TopPrior"]


class FactorOut(Invertible):
    """Factoring out: half of the channels become latent numbers (Dinh et al. 2017, section 3.6).

    The half that leaves is normal given the half that stays, with mean and log-scale from a
    network (Kingma and Dhariwal 2018). It leaves as ``(b - mean) / std``: so all latent numbers of
    a flow are standard normal, whichever the scale, and codes can be interpolated.

    Args:
        shape: ``(C, H, W)``.
        network: From the half that stays to mean and log-scale of the half that leaves.
        rest: What is done to the half that stays; puts out vectors.
    """

    def __init__(self, shape: tuple[int, int, int], network: nn.Module, rest: Invertible):
        super().__init__()
        channels, height, width = shape
        self.prior = Coupling(channels, network, Affine())
        self.stays, self.leaves = split_sizes(channels)
        self.leaving = (self.leaves, height, width)
        self.rest = rest

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Latent vectors ``(B, C H W)``, those of the rest first."""
        x, log_det = self.prior(x, context)
        stays, leaves = x.split((self.stays, self.leaves), 1)
        z, rest = self.rest(stays, context)
        return torch.cat([z, leaves.flatten(1)], 1), log_det + rest

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Maps ``(B, C, H, W)``."""
        size = self.leaving[0] * self.leaving[1] * self.leaving[2]
        stays = self.rest.inverse(z[:, :-size], context)
        leaves = z[:, -size:].unflatten(1, self.leaving)
        return self.prior.inverse(torch.cat([stays, leaves], 1), context)


class TopPrior(Invertible):
    """Learned prior of the latent numbers of the last scale: mean and scale, by class.

    Args:
        n: Length of the vectors.
        context: Length of the context vector, 0 for none.
    """

    def __init__(self, n: int, context: int = 0):
        super().__init__()
        self.params = nn.Parameter(torch.zeros(2, n))
        self.context = nn.Linear(context, 2 * n, bias=False) if context else None
        if self.context is not None:
            nn.init.zeros_(self.context.weight)
        self.function = Affine()

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `Invertible.forward`."""
        z, log_det = self.function.forward(x, self._params(context))
        return z, log_det.expand(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As `Invertible.inverse`."""
        return self.function.inverse(z, self._params(context))

    def inverse_(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As `Invertible.inverse_`."""
        self.function.inverse_(z, self._params(context))
        return z

    def _params(self, context: Tensor | None) -> Tensor:
        """``(B, 2, n)``, or ``(1, 2, n)`` where there is no context."""
        params = self.params.unsqueeze(0)
        if self.context is None or context is None:
            return params
        return params + self.context(context).unflatten(1, (2, -1))
