"""What a machine's progress is seen by, cheaply: pseudo-likelihood and reconstruction."""

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.nn.energy.rbm_core import Biases, RBMCore

__all__ = ["pseudo_nats", "reconstruction_nats"]

ALL = 64
"""Bits of an image up to which each of them is predicted from the others."""


def pseudo_nats(core: RBMCore, v: Tensor, field: Tensor, biases: Biases) -> Tensor:
    """Negative log pseudo-likelihood of bits, ``-Σ_i log p(v_i | all others)``, ``(B,)``.

    Of images of more than 64 bits, an unbiased estimate from one bit each, drawn at random (as
    scikit-learn's ``score_samples`` has it).

    Args:
        core: A machine of visible bits.
        v: Examples ``(B, V)``.
        field: Log-odds of their hidden units ``(B, H)``.
        biases: The machine's.
    """
    bits = v.shape[1]
    if bits > ALL:
        index = torch.randint(bits, (len(v),), device=v.device)
        return bits * flip_nats(core, v, field, biases, index)
    each = [
        flip_nats(core, v, field, biases, torch.full((len(v),), i, device=v.device))
        for i in range(bits)
    ]
    return torch.stack(each).sum(0)


def flip_nats(core: RBMCore, v: Tensor, field: Tensor, biases: Biases, index: Tensor) -> Tensor:
    """-log p(v_i | all others) of one bit i of each example, ``(B,)``."""
    turn = 1 - 2 * v.gather(1, index[:, None])  # what the bit changes by
    bias = biases.visible.expand(len(v), -1).gather(1, index[:, None])
    other = F.softplus(field + turn * core.weight[index]).sum(1) + (turn * bias)[:, 0]
    return F.softplus(other - F.softplus(field).sum(1))


def reconstruction_nats(core: RBMCore, v: Tensor, field: Tensor, biases: Biases) -> Tensor:
    """-log p(v | h) with the hidden units at their probabilities given v, ``(B,)``."""
    drive = core.drive(field.sigmoid())
    units, scaled = core.units, core.units.scaled(v)
    joint = units.base(v, biases.visible) + (scaled * drive).sum(1)
    return units.log_normalizer(biases.visible, drive) - joint
