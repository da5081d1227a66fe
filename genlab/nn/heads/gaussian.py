"""Gaussian head on dequantized images."""

import math

import torch
from torch import Tensor, nn

from genlab.nn.dequantize import quantize
from genlab.nn.heads.base import Head
from genlab.types import ImageSpec

__all__ = ["DequantizedGaussian"]


class DequantizedGaussian(Head):
    r"""Gaussian head: a normal density with learned variance, of uniformly dequantized images.

    The images are dequantized to ``y = 2 (x + u) / levels - 1``, so `log_prob` is a one-sample
    estimate of a lower bound of the discrete image's log-probability (Theis et al. 2016).
    A fixed variance is a hidden weight between distortion and rate; learning it removes the choice
    (Rybkin et al. 2021, "sigma-VAE").

    The parameters are C means and, unless ``shared``, C log standard deviations.

    Args:
        spec: What the images look like.
        shared: One standard deviation for all pixels rather than one for each.
    """

    exact = False

    def __init__(self, spec: ImageSpec, shared: bool = False):
        super().__init__(spec)
        self.uniforms = spec.channels
        self.channels = spec.channels * (1 if shared else 2)
        self.log_std = nn.Parameter(torch.zeros(())) if shared else None
        # A bin's own standard deviation is 2 / levels / sqrt(12). To be much sharper than that
        # is never right, and at a certain pixel would let the gradient explode.
        self.floor = math.log(2 / spec.levels) - 3

    def _read(self, params: Tensor) -> tuple[Tensor, Tensor]:
        if self.log_std is not None:
            return params, self.log_std.clamp_min(self.floor)
        mean, log_std = params.chunk(2, -3)
        return mean, log_std.clamp(self.floor, 7)

    def pixel_log_prob(
        self, params: Tensor, x: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """As `Head.pixel_log_prob`: fresh noise for each leading index of the parameters."""
        mean, log_std = self._read(params)
        u = torch.rand(mean.shape, dtype=mean.dtype, device=mean.device, generator=generator)
        y = (x + u) * (2 / self.levels) - 1
        log_volume = math.log(2 / self.levels)
        log_density = -0.5 * ((y - mean) * (-log_std).exp()).square() - log_std
        return (log_density + (log_volume - 0.5 * math.log(2 * math.pi))).sum(-3)

    def mean(self, params: Tensor) -> Tensor:
        """As `Head.mean`: the level whose bin is centred on the density's mean."""
        mean, _ = self._read(params)
        level = (mean + 1) * (self.levels / 2) - 0.5
        return (level / (self.levels - 1)).clamp(0, 1)

    def quantile(self, params: Tensor, u: Tensor, temperature: float = 1.0) -> Tensor:
        """As `Head.quantile`."""
        mean, log_std = self._read(params)
        noise = torch.special.ndtri(u.clamp_min(torch.finfo(u.dtype).tiny))
        return quantize((mean + log_std.exp() * temperature * noise + 1) / 2, self.levels)
