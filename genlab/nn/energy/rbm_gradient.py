"""Gradient of a restricted Boltzmann machine's log-likelihood from two sets of states."""

from typing import NamedTuple

import torch
from torch import Tensor

from genlab.nn.energy.rbm_core import RBMCore
from genlab.nn.energy.units import GaussianUnits

__all__ = ["Phase", "centred_gradient"]


class Phase(NamedTuple):
    """States and their hidden units.

    Args:
        v: ``(n, V)``.
        field: Log-odds of the hidden units, ``(n, H)``.
        weights: Of the states, summing to 1 ``(n,)``.
        y: Labels ``(n,)``, or None.
    """

    v: Tensor
    field: Tensor
    weights: Tensor
    y: Tensor | None = None


def centred_gradient(
    core: RBMCore, positive: Phase, negative: Phase, visible_mean: Tensor, hidden_mean: Tensor
) -> dict[str, Tensor]:
    """Descent direction of each parameter: model's expectations less the data's, centred.

    It is the gradient of the machine written about offsets, whose energy is that of v - μ and h -
    λ, taken back to the usual parameters: the same model, a better-conditioned step, which is the
    same for an image and its negative (Montavon and Müller 2012; Melchior et al. 2016). Offsets of
    0 give the plain gradient of contrastive divergence.

    Args:
        core: The machine.
        positive: States of the data.
        negative: States of the model.
        visible_mean: μ, ``(V,)``.
        hidden_mean: λ, ``(H,)``.

    Returns:
        Gradients by the names of `RBMCore`'s parameters.
    """
    # One product for both, the data's states weighing as much below 0 as the model's above
    v, field = torch.cat([negative.v, positive.v]), torch.cat([negative.field, positive.field])
    weights = torch.cat([negative.weights, -positive.weights])
    labels = None
    if positive.y is not None and negative.y is not None:
        labels = torch.cat([negative.y, positive.y])
    both = Phase(v, field, weights, labels)
    found = expectations(core, both, visible_mean, hidden_mean)
    weight = found["weight"]
    found["visible_bias"] = found["visible_bias"] - weight @ hidden_mean
    found["hidden_bias"] = found["hidden_bias"] - core.units.scaled(visible_mean) @ weight
    return found


def expectations(
    core: RBMCore, phase: Phase, visible_mean: Tensor, hidden_mean: Tensor
) -> dict[str, Tensor]:
    """Sums of the derivatives of log p* over a phase's states, by their weights."""
    units, weights = core.units, phase.weights
    h = phase.field.sigmoid()
    centred = weights[:, None] * (h - hidden_mean)
    pull = units.pull(phase.v, core.visible_bias)
    found = {
        "weight": units.scaled(phase.v - visible_mean).T @ centred,
        "visible_bias": weights @ pull,
        "hidden_bias": weights @ h,
    }
    biases = core.biases(phase.y)
    if phase.y is not None:
        for name, each in (("visible_of_class", pull), ("hidden_of_class", h)):
            table = torch.zeros_like(getattr(core, name))
            found[name] = table.index_add(0, phase.y, weights[:, None] * each)
    if isinstance(units, GaussianUnits):
        distance = (phase.v - biases.visible).square().sum(1) / units.variance
        seen = (h * (phase.field - biases.hidden)).sum(1)
        found["units.log_std"] = weights @ (distance - 2 * seen)
    return found
