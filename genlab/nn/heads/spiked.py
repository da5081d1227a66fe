"""Mixture of logistics with point masses, for scans and renderings."""

import torch
from torch import Tensor

from genlab.errors import ConfigError
from genlab.nn.heads.base import Head
from genlab.nn.heads.logistic import DiscretizedLogisticMixture
from genlab.types import ImageSpec

__all__ = ["SpikedLogisticMixture"]

TOP = 4
"""Levels next to white that have a mass of their own."""


class SpikedLogisticMixture(Head):
    """Spiked mixture: discretized logistics, and masses on black and on levels next to white.

    Scanned digits pile up there: of MNIST's pixels 81 % are 0, and most of the others 252 to 255.
    A logistic component must be as narrow as a level to say so, and its mean as exact, which makes
    gradients of thousands; a mass needs only its weight.

    The parameters are those of the mixture, then the logits of the mixture and of each mass. It is
    for gray images: the channels of a pixel would share one choice.

    Args:
        spec: What the images look like.
        components: Number of logistic components.

    Raises:
        ConfigError: More than one channel.
    """

    levels_of_masses: Tensor
    mass_of: Tensor

    def __init__(self, spec: ImageSpec, components: int = 5):
        super().__init__(spec)
        if spec.channels != 1:
            raise ConfigError(
                f"model.head=spiked is for images of one channel, these have {spec.channels}: "
                "take model.head=logistic or categorical"
            )
        self.logistic = DiscretizedLogisticMixture(spec, components)
        top = range(max(spec.levels - TOP, 1), spec.levels)
        masses = torch.tensor([0, *top])
        self.masses = len(masses)
        self.channels = self.logistic.channels + 1 + self.masses
        self.uniforms = 1 + self.logistic.uniforms
        number = torch.zeros(spec.levels, dtype=torch.int64)
        number[masses] = torch.arange(1, 1 + self.masses)
        self.register_buffer("levels_of_masses", masses, persistent=False)
        self.register_buffer("mass_of", number, persistent=False)

    def _read(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """The mixture's parameters, and the logits of mixture and masses."""
        mixture, logits = params.split([self.logistic.channels, 1 + self.masses], -3)
        return mixture, logits

    def pixel_log_prob(
        self, params: Tensor, x: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """As `Head.pixel_log_prob`."""
        mixture, logits = self._read(params)
        log_w = logits.log_softmax(-3)
        spread = log_w[..., 0, :, :] + self.logistic.pixel_log_prob(mixture, x)
        number = self.mass_of[x.long()]
        leading = torch.broadcast_shapes(log_w.shape[:-3], number.shape[:-3])
        index = number.expand(leading + number.shape[-3:])
        mass = log_w.expand(leading + log_w.shape[-3:]).gather(-3, index).squeeze(-3)
        here = (index > 0).squeeze(-3)
        return torch.logaddexp(spread, mass.masked_fill(~here, -torch.inf))

    def mean(self, params: Tensor) -> Tensor:
        """As `Head.mean`."""
        mixture, logits = self._read(params)
        w = logits.softmax(-3)
        heights = self.levels_of_masses.to(w.dtype) / (self.levels - 1)
        masses = (w[..., 1:, :, :] * heights[:, None, None]).sum(-3, keepdim=True)
        return w[..., :1, :, :] * self.logistic.mean(mixture) + masses

    def quantile(self, params: Tensor, u: Tensor, temperature: float = 1.0) -> Tensor:
        """As `Head.quantile`; the first uniform number picks the mixture or a mass."""
        mixture, logits = self._read(params)
        below = (logits / temperature).softmax(-3).cumsum(-3)
        pick = (below <= u[..., :1, :, :]).sum(-3, keepdim=True).clamp_max(self.masses)
        spread = self.logistic.quantile(mixture, u[..., 1:, :, :], temperature)
        level = self.levels_of_masses[(pick - 1).clamp_min(0)].to(torch.uint8)
        return torch.where(pick > 0, level, spread)
