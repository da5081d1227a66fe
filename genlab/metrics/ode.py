"""Likelihood of a diffusion model by its ODE, and how far its steps can be trusted."""

import time
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from genlab.metrics.likelihood import HALVING, Likelihood, likelihood_keys, log_probs
from genlab.metrics.measure import nats_and_bits
from genlab.metrics.report import Value
from genlab.ranges import PositiveInt
from genlab.system.progress import Progress, quiet
from genlab.types import Batch

__all__ = ["HasOde", "OdeLikelihood"]

FINE = 64
"""Values of an entry from which on a network does not resolve them as spikes of its density."""


@runtime_checkable
class HasOde(Protocol):
    """A model that is an ODE of its images."""

    def log_prob_ode(
        self, batch: Batch, *, steps: int, dequantization: Any, generator: Any
    ) -> Tensor:
        """Nats ``(B,)``, see `genlab.nn.diffusion.ode_bound.ode_bound`."""


@dataclass(frozen=True)
class OdeLikelihood:
    """Settings of ``ode_likelihood``.

    Args:
        steps: Of the fourth-order Runge-Kutta method, four evaluations and backward passes each;
            half as many are taken as well.
        images: Of the split, drawn at random.
        dequantization: See `genlab.nn.diffusion.ode_bound.ode_bound`; ``auto``: uniform from 64
            values an entry on, else normal. Another choice than auto's is in the key.
    """

    steps: PositiveInt = 64
    images: PositiveInt = 100
    dequantization: Literal["auto", "normal", "uniform"] = "auto"

    def measure(
        self,
        model: HasOde,
        x: Tensor,
        y: Tensor | None,
        *,
        levels: int,
        dims: int,
        split: str = "test",
        batch: int = 500,
        seed: int = 0,
        device: torch.device | str = "cpu",
        progress: Progress = quiet,
    ) -> list[Value]:
        """Nats and bits/dim, and the change of the nats from half as many steps.

        Both are of the same images, noises and signs, so that nothing but the steps differs.

        Args:
            model: The model.
            x: The images of the split.
            y: Their labels for a conditional model, or None.
            levels: Values of an entry.
            dims: Number of sub-pixels.
            split: Name of the split.
            batch: Most images in a call of the model.
            seed: Seed of the subset, the noise and the signs.
            device: Where the model is.
            progress: Told how far it is.
        """
        started = time.perf_counter()
        usual = "uniform" if levels >= FINE else "normal"
        noise = usual if self.dequantization == "auto" else self.dequantization

        def log_prob(x: Tensor, y: Tensor | None, k: int, generator: torch.Generator) -> Tensor:
            return model.log_prob_ode(
                Batch(x, y), steps=k, dequantization=noise, generator=generator
            )

        name = "ode" if noise == usual else f"ode_{noise}"
        likelihood = Likelihood(log_prob, "bound", x, y, dims, split, name)
        n = min(self.images, len(x))
        advance = progress("likelihood by the ODE", 2 * n)
        half, found = (
            -log_probs(likelihood, k=k, n=n, batch=batch, seed=seed, device=device, advance=advance)
            for k in (max(1, self.steps // 2), self.steps)
        )
        keys = likelihood_keys("bound", self.steps, n, len(x), name)
        change = float((found - half).mean())
        key = keys[0].replace("nll_ode", HALVING.name)
        return [
            *nats_and_bits(likelihood, keys, found, seed, started),
            Value(key, change, HALVING.better, n, split, number=HALVING),
        ]
