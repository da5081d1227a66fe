"""Diagonal normal distributions and mixtures of them."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from genlab.row_streams import categorical, normal

__all__ = [
    "Mixture",
    "draw_normal",
    "fit_mixture",
    "kl_from_standard",
    "normal_log_prob",
    "sampled_rate",
]

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def normal_log_prob(z: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Log-density of diagonal normals in nats, summed over the last dimension."""
    scaled = (z - mean) * (-log_std).exp()
    return (-0.5 * scaled.square() - log_std - HALF_LOG_2PI).sum(-1)


def kl_from_standard(mean: Tensor, log_std: Tensor) -> Tensor:
    """``KL(N(mean, std^2) || N(0, 1))`` in nats, for each dimension apart."""
    return 0.5 * (mean.square() + (2 * log_std).exp() - 1) - log_std


def draw_normal(
    mean: Tensor, log_std: Tensor, k: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """k draws of each normal, and the standard normal noise they are made of: ``(k, B, D)``."""
    shape = (k, *mean.shape)
    noise = torch.randn(shape, dtype=mean.dtype, device=mean.device, generator=generator)
    return mean + log_std.exp() * noise, noise


class Mixture(NamedTuple):
    """Mixture of M diagonal normals in D dimensions.

    Args:
        log_weights: ``(M,)``, normalized.
        mean: ``(M, D)``.
        log_std: ``(M, D)``.
    """

    log_weights: Tensor
    mean: Tensor
    log_std: Tensor

    def joint(self, z: Tensor) -> Tensor:
        """Log-density of codes ``(..., D)`` together with each component: nats ``(..., M)``."""
        return self.log_weights + normal_log_prob(z.unsqueeze(-2), self.mean, self.log_std)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density of codes ``(..., D)``: nats ``(...)``."""
        return self.joint(z).logsumexp(-1)

    def sample(
        self, n: int, *, generator: torch.Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """Draws n codes; the temperature scales the standard deviations of the components."""
        m = categorical(self.log_weights.exp(), n, generator)
        mean = self.mean[m]
        noise = normal(mean.shape, generator, dtype=mean.dtype, device=mean.device)
        return mean + temperature * self.log_std[m].exp() * noise


def sampled_rate(z: Tensor, noise: Tensor, log_std: Tensor, prior: Mixture | None) -> Tensor:
    """``log q(z | x) - log p(z)`` of draws, an unbiased estimate of their rate: nats ``(k, B)``.

    Args:
        z: Draws from `draw_normal`, ``(k, B, D)``.
        noise: What they are made of.
        log_std: Log standard deviations of q, ``(B, D)``.
        prior: p(z), None for the standard normal.
    """
    zero = z.new_zeros(())
    log_q = normal_log_prob(noise, zero, zero) - log_std.sum(-1)
    return log_q - (normal_log_prob(z, zero, zero) if prior is None else prior.log_prob(z))


@torch.no_grad()
def fit_mixture(
    z: Tensor,
    components: int,
    *,
    generator: torch.Generator | None = None,
    steps: int = 50,
    floor: float = 1e-3,
) -> Mixture:
    """Fits a mixture of diagonal normals by expectation maximization.

    Starts from codes far from each other as means (k-means++, Arthur and Vassilvitskii 2007)
    and the codes' overall variance.

    Args:
        z: Codes ``(N, D)``.
        components: Number of components.
        generator: Picks the first means, on the codes' device.
        steps: Steps of the algorithm.
        floor: Smallest variance, as a share of the overall variance: no component may shrink
            onto a single code.

    Returns:
        The fitted mixture.
    """
    tiny = torch.finfo(z.dtype).tiny
    start = torch.randint(len(z), (1,), generator=generator, device=z.device)
    distance = (z - z[start]).square().sum(1)
    while len(start) < components:
        further = torch.multinomial(distance + tiny, 1, generator=generator)
        distance = distance.minimum((z - z[further]).square().sum(1))
        start = torch.cat([start, further])
    overall = z.var(0, correction=0).clamp_min(tiny)
    mixture = Mixture(
        z.new_full((components,), -math.log(components)),
        z[start],
        (0.5 * overall.log()).expand(components, -1),
    )
    for _ in range(steps):
        share = torch.cat([mixture.joint(part).softmax(-1) for part in z.split(4096)])
        total = share.sum(0).clamp_min(torch.finfo(z.dtype).eps)
        mean = share.T @ z / total[:, None]
        # Sums of squares about the new mean, not about 0: no cancellation.
        square = torch.stack([s @ (z - m).square() for s, m in zip(share.T, mean, strict=True)])
        variance = torch.maximum(square / total[:, None], floor * overall)
        mixture = Mixture((total / total.sum()).log(), mean, 0.5 * variance.log())
    return mixture
