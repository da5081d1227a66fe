"""Interface of a mixture's components: an exponential family by its mean sufficient statistics."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from genlab.types import ImageSpec

__all__ = ["Components"]


class Components(nn.Module, ABC):
    """Components p(x | k) of one exponential family, each of independent pixels.

    A mixture keeps, for each component, its weight w_k = E[r_k] and the statistics E[r_k t(x)], r
    being the responsibilities: averages over data, so that averages of them over batches are right,
    too (Cappé and Moulines 2009). Parameters follow from them where they are needed; each component
    has seen, beside its data, ``prior`` times as much as the whole data of an image of its own
    choice, the family's conjugate prior.

    Args:
        spec: What the images look like.
        prior: Weight of the prior, as a share of the data.
    """

    prior: Tensor

    def __init__(self, spec: ImageSpec, prior: float):
        super().__init__()
        self.levels, self.dims = spec.levels, spec.dims
        self.register_buffer("prior", torch.tensor(prior))

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of statistics of an image."""

    @abstractmethod
    def prepare(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images as training sees them, float ``(B, D)``; dequantized where they must be."""

    @abstractmethod
    def statistics(self, v: Tensor) -> Tensor:
        """Sufficient statistics t ``(B, size)`` of prepared images."""

    @abstractmethod
    def start(self, components: int) -> Tensor:
        """Random statistics ``(components, size)`` of components of weight 1."""

    @abstractmethod
    def log_density(self, weights: Tensor, statistics: Tensor, v: Tensor) -> Tensor:
        """log p(v | k) of prepared images, nats ``(B, K)``, as matrix products.

        Args:
            weights: E[r_k], ``(K,)``.
            statistics: E[r_k t], ``(K, size)``.
            v: Prepared images ``(B, D)``.
        """

    @abstractmethod
    def log_mass(
        self, weights: Tensor, statistics: Tensor, x: Tensor, known: Tensor | None = None
    ) -> Tensor:
        """log P(x | k) of the discrete images, nats ``(B, K)``.

        Args:
            weights: E[r_k], ``(K,)``.
            statistics: E[r_k t], ``(K, size)``.
            x: Images uint8 ``(B, D)``.
            known: Mask ``(D,)`` of the pixels that count; all if None.
        """

    @abstractmethod
    def quantile(
        self, weights: Tensor, statistics: Tensor, u: Tensor, temperature: float = 1.0
    ) -> Tensor:
        """Images uint8 ``(B, D)`` of uniform numbers, one component a row."""

    @abstractmethod
    def mean(self, weights: Tensor, statistics: Tensor) -> Tensor:
        """Means of the components on the scale of the levels, float ``(K, D)``."""

    @abstractmethod
    def log_prior(self, weights: Tensor, statistics: Tensor) -> Tensor:
        """log of the prior of the components' parameters ``()``, up to a constant, as a share of
        the data: with it, EM's objective is the mean log-likelihood and ``prior`` times this."""

    @abstractmethod
    def expected_log_density(
        self, weights: Tensor, statistics: Tensor, v: Tensor, n: Tensor
    ) -> Tensor:
        """Expectation of log p(v | k) ``(B, K)`` under the posterior given n observations."""

    @abstractmethod
    def divergence(self, weights: Tensor, statistics: Tensor, n: Tensor) -> Tensor:
        """Kullback-Leibler divergence ``()`` of that posterior, over all components, from the
        conjugate prior, whose counts are ``prior * n``."""

    def begin(self, x: Iterable[Tensor]) -> None:
        """Looks at training images ``(B, C, H, W)`` before the first step."""
