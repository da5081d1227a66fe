"""Models that draw by a denoiser: samples, codes and completions in terms of it alone."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genlab.errors import ConfigError
from genlab.models.completing import Completing
from genlab.nn.diffusion.guidance import guided
from genlab.nn.diffusion.inpainting import inpaint
from genlab.nn.diffusion.noise_levels import GridName, grid
from genlab.nn.diffusion.solvers import Denoise, SamplerName, evaluations, solve
from genlab.nn.scaling import from_signed, to_signed
from genlab.ranges import NonNegativeFloat, PositiveFloat, PositiveInt
from genlab.row_streams import normal, part_of, portions
from genlab.types import Batch, SamplingOptions

__all__ = ["LAST", "DenoisingModel", "DiffusionSampling", "labelled"]

ROUNDS = 5
"""Evaluations of a step of `Diffusion.complete`."""
ROUND_TRIP = 18
"""Heun steps from an image to its code, and back."""
LAST = 0.002
"""Level of a sampler's last step but one (Karras et al. 2022); below it nothing is visible."""


@dataclass(frozen=True)
class DiffusionSampling(SamplingOptions):
    """Options of how a diffusion model draws.

    Args:
        sampler: ``dpm2m``, ``euler`` (DDIM), ``heun`` or ``ancestral`` (DDPM), see
            `genlab.nn.diffusion.solvers.solve`.
        steps: From noise to image; each is one evaluation of the network, two with ``heun``.
        guidance: ``D = D_null + guidance (D_label - D_null)``: 1 is the conditional model itself;
            any other value takes two evaluations (Ho and Salimans 2022, arXiv:2207.12598).
        temperature: Scale of the noise at the start, and of what ``ancestral`` adds.
    """

    sampler: SamplerName = "dpm2m"
    steps: PositiveInt = 8
    guidance: NonNegativeFloat = 1.0
    temperature: PositiveFloat = 1.0

    def evaluations(self, conditional: bool) -> int:
        """The solver's; guidance asks the network twice each time."""
        twice = 2 if conditional and self.guidance != 1 else 1
        return twice * evaluations(self.sampler, self.steps)


class DenoisingModel(Completing):
    """A model with a denoiser ``D(z, r) = E[x | z]`` of ``z = x + r eps``, x on [-1, 1].

    A family sets the attributes, and defines `denoise` and `loss`.

    Attributes:
        low: The lowest noise level r, which hides nothing.
        high: The highest one, which hides everything.
        grid_name: Grid of a sampler's levels, see `genlab.nn.diffusion.noise_levels.grid`.
        steps: Of its usual sampling.
        embedding: Of the labels.
    """

    sampling_options = DiffusionSampling
    low: float
    high: float
    grid_name: GridName
    steps: int
    embedding: nn.Module

    @abstractmethod
    def denoise(self, z: Tensor, r: Tensor | float, context: Tensor | None = None) -> Tensor:
        """The expected image D on the scale [-1, 1], ``(B, C, H, W)``.

        Args:
            z: Noisy images ``x + r eps``.
            r: Noise levels ``(B,)``, or one for all.
            context: Vectors of the labels ``(B, K)``, zeros for no label; None if unconditional.
        """

    def draw(
        self,
        n: int,
        y: Tensor | None,
        generator: torch.Generator | None,
        options: DiffusionSampling,
    ) -> Tensor:
        """Solves from noise to image; partial results are the expected images along the way.

        Raises:
            ConfigError: Guidance of a model without labels.
        """

        def solved(denoise: Denoise, noise: Tensor, _: slice, **given: Any) -> Tensor:
            return solve(denoise, noise, sampler=options.sampler, **given)

        return self._drawn(n, y, generator, options, solved)

    def _complete(
        self,
        x: Tensor,
        known: Tensor,
        y: Tensor | None,
        generator: torch.Generator | None,
        options: DiffusionSampling,
    ) -> Tensor:
        """Draws the unknown pixels by RePaint, see `genlab.nn.diffusion.inpainting.inpaint`.

        It is approximate, and takes `ROUNDS` evaluations a step, whatever the sampler.
        """
        clean, known = to_signed(x, self.spec.levels), known.to(self.device)

        def painted(denoise: Denoise, noise: Tensor, part: slice, **given: Any) -> Tensor:
            return inpaint(denoise, noise, clean[part], known, rounds=ROUNDS, **given)

        return self._drawn(len(x), y, generator, options, painted)

    @property
    def usual_sampling(self) -> DiffusionSampling:
        """In as many steps as the model's argument says."""
        return DiffusionSampling(steps=self.steps)

    def evaluations(self, options: SamplingOptions | None = None) -> int:
        """Those of its options, see `DiffusionSampling.evaluations`."""
        options = options if isinstance(options, DiffusionSampling) else self.usual_sampling
        return options.evaluations(self.conditional)

    def _drawn(
        self,
        n: int,
        y: Tensor | None,
        generator: torch.Generator | None,
        options: DiffusionSampling,
        solver: Callable[..., Tensor],
    ) -> Tensor:
        """Images from noise, a portion at a time, by a solver."""
        levels = grid(self.grid_name, options.steps, max(self.low, LAST), self.high)
        images = []
        for part in portions(n, self.device):
            size = (part.stop - part.start, *self.spec.shape)
            own = part_of(generator, part)
            noise = normal(size, own, device=self.device)

            def report(step: int, d: Tensor, first: int = part.start) -> None:
                done = first * options.steps + step * len(d)
                self.report_progress(done, n * options.steps, from_signed(d, self.spec.levels))

            z = solver(
                self._guided(None if y is None else y[part], options.guidance),
                noise * (levels[0] * options.temperature),
                part,
                levels=levels,
                generator=own,
                noise_scale=options.temperature,
                after_step=report,
            )
            images.append(from_signed(z, self.spec.levels))
        return torch.cat(images)

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """The ODE's noise of images, ``(B, C, H, W)``, about standard normal."""
        y = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        up = grid("karras", ROUND_TRIP, self.low, self.high)[-2::-1]
        with self.evaluating():
            codes = [
                solve(self._guided(None if y is None else y[part], 1.0),
                      to_signed(batch.x[part], self.spec.levels), up, "heun")
                for part in portions(len(batch.x), self.device)
            ]  # fmt: skip
        return torch.cat(codes) / self.high

    @torch.no_grad()
    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The images that the ODE leads to from noise ``(B, C, H, W)``."""
        y = self._check_condition(y, len(z))
        down = grid("karras", ROUND_TRIP, self.low, self.high)
        with self.evaluating():
            images = [
                solve(self._guided(None if y is None else y[part], 1.0), z[part] * self.high,
                      down, "heun")
                for part in portions(len(z), self.device)
            ]  # fmt: skip
        return from_signed(torch.cat(images), self.spec.levels)

    def latent(
        self,
        n: int,
        *,
        generator: torch.Generator | None = None,
        options: SamplingOptions | None = None,
    ) -> Tensor:
        """Standard normal noise times the temperature, ``(n, C, H, W)``."""
        size = (n, *self.spec.shape)
        noise = normal(size, generator, device=self.device)
        return noise.mul_(self._check_options(options).temperature)

    def _guided(self, y: Tensor | None, guidance: float) -> Denoise:
        """The denoiser given labels."""
        return labelled(self.denoise, None if y is None else self.embedding(y), guidance)


def labelled(denoise: Denoise, context: Tensor | None, guidance: float) -> Denoise:
    """A denoiser given vectors of labels, or none.

    Raises:
        ConfigError: Guidance without labels.
    """
    if context is not None:
        return guided(denoise, context, guidance)  # type: ignore[arg-type]
    if guidance == 1:
        return denoise
    raise ConfigError(
        f"sampling.guidance={guidance:g} needs labels, and this model has none; train one with "
        "model.conditional=true"
    )
