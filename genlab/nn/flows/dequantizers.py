"""Uniform and variational dequantization."""

import math

import torch
from torch import Tensor, nn

from genlab.nn.dequantize import dequantize
from genlab.nn.flows.conditioner import make_conditioner
from genlab.nn.flows.coupling import Conditioned, Coupling
from genlab.nn.flows.elementwise import Affine
from genlab.nn.flows.invertible import Chain, Flatten, Invertible
from genlab.nn.flows.logit import log_sigmoid_slope
from genlab.nn.flows.squeeze import Squeeze
from genlab.nn.scaling import to_signed
from genlab.types import ImageSpec

__all__ = ["UniformDequantizer", "VariationalDequantizer"]

EDGE = 1e-6
"""The noise starts inside [EDGE, 1 - EDGE], where its logit is finite."""


class UniformDequantizer(nn.Module):
    """Uniform dequantization, see `genlab.nn.dequantize.dequantize`."""

    def __init__(self, spec: ImageSpec):
        super().__init__()
        self.levels = spec.levels

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """A point y of the bin in the unit cube, and ``log 1 / q(y | x)``: ``(B,)``."""
        return dequantize(x, self.levels, generator=generator)


class VariationalDequantizer(nn.Module):
    r"""Variational dequantization (Ho et al. 2019, "Flow++", arXiv:1902.00275, equation 12).

    By a flow that sees the image: ``log P(x) >= E_q(u | x)[log p(y) - log q(y | x)]``. The
    noise begins uniform and the flow as the identity, so that it starts as uniform
    dequantization: first each number is shifted and scaled as the image says, then couplings
    relate the numbers to one another, in logit space.

    Args:
        spec: What the images look like.
        steps: Couplings.
        width: Hidden channels (or units, where the sides are odd) of each network.
        depth: Residual blocks of each network.
    """

    def __init__(self, spec: ImageSpec, *, steps: int, width: int, depth: int):
        super().__init__()
        self.levels = spec.levels
        even = spec.height % 2 == 0 and spec.width % 2 == 0
        self.pack: Invertible = Squeeze(spec.shape) if even else Flatten(spec.shape)
        shape = self.pack.after if isinstance(self.pack, Squeeze) else (spec.dims,)
        channels, function = shape[0], Affine()

        def network(n_in: int, n_out: int, context: int) -> nn.Module:
            return make_conditioner(
                (n_in, *shape[1:]),
                n_out * function.size,
                width=width,
                depth=depth,
                context=context,
                context_map=even,
            )

        maps: list[Invertible] = [Conditioned(network(channels, channels, 0), function)]
        for step in range(steps):
            given, changing = Coupling.counts(channels, step % 2 == 1)
            net = network(given, changing, channels)
            maps.append(Coupling(channels, net, function, swap=step % 2 == 1))
        self.flow = Chain(maps)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """A point y of the bin in the unit cube, and ``log 1 / q(y | x)``: ``(B,)``."""
        dtype = torch.get_default_dtype()
        u = torch.rand(x.shape, dtype=dtype, device=x.device, generator=generator)
        start = torch.logit(EDGE + (1 - 2 * EDGE) * u)
        packed, _ = self.pack(start)
        context, _ = self.pack(to_signed(x, self.levels))
        packed, log_det = self.flow(packed, context)
        v = self.pack.inverse(packed)
        # log q(u | x): the uniform's density 1 carried through logit, flow and sigmoid.
        log_q = (log_sigmoid_slope(start) - log_sigmoid_slope(v)).flatten(1).sum(1) - log_det
        volume = math.log(self.levels) * x[0].numel()
        return (x + v.sigmoid()) / self.levels, -log_q - volume
