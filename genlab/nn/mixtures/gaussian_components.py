"""Gaussian components with diagonal covariance, of images of any number of levels."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.distributions import Gamma, kl_divergence

from genlab.nn.mixtures.components import Components
from genlab.types import ImageSpec

__all__ = ["GaussianComponents"]

FLOOR = 1 / 12
"""Least variance in levels: that of the dequantization's own noise."""

CELLS = 2**22
"""Numbers held at once where each image meets each pixel of each component."""


class GaussianComponents(Components):
    r"""Independent normal distributions of pixels, learned from dequantized images x + u.

    The mass of a discrete image is exact, ``prod (Φ(x_i + 1) - Φ(x_i))``, the first and the last
    level taking the tails; training sees the density of x + u, whose mean log is below it (Theis et
    al. 2016). The prior is ``prior`` times an image of the data's own mean and variance.

    Inside, images are standardized by the data's mean and spread, so that a variance, the
    difference of two moments, keeps its digits.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, spec: ImageSpec, prior: float):
        super().__init__(spec, prior)
        self.register_buffer("centre", torch.full((self.dims,), self.levels / 2))
        self.register_buffer("spread", torch.full((self.dims,), self.levels / 4))

    @property
    def size(self) -> int:
        """First and second moments."""
        return 2 * self.dims

    def begin(self, x: Iterable[Tensor]) -> None:
        v = torch.cat([part.flatten(1) for part in x]).double() + 0.5
        self.centre.copy_(v.mean(0))
        self.spread.copy_((v.var(0, correction=0) + FLOOR).sqrt())

    def prepare(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        flat = x.flatten(1).to(self.centre.dtype)
        u = torch.rand(flat.shape, dtype=flat.dtype, device=flat.device, generator=generator)
        return (flat + u - self.centre) / self.spread

    def statistics(self, v: Tensor) -> Tensor:
        return torch.cat([v, v.square()], 1)

    def start(self, components: int) -> Tensor:
        mean = torch.randn(components, self.dims)
        return torch.cat([mean, 1 + mean.square()], 1)

    def moments(self, weights: Tensor, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """Means and variances ``(K, D)`` of standardized images."""
        total = (weights.clamp_min(0) + self.prior + 1e-30)[:, None]
        first, second = statistics.chunk(2, 1)
        mean = first / total
        variance = (second + self.prior) / total - mean.square()
        return mean, torch.maximum(variance, FLOOR / self.spread.square())

    def log_density(self, weights: Tensor, statistics: Tensor, v: Tensor) -> Tensor:
        mean, variance = self.moments(weights, statistics)
        precise = 1 / variance
        const = (mean.square() * precise + variance.log() + math.log(2 * math.pi)).sum(1)
        quadratic = v.square() @ precise.T - 2 * v @ (mean * precise).T
        # of x + u: a level is 1 / spread of a standardized one
        return -0.5 * (quadratic + const) - self.spread.log().sum()

    def log_mass(
        self, weights: Tensor, statistics: Tensor, x: Tensor, known: Tensor | None = None
    ) -> Tensor:
        mean, std = self.on_levels(weights, statistics)
        x = x.flatten(1)
        size = max(1, CELLS // max(mean.numel(), 1))
        found = []
        for part in x.split(size):
            masses = self.masses(part[:, None], mean, std)
            # Of a mask, not of an index: its number of pixels would have to be waited for.
            found.append((masses if known is None else torch.where(known, masses, 0)).sum(2))
        return torch.cat(found)

    def on_levels(self, weights: Tensor, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """Means and standard deviations ``(K, D)`` of x + u."""
        mean, variance = self.moments(weights, statistics)
        return mean * self.spread + self.centre, variance.sqrt() * self.spread

    def masses(self, x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """log of the mass of each level x, of the shape that all broadcast to."""
        low = torch.where(x == 0, -math.inf, (x - mean) / std)
        high = torch.where(x == self.levels - 1, math.inf, (x + 1 - mean) / std)
        # On the side where both are negative the difference of two Φ keeps its digits.
        mirrored = (low > 0) | ((high > 0) & (low > -high))
        low, high = torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)
        above, below = torch.special.log_ndtr(high), torch.special.log_ndtr(low)
        return above + (-(below - above).clamp(max=-1e-12).exp()).log1p()

    def quantile(
        self, weights: Tensor, statistics: Tensor, u: Tensor, temperature: float = 1.0
    ) -> Tensor:
        mean, std = self.on_levels(weights, statistics)
        noise = torch.special.ndtri(u.clamp_min(torch.finfo(u.dtype).tiny))
        drawn = mean + std * math.sqrt(temperature) * noise
        return drawn.floor().clamp_(0, self.levels - 1).to(torch.uint8)

    def mean(self, weights: Tensor, statistics: Tensor) -> Tensor:
        # x + u has the mean of x and a half
        return self.on_levels(weights, statistics)[0] - 0.5

    def posterior(
        self, weights: Tensor, statistics: Tensor, n: Tensor
    ) -> tuple[Tensor, Tensor, Gamma]:
        """Normal-gamma posterior: means and their counts ``(K, D)``, and gammas of the precisions.

        The prior is that of ``prior * n`` observations of mean 0 and variance 1.
        """
        mean, variance = self.moments(weights, statistics)
        counts = n * (weights.clamp_min(0) + self.prior)[:, None].expand_as(mean)
        return mean, counts, Gamma(counts / 2, counts * variance / 2, validate_args=False)

    def expected_log_density(
        self, weights: Tensor, statistics: Tensor, v: Tensor, n: Tensor
    ) -> Tensor:
        mean, counts, gamma = self.posterior(weights, statistics, n)
        precise = gamma.concentration / gamma.rate
        log_precise = gamma.concentration.digamma() - gamma.rate.log()
        const = mean.square() * precise + 1 / counts - log_precise + math.log(2 * math.pi)
        quadratic = v.square() @ precise.T - 2 * v @ (mean * precise).T
        return -0.5 * (quadratic + const.sum(1)) - self.spread.log().sum()

    def divergence(self, weights: Tensor, statistics: Tensor, n: Tensor) -> Tensor:
        mean, counts, gamma = self.posterior(weights, statistics, n)
        before = n * self.prior
        ratio = before / counts
        precise = gamma.concentration / gamma.rate
        of_means = 0.5 * (ratio - 1 - ratio.log() + before * mean.square() * precise)
        of_precisions = kl_divergence(gamma, Gamma(before / 2, before / 2, validate_args=False))
        return (of_means + of_precisions).sum()

    def log_prior(self, weights: Tensor, statistics: Tensor) -> Tensor:
        mean, variance = self.moments(weights, statistics)
        return -0.5 * (variance.log() + (1 + mean.square()) / variance).sum()
