"""Bernoulli components: independent bits."""

import torch
from torch import Tensor
from torch.distributions import Beta, kl_divergence

from genlab.nn.mixtures.components import Components

__all__ = ["BernoulliComponents"]

TINY = 1e-7
"""Least probability of a bit, where even the prior was trained away."""


class BernoulliComponents(Components):
    """Products of Bernoulli distributions under a Beta prior of ``prior`` ones and zeros each.

    Without the prior a test pixel that was black in all the training images of a component would
    have probability 0.

    Example:
        >>> from genlab.types import ImageSpec
        >>> bits = BernoulliComponents(ImageSpec(1, 1, 2, levels=2), prior=0.0)
        >>> x = torch.tensor([[0, 1]], dtype=torch.uint8)
        >>> bits.log_mass(torch.tensor([0.5]), torch.tensor([[0.25, 0.25]]), x).exp()
        tensor([[0.2500]])
    """

    @property
    def size(self) -> int:
        """The bits."""
        return self.dims

    def prepare(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return x.flatten(1).to(torch.get_default_dtype())

    def statistics(self, v: Tensor) -> Tensor:
        return v

    def start(self, components: int) -> Tensor:
        return 0.25 + 0.5 * torch.rand(components, self.dims)

    def probabilities(self, weights: Tensor, statistics: Tensor) -> Tensor:
        """Probabilities of a one, ``(K, D)``."""
        ones = statistics.clamp_min(0) + self.prior
        p = ones / (weights.clamp_min(0) + 2 * self.prior + 1e-30)[:, None]
        return p.clamp(TINY, 1 - TINY)

    def log_density(self, weights: Tensor, statistics: Tensor, v: Tensor) -> Tensor:
        p = self.probabilities(weights, statistics)
        no = (-p).log1p()
        return torch.addmm(no.sum(1), v, (p.log() - no).T)

    def log_mass(
        self, weights: Tensor, statistics: Tensor, x: Tensor, known: Tensor | None = None
    ) -> Tensor:
        v = self.prepare(x)
        if known is None:
            return self.log_density(weights, statistics, v)
        return self.log_density(weights, statistics[:, known], v[:, known])

    def quantile(
        self, weights: Tensor, statistics: Tensor, u: Tensor, temperature: float = 1.0
    ) -> Tensor:
        p = self.probabilities(weights, statistics)
        return (u < p.logit().div_(temperature).sigmoid_()).to(torch.uint8)

    def mean(self, weights: Tensor, statistics: Tensor) -> Tensor:
        return self.probabilities(weights, statistics)

    def posterior(self, weights: Tensor, statistics: Tensor, n: Tensor) -> Beta:
        """Beta posterior ``(K, D)`` of the probabilities of a one."""
        ones = statistics.clamp_min(0)
        zeros = (weights.clamp_min(0)[:, None] - ones).clamp_min(0)
        return Beta(n * (ones + self.prior), n * (zeros + self.prior), validate_args=False)

    def expected_log_density(
        self, weights: Tensor, statistics: Tensor, v: Tensor, n: Tensor
    ) -> Tensor:
        q = self.posterior(weights, statistics, n)
        one, zero = q.concentration1.digamma(), q.concentration0.digamma()
        no = zero - (q.concentration1 + q.concentration0).digamma()
        return torch.addmm(no.sum(1), v, (one - zero).T)

    def divergence(self, weights: Tensor, statistics: Tensor, n: Tensor) -> Tensor:
        q, count = self.posterior(weights, statistics, n), n * self.prior
        return kl_divergence(q, Beta(count, count, validate_args=False)).sum()

    def log_prior(self, weights: Tensor, statistics: Tensor) -> Tensor:
        p = self.probabilities(weights, statistics)
        return (p.log() + (-p).log1p()).sum()
