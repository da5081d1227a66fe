"""Restricted Boltzmann machines, trained by chains of their own."""

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from genlab.errors import ConfigError
from genlab.models.gibbs_drawing import GibbsDrawing
from genlab.nn.energy.annealing import reverse_anneal
from genlab.nn.energy.log_partition import LogPartition, temperatures
from genlab.nn.energy.negative_phase import Replicas
from genlab.nn.energy.partition_function import (
    MOST,
    enumerable,
    enumerate_log_z,
    estimate_log_z,
)
from genlab.nn.energy.pseudo_likelihood import pseudo_nats, reconstruction_nats
from genlab.nn.energy.rbm_core import Biases, RBMCore
from genlab.nn.energy.rbm_gradient import Phase, centred_gradient
from genlab.nn.energy.surrogate import with_gradient
from genlab.nn.energy.tempered_rbm import TemperedRBM
from genlab.nn.energy.units import BernoulliUnits, GaussianUnits
from genlab.ranges import PositiveInt
from genlab.rng import stream
from genlab.types import Batch, ImageSpec, Loss

__all__ = ["RBM"]

SLOW = 0.02
"""Share of a batch in the moving mean of the hidden units; a quick one diverges."""


class RBM(GibbsDrawing):
    r"""Restricted Boltzmann machine ``p(v) = Σ_h exp(vb + hc + vWh) / Z`` (Smolensky 1986).

    The gradient is the difference of two expectations, the data's and the model's, and the latter
    comes from Gibbs chains: k sweeps from the data (contrastive divergence, Hinton 2002), chains
    that persist from step to step (Tieleman 2008), or such chains at several temperatures that
    exchange states (Desjardins et al. 2010). `loss` returns a surrogate with that gradient, centred
    (Melchior et al. 2016); its value is the negative log pseudo-likelihood of bits, or the nats of
    the reconstruction of real numbers. Chains are part of the state, so a resumed run has them.

    Args:
        spec: What the images look like.
        hidden: Number of hidden units.
        visible: ``bernoulli`` for binary images, ``gaussian`` for dequantized ones of any levels.
        sampler: Where the chains of the gradient come from: ``cd``, ``pcd`` or ``pt``.
        k: Sweeps a step.
        chains: Persistent chains; of a conditional model, shared by its classes.
        replicas: Temperatures of each chain (pt), evenly from 1 to 0 of the inverse.
        partition: ``exact`` sums over all states of the smaller side, ``ais`` estimates; ``auto``
            sums where that side has at most 20 units.
        ais_chains: Chains of the estimates of log Z, of each class.
        ais_temperatures: Temperatures of the estimate that a finished run keeps.
        conditional: Model p(x | y), by biases of each class.

    Raises:
        ConfigError: Visible bits for images of more than two levels, or too many units to sum over.
    """

    likelihood: Literal["exact", "bound", "estimate", "none"] = "estimate"
    optimizer = "pcd"
    chains: Tensor
    visible_mean: Tensor
    hidden_mean: Tensor
    scale: Tensor
    exchanges: Tensor

    def __init__(
        self,
        spec: ImageSpec,
        *,
        hidden: PositiveInt = 500,
        visible: Literal["bernoulli", "gaussian"] = "bernoulli",
        sampler: Literal["cd", "pcd", "pt"] = "pcd",
        k: PositiveInt = 1,
        chains: PositiveInt = 100,
        replicas: PositiveInt = 10,
        partition: Literal["auto", "exact", "ais"] = "auto",
        ais_chains: PositiveInt = 100,
        ais_temperatures: PositiveInt = 14_500,
        conditional: bool = False,
    ):
        if visible == "bernoulli" and spec.levels != 2:
            raise ConfigError(
                f"model.visible=bernoulli models binary images, and this data has {spec.levels} "
                "levels: data=mnist_dyn draws bits; model.visible=gaussian models any levels"
            )
        units = BernoulliUnits() if visible == "bernoulli" else GaussianUnits()
        classes = spec.num_classes if conditional else 0
        core = RBMCore(units, spec.dims, hidden, classes)
        exact = decide(partition, core, spec.dims, hidden)
        super().__init__(spec, exact, ais_chains, ais_temperatures, conditional)
        self.core = core
        self.sampler, self.k = sampler, k
        self.noisy = visible == "gaussian"
        self.likelihood = ("bound" if self.noisy else "exact") if exact else "estimate"
        self.bound_name = None if self.noisy else "ais"
        # Means of the units; of real numbers their common mean and spread in levels, too
        self.register_buffer("visible_mean", torch.full((spec.dims,), 0.0 if self.noisy else 0.5))
        self.register_buffer("hidden_mean", torch.full((hidden,), 0.5))
        self.register_buffer("scale", torch.tensor([spec.levels / 2, spec.levels / 4]))
        rungs = replicas if sampler == "pt" else 1
        start = self.start_biases().expand(rungs, chains, -1)
        self.register_buffer("chains", units.sample(start, torch.zeros_like(start)).detach())
        self.register_buffer("exchanges", torch.zeros((), dtype=torch.int64))

    # Pixels and units

    def prepare(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images as visible units ``(B, V)``; real numbers are dequantized."""
        v = x.flatten(1).to(self.visible_mean.dtype)
        if not self.noisy:
            return v
        u = torch.rand(v.shape, dtype=v.dtype, device=v.device, generator=generator)
        return (v + u - self.scale[0]) / self.scale[1]

    def to_pixels(self, v: Tensor) -> Tensor:
        """Visible units as uint8 images."""
        levels = (v * self.scale[1] + self.scale[0]).floor() if self.noisy else v.round()
        return levels.clamp(0, self.spec.levels - 1).to(torch.uint8).view(-1, *self.spec.shape)

    def start_biases(self) -> Tensor:
        """Biases of independent units with the data's means, where annealing begins ``(V,)``."""
        if self.noisy:
            return self.visible_mean
        return ((self.visible_mean + 0.05) / 1.1).logit()

    # Training

    def loss(self, batch: Batch, player: str = "model") -> Loss:
        """A surrogate: progress by its value, the chains' gradient by its gradient."""
        with torch.no_grad(), torch.autocast(batch.x.device.type, enabled=False):
            # Data
            y = batch.y if self.conditional else None
            v, biases = self.prepare(batch.x), self.core.biases(y)
            field = self.core.field(v, biases)
            nats = (reconstruction_nats if self.noisy else pseudo_nats)(
                self.core, v, field, biases
            ).mean()
            even = torch.full((len(v),), 1 / len(v), device=v.device, dtype=v.dtype)
            positive = Phase(v, field, even, y)
            # Model
            negative = self.negative(positive)
            # Gradient
            if self.training:
                self.hidden_mean.lerp_(field.sigmoid().mean(0), SLOW)
            found = centred_gradient(
                self.core, positive, negative, self.visible_mean, self.hidden_mean
            )
        bits = nats / (self.spec.dims * math.log(2))
        return Loss(with_gradient(nats, self.core, found), {"loss": nats, "bpd": bits})

    def negative(self, positive: Phase) -> Phase:
        """States of the model, by k sweeps of the chains."""
        core = self.core
        if self.sampler == "cd":
            biases = core.biases(positive.y)
            family = TemperedRBM(core, self.start_biases(), biases)
            v, field = positive.v, positive.field
            for _ in range(self.k):
                v = family.sweep(field, 1.0)
                field = family.field(v)
            return positive._replace(v=v, field=field)
        y, weights = self.chain_labels(positive)
        family = TemperedRBM(core, self.start_biases(), core.biases(y))
        replicas = Replicas(family, self.chains)
        # Which pairs exchange alternates; a lone replica has none, and a GPU is not waited for.
        exchanges = int(self.exchanges) if len(self.chains) > 1 else 0
        state = replicas.advance(self.k, exchanges)
        if self.training:
            self.chains.copy_(state)
            self.exchanges += 1
        return Phase(state[0], family.field(state[0]), weights, y)

    def chain_labels(self, positive: Phase) -> tuple[Tensor | None, Tensor]:
        """Labels of the chains, and the weights that give each class its share of the batch."""
        n = self.chains.shape[1]
        if positive.y is None:
            return None, positive.weights.new_full((n,), 1 / n)
        classes = torch.arange(self.num_classes, device=positive.v.device)
        y = torch.arange(n, device=positive.v.device) % self.num_classes
        shares = (positive.y[:, None] == classes).double().mean(0)
        of_class = (y[:, None] == classes).double().sum(0)
        weights = shares[y] / of_class[y]
        return y, (weights / weights.sum()).to(positive.weights.dtype)

    @torch.no_grad()
    def begin(self, batches: Iterable[Batch]) -> None:
        """Begins with biases, offsets and chains that have the data's means."""
        x = torch.cat([batch.x for batch in batches])
        generator = stream(0, "rbm", device=x.device)
        if self.noisy:
            pixels = x.double() + 0.5
            self.scale.copy_(torch.stack([pixels.mean(), pixels.std().clamp_min(0.5)]))
        self.visible_mean.copy_(self.prepare(x, generator).mean(0))
        if self.noisy:
            self.core.visible_bias.copy_(self.visible_mean)
        else:
            self.core.visible_bias.copy_(self.visible_mean.clamp(0.01, 0.99).logit())
        start = self.start_biases().expand(self.chains.shape)
        drawn = self.core.units.sample(start, torch.zeros_like(start), generator)
        self.chains.copy_(drawn)

    # Likelihood

    def log_unnormalized(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """See `EnergyModel`; real numbers are dequantized, their density that of a level's bin."""
        v = self.prepare(batch.x, generator)
        log_p = self.core.log_unnormalized(v, self.core.biases(batch.y))
        return log_p - self.spec.dims * self.scale[1].log() if self.noisy else log_p

    def sum_states(self) -> Tensor:
        """See `EnergyModel`: over the smaller side."""
        return enumerate_log_z(self.core, self.num_classes)

    def anneal(self, steps: int, generator: torch.Generator) -> list[LogPartition]:
        """See `EnergyModel`: from the data's means."""
        return estimate_log_z(
            self.core, self.start_biases(), self.ais_chains, steps, generator, self.num_classes
        )

    @torch.no_grad()
    def log_prob_reversed(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """See `EnergyModel`: with as many temperatures as `finish` takes."""
        y = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        family = TemperedRBM(self.core, self.start_biases(), self.core.biases(y))
        betas = temperatures(self.ais_temperatures)
        nats = reverse_anneal(family, self.prepare(batch.x, generator), betas, generator)
        return nats - self.spec.dims * self.scale[1].log() if self.noisy else nats

    # What it sees and draws

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """Probabilities of the hidden units ``(B, H)``."""
        v, biases = self.middle(batch)
        return self.core.field(v, biases).sigmoid()

    @torch.no_grad()
    def reconstruct(self, batch: Batch) -> Tensor:
        """The most probable pixels given the hidden units' probabilities."""
        v, biases = self.middle(batch)
        h = self.core.field(v, biases).sigmoid()
        return self.to_pixels(self.core.units.mean(biases.visible, self.core.drive(h)))

    def middle(self, batch: Batch) -> tuple[Tensor, Biases]:
        """Images as units, in the middle of their bins, and the biases."""
        y = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        v = batch.x.flatten(1).to(self.visible_mean.dtype)
        v = (v + 0.5 - self.scale[0]) / self.scale[1] if self.noisy else v
        return v, self.core.biases(y)

    def receptive_fields(self) -> Tensor:
        """Weights of each hidden unit as an image ``(H, C, height, width)``."""
        return self.core.weight.detach().T.reshape(-1, *self.spec.shape)

    def diagnostics(self, batch: Batch) -> dict[str, float]:
        """``hidden_active``: mean of the hidden units; ``gap``: of log p*, data less chains."""
        with torch.no_grad():
            y = batch.y if self.conditional else None
            v, biases = self.middle(Batch(batch.x, y))
            field = self.core.field(v, biases)
            data = self.core.log_unnormalized(v, biases, field).mean()
            n = self.chains.shape[1]
            labels = None if y is None else torch.arange(n, device=v.device) % self.num_classes
            chains = self.core.log_unnormalized(self.chains[0], self.core.biases(labels)).mean()
        return {"hidden_active": float(field.sigmoid().mean()), "gap": float(data - chains)}


def decide(partition: str, core: RBMCore, visible: int, hidden: int) -> bool:
    """Whether log Z is summed.

    Raises:
        ConfigError: It was asked for, and there are too many states.
    """
    possible = enumerable(core)
    if partition == "exact" and not possible:
        bits = isinstance(core.units, BernoulliUnits)
        sides = f"{visible} visible and {hidden} hidden" if bits else f"{hidden} hidden"
        raise ConfigError(
            f"model.partition=exact: there are {sides} units, and the states of at most {MOST} on "
            "one side can be summed: take model.partition=ais, or fewer hidden units"
        )
    return possible and partition != "ais"
