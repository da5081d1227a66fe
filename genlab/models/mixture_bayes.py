"""Mixtures by variational Bayes, which find out how many components the data has."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor
from torch.distributions import Dirichlet, kl_divergence

from genlab.models.mixture import Mixture
from genlab.ranges import PositiveFloat, PositiveInt
from genlab.types import Batch, ImageSpec

__all__ = ["MixtureBayes"]


class MixtureBayes(Mixture):
    r"""Mixture under a Dirichlet prior of its weights and conjugate priors of its components.

    Mean-field variational Bayes (Attias 1999; Bishop 2006, section 10.2): the posterior of weights
    is a Dirichlet, that of a bit's probability a Beta, that of a pixel's mean and precision a
    normal-gamma, and all of them are known from the statistics that `Mixture` keeps, so that an
    iteration is the same step of gradient descent, stochastic at a falling rate (Hoffman et al.
    2013). Under a Dirichlet of a small concentration, components that the data does not need lose
    all their weight. The value of `loss` is minus the evidence lower bound, an image's share of it.

    What it draws from, and has an exact likelihood of, is the mixture at the posterior's means.

    Args:
        spec: What the images look like.
        components: Number of components that there can be, of each class.
        family: See `Mixture`.
        concentration: Of the Dirichlet prior of the weights; well below 1 it empties components.
        pseudo_counts: Observations that the prior of a component counts as.
        observations: Images that the data counts as; None: as many as it begins with, which are
            the training images, or 10,000 of them. With more the posterior is narrower.
        conditional: Model p(x | y), a mixture for each class.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        components: PositiveInt = 50,
        family: Literal["auto", "bernoulli", "gaussian"] = "auto",
        concentration: PositiveFloat = 0.01,
        pseudo_counts: PositiveFloat = 0.01,
        observations: PositiveInt | None = None,
        conditional: bool = False,
    ):
        n = observations or 10_000
        super().__init__(
            spec,
            components=components,
            family=family,
            prior=pseudo_counts / n,
            conditional=conditional,
        )
        self.concentration, self.pseudo_counts = concentration, pseudo_counts
        self.counted = observations is not None

    @property
    def observations(self) -> Tensor:
        """Images that the data counts as, ``()``."""
        return self.pseudo_counts / self.family.prior

    def posterior(self) -> Dirichlet:
        """Posterior of the weights of each class."""
        counts = self.weights.clamp_min(0).view(self.groups, self.per_group) * self.observations
        return Dirichlet(counts + self.concentration, validate_args=False)

    def log_weights(self) -> Tensor:
        return self.posterior().mean.log().flatten()

    def scores(self, v: Tensor, y: Tensor | None) -> Tensor:
        """Expectations under the posterior of what `Mixture` has under its parameters."""
        q = self.posterior().concentration
        log_weights = (q.digamma() - q.sum(1, keepdim=True).digamma()).flatten()
        log_p = self.family.expected_log_density(
            self.weights, self.statistics, v, self.observations
        )
        return self.joint(log_p, y, log_weights)

    @torch.no_grad()
    def penalty(self) -> Tensor:
        """Divergence of the posterior from the prior, an image's share."""
        q = self.posterior()
        prior = Dirichlet(torch.full_like(q.concentration, self.concentration), validate_args=False)
        total = kl_divergence(q, prior).sum()
        total = total + self.family.divergence(self.weights, self.statistics, self.observations)
        return total / self.observations

    @torch.no_grad()
    def begin(self, batches: Iterable[Batch]) -> None:
        """As `Mixture`, and counts the images where it was not told how many there are."""
        found = list(batches)
        if not self.counted:
            n = sum(len(batch.x) for batch in found)
            self.family.prior.fill_(self.pseudo_counts / n)
        super().begin(found)

    def diagnostics(self, batch: Batch) -> dict[str, float]:
        """``found``: the components that hold more than one image; and as `Mixture`."""
        held = (self.weights.detach() * self.observations > 1).sum()
        return super().diagnostics(batch) | {"found": float(held) / self.groups}
