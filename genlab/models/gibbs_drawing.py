"""Drawing by Gibbs sampling: chains from where the training's own chains are."""

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from genlab.models.energy import EnergyModel
from genlab.nn.energy.rbm_core import Biases, RBMCore
from genlab.nn.energy.units import coin
from genlab.ranges import PositiveFloat, PositiveInt
from genlab.row_streams import part_of, portions, uniform
from genlab.types import Batch, SamplingOptions

__all__ = ["GibbsDrawing", "GibbsSampling"]

FRAMES = 50
"""Partial results that are shown of one chain."""


@dataclass(frozen=True)
class GibbsSampling(SamplingOptions):
    """Options of how a Boltzmann machine draws.

    Args:
        steps: Gibbs sweeps from a state of the training's own chains.
        temperature: Of the energy: p^(1 / temperature).
    """

    steps: PositiveInt = 200
    temperature: PositiveFloat = 1.0


class GibbsDrawing(EnergyModel):
    """A machine with one visible layer that draws by Gibbs sweeps, some pixels clamped or none."""

    sampling_options = GibbsSampling
    core: RBMCore
    chains: Tensor

    @abstractmethod
    def middle(self, batch: Batch) -> tuple[Tensor, Biases]:
        """Images as units, in the middle of their bins, and the biases."""

    @abstractmethod
    def to_pixels(self, v: Tensor) -> Tensor:
        """Visible units as uint8 images."""

    def evaluations(self, options: SamplingOptions | None = None) -> int:
        """The sweeps."""
        return options.steps if isinstance(options, GibbsSampling) else GibbsSampling().steps

    def _complete(
        self,
        x: Tensor,
        known: Tensor,
        y: Tensor | None,
        generator: torch.Generator | None,
        options: GibbsSampling,
    ) -> Tensor:
        """Gibbs sweeps from states of the chains, the known pixels clamped."""
        mask = known.expand(self.spec.shape).flatten().to(x.device)
        given, _ = self.middle(Batch(x, y))
        every = math.ceil(options.steps / FRAMES)
        done, total = [], options.steps * len(x)
        beta = 1 / options.temperature
        for part in portions(len(x), x.device, on_cpu=500):
            own, labels = part_of(generator, part), None if y is None else y[part]
            biases = self.core.biases(labels)
            clamped = given[part]
            v = torch.where(mask, clamped, self.first_states(len(clamped), labels, own))
            for step in range(1, options.steps + 1):
                field = self.core.field(v, biases)
                h = coin((beta * field).sigmoid_(), own)
                v = self.core.units.sample(biases.visible, self.core.drive(h), own, beta)
                v = torch.where(mask, clamped, v)
                if step % every == 0 or step == options.steps:
                    reached = part.start * options.steps + step * len(clamped)
                    self.report_progress(reached, total, self.to_pixels(v))
            done.append(v)
        drawn = self.to_pixels(torch.cat(done)).flatten(1)
        return torch.where(mask, x.flatten(1), drawn).view(x.shape)

    def first_states(self, n: int, y: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """States of the chains, each drawn at random; of its class where there are classes."""
        count, classes = self.chains.shape[1], max(self.num_classes, 1)
        u = uniform((n, 1), generator, device=self.device)[:, 0]
        if y is None or count < classes:
            return self.chains[0, (u * count).long()]
        of_class = (count - 1 - y) // classes + 1
        return self.chains[0, y + classes * (u * of_class).long()]
