"""Persistent chains of the negative phase, at one temperature or at several."""

import torch
from torch import Tensor

from genlab.nn.energy.tempered_rbm import TemperedRBM
from genlab.nn.energy.tempering import exchange

__all__ = ["Replicas"]


class Replicas:
    """N chains at each of R temperatures, from the machine itself (1) to independent units (0).

    Args:
        family: The machine and its way from independent units.
        state: States ``(R, N, V)``, the first of the machine itself.
    """

    def __init__(self, family: TemperedRBM, state: Tensor):
        self.family, self.state = family, state
        rungs = len(state)
        self.betas = torch.linspace(1, 0, rungs) if rungs > 1 else torch.ones(1)

    def advance(self, k: int, turn: int = 0, generator: torch.Generator | None = None) -> Tensor:
        """The states after k sweeps, each followed by exchanges between neighbours.

        Args:
            k: How many.
            turn: Number of the step: odd and even ones exchange other pairs first.
            generator: Source of all randomness.
        """
        state = self.state
        for sweep in range(k):
            moved = [
                self.family.sweep(self.family.field(v), beta, generator)
                for v, beta in zip(state, self.betas.tolist(), strict=True)
            ]
            state = torch.stack(moved)
            if len(moved) > 1:
                state, _ = exchange(self.family, state, self.betas, (turn + sweep) % 2, generator)
        return state
