"""Mixtures of Bernoulli or Gaussian components, trained by expectation maximization."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from genlab.errors import ConfigError
from genlab.models.completing import Completing
from genlab.nn.mixtures.bernoulli_components import BernoulliComponents
from genlab.nn.mixtures.components import Components
from genlab.nn.mixtures.gaussian_components import GaussianComponents
from genlab.nn.mixtures.seeding import hard_clusters
from genlab.nn.scaling import from_unit
from genlab.ranges import PositiveFloat, PositiveInt
from genlab.rng import stream
from genlab.row_streams import uniform
from genlab.types import Batch, ImageSpec, Loss, Tempered

__all__ = ["Mixture"]


class Mixture(Completing):
    r"""Mixture of products: ``P(x) = Σ_k π_k Π_i p_ki(x_i)``.

    Its parameters are mean sufficient statistics s = E[r t(x)], and EM is a step of gradient
    descent on ``½ |s - s*|²``, s* being those of the batch under the present responsibilities: at
    rate 1 and on all the data the step is EM's; on batches, at a rate that falls, stepwise EM
    (Cappé and Moulines 2009; Liang and Klein 2009). What `loss` returns has the gradient of that
    distance, and the batch's negative log-likelihood as its value.

    Args:
        spec: What the images look like.
        components: Number of components, of each class where it is conditional.
        family: ``bernoulli`` for binary images, ``gaussian`` for any, of diagonal covariance;
            ``auto`` goes by the levels.
        prior: Weight of each component's prior, as a share of the training data: see
            `genlab.nn.mixtures`.
        conditional: Model p(x | y), a mixture for each class.

    Raises:
        ConfigError: Bernoulli components for images of more than two levels.
    """

    likelihood = "exact"
    draws_in_steps = False
    sampling_options = Tempered
    optimizer = "em"

    def __init__(
        self,
        spec: ImageSpec,
        *,
        components: PositiveInt = 100,
        family: Literal["auto", "bernoulli", "gaussian"] = "auto",
        prior: PositiveFloat = 2e-6,
        conditional: bool = False,
    ):
        super().__init__(spec, conditional)
        self.groups, self.per_group = max(self.num_classes, 1), components
        self.family = make_components(family, spec, prior)
        total = self.groups * components
        self.weights = nn.Parameter(torch.full((total,), 1 / total))
        self.statistics = nn.Parameter(self.family.start(total) / total)

    def log_weights(self) -> Tensor:
        """log π ``(M,)`` of all components, of each class summing to 1."""
        w = self.weights.clamp_min(1e-12).view(self.groups, self.per_group)
        return (w / w.sum(1, keepdim=True)).log().flatten()

    def outside(self, y: Tensor | None) -> Tensor | None:
        """Mask ``(B, M)`` of the components that are not of an example's class."""
        if y is None:
            return None
        group = torch.arange(self.groups, device=y.device).repeat_interleave(self.per_group)
        return y[:, None] != group

    def joint(self, log_p: Tensor, y: Tensor | None, log_weights: Tensor | None = None) -> Tensor:
        """log p(x, k | y) of log p(x | k) ``(B, M)``; -inf outside of the class."""
        log_weights = self.log_weights() if log_weights is None else log_weights
        found, outside = log_p + log_weights, self.outside(y)
        return found if outside is None else found.masked_fill(outside, -torch.inf)

    def loss(self, batch: Batch, player: str = "model") -> Loss:
        """A surrogate: the negative log-likelihood by its value, EM by its gradient."""
        y = batch.y if self.conditional else None
        with torch.autocast(batch.x.device.type, enabled=False):
            # E step: what the statistics would be
            with torch.no_grad():
                v = self.family.prepare(batch.x)
                joint = self.scores(v, y)
                log_p = joint.logsumexp(1, keepdim=True)
                r = (joint - log_p).exp_()
                weights = r.mean(0)
                statistics = r.T @ self.family.statistics(v) / len(v)
            # M step: the step towards them
            far = (self.weights - weights).square().sum()
            far = far + (self.statistics - statistics).square().sum()
        nats = self.penalty() - log_p.mean()
        bits = nats / (self.spec.dims * 0.6931471805599453)
        return Loss(nats + 0.5 * (far - far.detach()), {"loss": nats, "bpd": bits})

    def scores(self, v: Tensor, y: Tensor | None) -> Tensor:
        """log of what the training's responsibilities are in proportion to, ``(B, M)``."""
        return self.joint(self.family.log_density(self.weights, self.statistics, v), y)

    def penalty(self) -> Tensor:
        """What the training's objective has beside the likelihood, nats an image ``()``."""
        return self.weights.new_zeros(())

    @torch.no_grad()
    def log_prob(
        self, batch: Batch, *, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        """Exact log-probability, nats ``(B,)``."""
        y = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        log_p = self.family.log_mass(self.weights, self.statistics, batch.x)
        return self.joint(log_p, y).logsumexp(1)

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """Responsibilities p(k | x, y) ``(B, M)``."""
        y = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        log_p = self.family.log_mass(self.weights, self.statistics, batch.x)
        return self.joint(log_p, y).softmax(1)

    @torch.no_grad()
    def reconstruct(self, batch: Batch) -> Tensor:
        """The nearest levels of the posterior means ``Σ_k p(k | x) E[x | k]``."""
        mean = self.encode(batch) @ self.family.mean(self.weights, self.statistics)
        return from_unit(mean / (self.spec.levels - 1), self.spec.levels).view(batch.x.shape)

    def _complete(
        self,
        x: Tensor,
        known: Tensor,
        y: Tensor | None,
        generator: torch.Generator | None,
        options: Tempered,
    ) -> Tensor:
        """Draws a component given the known pixels, then the other pixels given the component."""
        u = uniform((len(x), 1 + self.spec.dims), generator, device=x.device)
        mask = known.expand(self.spec.shape).flatten().to(x.device)
        log_p = self.family.log_mass(self.weights, self.statistics, x, mask)
        ends = (self.joint(log_p, y) / options.temperature).softmax(1).cumsum(1)
        k = torch.searchsorted(ends, u[:, :1] * ends[:, -1:], right=True)[:, 0]
        k = k.clamp_(max=len(self.weights) - 1)
        drawn = self.family.quantile(
            self.weights[k], self.statistics[k], u[:, 1:], options.temperature
        )
        return torch.where(mask, x.flatten(1), drawn).view(x.shape)

    def diagnostics(self, batch: Batch) -> dict[str, float]:
        """``components``: how many there are in effect, the exponential of their entropy."""
        log_w = self.log_weights().detach().view(self.groups, -1)
        entropy = -(log_w.exp() * log_w).sum(1).mean()
        return {"components": float(entropy.exp())}

    @torch.no_grad()
    def begin(self, batches: Iterable[Batch]) -> None:
        """Begins with clusters of training images, around seeds far from each other."""
        found = [Batch(batch.x, batch.y if self.conditional else None) for batch in batches]
        x = torch.cat([batch.x for batch in found])
        self.family.begin([x])
        generator = stream(0, "mixture", device=x.device)
        v = self.family.prepare(x, generator)
        t = self.family.statistics(v)
        y = torch.cat([b.y for b in found if b.y is not None]) if self.conditional else None
        for group in range(self.groups):
            mine = torch.arange(len(v)) if y is None else (y == group).nonzero()[:, 0]
            if not len(mine):
                continue
            rows = slice(group * self.per_group, (group + 1) * self.per_group)
            weights, statistics = hard_clusters(v[mine], t[mine], self.per_group, generator)
            self.weights[rows] = weights * len(mine) / len(v)
            self.statistics[rows] = statistics * len(mine) / len(v)


def make_components(
    family: Literal["auto", "bernoulli", "gaussian"], spec: ImageSpec, prior: float
) -> Components:
    """Components for these images.

    Raises:
        ConfigError: Bernoulli for images of more than two levels.
    """
    if family == "bernoulli" and spec.levels != 2:
        raise ConfigError(
            f"model.family=bernoulli models binary images, and this data has {spec.levels} levels: "
            "data=mnist_dyn draws bits; model.family=gaussian models any levels"
        )
    if family == "bernoulli" or (family == "auto" and spec.levels == 2):
        return BernoulliComponents(spec, prior)
    return GaussianComponents(spec, prior)
