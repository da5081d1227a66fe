"""Partition function of a restricted Boltzmann machine: by enumeration, or by annealed chains."""

from collections.abc import Callable

import torch
from torch import Tensor

from genlab.nn.energy.annealing import anneal
from genlab.nn.energy.log_partition import LogPartition, estimated, temperatures
from genlab.nn.energy.rbm_core import Biases, RBMCore
from genlab.nn.energy.tempered_rbm import TemperedRBM
from genlab.nn.energy.units import BernoulliUnits

__all__ = ["MOST", "enumerable", "enumerate_log_z", "estimate_log_z"]

MOST = 20
"""Units of the smaller side up to which all its states are summed."""


def enumerable(core: RBMCore) -> bool:
    """True where one side has so few binary units that all its states can be summed."""
    visible, hidden = core.weight.shape
    return hidden <= MOST or (visible <= MOST and isinstance(core.units, BernoulliUnits))


def class_biases(core: RBMCore, classes: int) -> list[Biases]:
    """The biases of each class, or those of all."""
    if not classes:
        return [core.biases()]
    device = core.weight.device
    return [
        Biases(*(bias[0] for bias in core.biases(torch.tensor([y], device=device))))
        for y in range(classes)
    ]


@torch.no_grad()
def enumerate_log_z(core: RBMCore, classes: int = 0) -> Tensor:
    """log Z of each class, or of all, over the states of the smaller side; float64 ``(C,)``."""
    visible, hidden = core.weight.shape
    over_visible = visible < hidden and isinstance(core.units, BernoulliUnits)
    sum_over = core.log_z_over_visible if over_visible else core.log_z_over_hidden
    return torch.stack([sum_over(biases) for biases in class_biases(core, classes)])


@torch.no_grad()
def estimate_log_z(
    core: RBMCore,
    start: Tensor,
    chains: int,
    steps: int,
    generator: torch.Generator,
    classes: int = 0,
    advance: Callable[[int], object] | None = None,
) -> list[LogPartition]:
    """Estimates of log Z of each class, or of all, by annealed importance sampling.

    Args:
        core: The machine.
        start: Biases ``(V,)`` of the independent units that the chains begin as.
        chains: Chains of each class.
        steps: Temperatures; with a given number of products they are worth more than chains.
        generator: Source of all randomness.
        classes: Number of classes, 0 for none.
        advance: Called with 1 at each temperature.
    """
    betas, found = temperatures(steps), []
    for biases in class_biases(core, classes):
        family = TemperedRBM(core, start, biases)
        log_w, _ = anneal(family, chains, betas, generator, advance)
        found.append(estimated(log_w, float(family.log_z0()), steps))
    return found
