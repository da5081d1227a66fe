"""Diffusion models and flow matching: one denoiser, and everything else in terms of it."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from genlab.errors import ConfigError
from genlab.models.base import GenerativeModel
from genlab.nn.conditions import condition_embedding
from genlab.nn.diffusion.bound import lowest_level, prior_term, reconstruction_term
from genlab.nn.diffusion.levels import DensityName, GridName, draw_levels, grid, stratified
from genlab.nn.diffusion.networks import DenoiserName, make_denoiser
from genlab.nn.diffusion.rules import RULES, RuleName
from genlab.nn.diffusion.solvers import Denoise, SamplerName, solve
from genlab.nn.scaling import from_signed, to_signed
from genlab.ranges import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt, Range
from genlab.types import Batch, ImageSpec, Loss, OnProgress, SamplingOptions

__all__ = ["Diffusion", "DiffusionSampling"]

CONTEXT = 64  # length of a class embedding
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


class Diffusion(GenerativeModel):
    """Diffusion (Ho et al. 2020; Karras et al. 2022) and flow matching (Lipman et al. 2023).

    One denoiser ``D(z, r) = E[x | z]`` of ``z = x + r eps``, x on the scale [-1, 1]. EDM, DDPM,
    VDM and rectified flow are settings of it: the output rule says what the network learns, the
    density which levels it learns at, the grid where a sampler stops.

    Args:
        spec: What the images look like.
        rule: ``edm``, ``flow``, ``noise`` or ``bernoulli``, see `genlab.nn.diffusion.rules`;
            ``auto`` is bernoulli for binary images, else edm.
        network: See `genlab.nn.diffusion.networks.make_denoiser`.
        width: Of the network.
        depth: Of the network.
        patch: Of the network.
        scales: Of the network.
        dropout: Probability of dropout in the network.
        density: Of the training levels, see `genlab.nn.diffusion.levels.draw_levels`.
        level_mean: Mean of log r of a normal density.
        level_std: Its standard deviation.
        objective: ``denoise``: the squared error of the network's output. ``bound``: minus the
            variational bound, which wants a ``uniform`` density, in nats per image.
        grid: Of a sampler's levels, see `genlab.nn.diffusion.levels.grid`.
        high: The highest level.
        drop_label: Share of the labels that a conditional model trains without: what guidance
            needs.
        conditional: Model p(x | y).

    Raises:
        ConfigError: A rule for binary images on others, or a density that is not the bound's.
    """

    likelihood = "bound"
    bound_name = "vlb"
    sampling_options = DiffusionSampling
    draws_in_steps = True
    spec: ImageSpec
    data_std: Tensor

    def __init__(
        self,
        spec: ImageSpec,
        *,
        rule: Literal["auto"] | RuleName = "auto",
        network: DenoiserName = "auto",
        width: PositiveInt = 32,
        depth: PositiveInt = 1,
        patch: PositiveInt = 2,
        scales: PositiveInt = 2,
        dropout: Fraction = 0.0,
        density: DensityName = "normal",
        level_mean: float = -0.8,
        level_std: PositiveFloat = 1.2,
        objective: Literal["denoise", "bound"] = "denoise",
        grid: GridName = "karras",
        high: Annotated[float, Range(low=1)] = 80.0,
        drop_label: Fraction = 0.1,
        conditional: bool = False,
    ):
        super().__init__(spec, conditional)
        if rule == "bernoulli" and spec.levels != 2:
            raise ConfigError(
                f"model.rule=bernoulli is for binary images, not for {spec.levels} levels; "
                "edm, flow and noise are for any"
            )
        if objective == "bound" and density != "uniform":
            raise ConfigError(
                f"model.objective=bound weighs all levels alike: take model.density=uniform, "
                f"not {density}"
            )
        chosen = ("bernoulli" if spec.levels == 2 else "edm") if rule == "auto" else rule
        self.rule = RULES[chosen]
        self.low, self.high = lowest_level(spec.levels), high
        self.density, self.level_mean, self.level_std = density, level_mean, level_std
        self.objective, self.grid_name, self.drop_label = objective, grid, drop_label
        self.embedding = condition_embedding(self.condition, CONTEXT)
        self.network = make_denoiser(
            network,
            spec.shape,
            width=width,
            depth=depth,
            patch=patch,
            scales=scales,
            dropout=dropout,
            context=self.embedding.embedding_dim,
        )
        self.register_buffer("data_std", torch.tensor(1.0 if spec.levels == 2 else 0.5))

    def begin(self, batches: Iterable[Batch]) -> None:
        """Measures the spread of the data, which scales what the network sees and is asked for."""
        count, total, squared = 0, 0.0, 0.0
        for batch in batches:
            x = to_signed(batch.x, self.spec.levels).double()
            count += x.numel()
            total, squared = total + float(x.sum()), squared + float(x.square().sum())
        variance = squared / count - (total / count) ** 2
        self.data_std.fill_(max(math.sqrt(max(variance, 0.0)), 1e-2))

    # ------------------------------------------------------------------------------------------
    # The denoiser

    def denoise(self, z: Tensor, r: Tensor | float, context: Tensor | None = None) -> Tensor:
        """The expected image D on the scale [-1, 1], ``(B, C, H, W)``.

        Args:
            z: Noisy images ``x + r eps``.
            r: Noise levels ``(B,)``, or one for all.
            context: Vectors of the labels ``(B, K)``, zeros for no label; None if unconditional.
        """
        level = torch.as_tensor(r, dtype=z.dtype, device=z.device).expand(len(z))
        wide = level[:, None, None, None]
        output = self.network(z * self.rule.input_scale(wide, self.data_std), level.log() / 4,
                              context)  # fmt: skip
        return self.rule.denoised(output, z, wide, self.data_std)

    def loss(self, batch: Batch, player: str = "model") -> Loss:
        """Weighted squared error of the denoised images, and its means over three bands of noise.

        A mean over pixels; minus the bound, where that is trained for, in nats per image.
        """
        x = to_signed(batch.x, self.spec.levels)
        context = self.embedding(batch.y)
        if context is not None and self.drop_label:
            context = context * (torch.rand(len(x), 1, device=x.device) >= self.drop_label)
        u = stratified(len(x), device=x.device)
        log_r = draw_levels(u, self.density, self.low, self.high, self.level_mean, self.level_std)
        r = log_r.exp()[:, None, None, None]
        error = (self.denoise(x + r * torch.randn_like(x), r.flatten(), context) - x).square()
        if self.objective == "bound":
            each = (error / r.square()).flatten(1).sum(1) * math.log(self.high / self.low)
            each = each + self._ends(x, batch.x, None)
        else:
            each = (error * self.rule.weight(r, self.data_std)).flatten(1).mean(1)
        parts = {"loss": each.mean()}
        if len(x) >= 3:  # levels ascend with u
            bands = zip(("low", "middle", "high"), each.tensor_split(3), strict=True)
            parts |= {f"loss_{name}": band.mean() for name, band in bands}
        return Loss(parts["loss"], {name: part.detach() for name, part in parts.items()})

    # ------------------------------------------------------------------------------------------
    # Likelihood

    @torch.no_grad()
    def log_prob(
        self, batch: Batch, *, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        """The variational bound in continuous time, nats ``(B,)``.

        Args:
            batch: The images.
            samples: Levels at which an image's error is measured, one in each of as many equal
                parts of the range. Their mean is taken: more make the number steadier, no tighter.
            generator: Source of levels and noise.
        """
        labels = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        found = []
        with self.evaluating():
            for part in portions(len(batch.x), self.device):
                x = to_signed(batch.x[part], self.spec.levels)
                context = self.embedding(None if labels is None else labels[part])
                total = self._ends(x, batch.x[part], generator)
                for i in range(samples):
                    u = (torch.rand(len(x), device=x.device, generator=generator) + i) / samples
                    r = (math.log(self.low) + u * math.log(self.high / self.low)).exp()
                    wide = r[:, None, None, None]
                    noise = torch.randn(x.shape, device=x.device, generator=generator)
                    d = self.denoise(x + wide * noise, r, context)
                    cost = ((x - d) / wide).square().flatten(1).sum(1)
                    total = total + cost * (math.log(self.high / self.low) / samples)
                found.append(-total)
        return torch.cat(found)

    def _ends(self, x: Tensor, values: Tensor, generator: torch.Generator | None) -> Tensor:
        """The bound's terms at both ends of the levels, nats ``(B,)``."""
        last = reconstruction_term(x, values, self.spec.levels, self.low, generator)
        return prior_term(x, self.high) + last

    # ------------------------------------------------------------------------------------------
    # Samples and codes

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
        return self._drawn(n, y, generator, options, lambda denoise, _: denoise)

    @torch.no_grad()
    def complete(
        self,
        x: Tensor,
        known: int | Tensor,
        y: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
        options: SamplingOptions | None = None,
        on_progress: OnProgress | None = None,
    ) -> Tensor:
        """Keeps pixels of images, and draws the others around them.

        The known pixels are put in the place of what is expected of them at each level (after
        Lugmayr et al. 2022, arXiv:2201.09865). It is approximate: what is drawn early has seen
        them through the noise only.

        Args:
            x: Images, uint8 ``(B, C, H, W)``.
            known: How many pixels are kept, in raster order; or a mask ``(H, W)`` of them.
            y: Labels ``(B,)``, if the model is conditional.
            generator, options, on_progress: As for `sample`.

        Raises:
            ConfigError: No such pixels, or images of more levels than the model's.
        """
        chosen, x = self._check_options(options), x.to(self.device)
        y = self._check_condition(y, len(x))
        mask = known_mask(known, self.spec.height, self.spec.width).to(self.device)
        if x.numel() and int(x.max()) >= self.spec.levels:
            raise ConfigError(f"the images' values must be below {self.spec.levels}, the levels")
        clean = to_signed(x, self.spec.levels)

        def informed(denoise: Denoise, part: slice) -> Denoise:
            return lambda z, r: torch.where(mask, clean[part], denoise(z, r))

        with self.evaluating(), self.reporting(on_progress):
            return self._drawn(len(x), y, generator, chosen, informed)

    def _drawn(
        self,
        n: int,
        y: Tensor | None,
        generator: torch.Generator | None,
        options: DiffusionSampling,
        change: Callable[[Denoise, slice], Denoise],
    ) -> Tensor:
        """Images from noise, a portion at a time, with a denoiser that `change` may change."""
        levels = grid(self.grid_name, options.steps, max(self.low, LAST), self.high)
        images = []
        for part in portions(n, self.device):
            denoise = self._guided(None if y is None else y[part], options.guidance)
            size = (part.stop - part.start, *self.spec.shape)
            noise = torch.randn(size, device=self.device, generator=generator)

            def report(step: int, d: Tensor, first: int = part.start) -> None:
                done = first * options.steps + step * len(d)
                self.report_progress(done, n * options.steps, from_signed(d, self.spec.levels))

            z = solve(
                change(denoise, part),
                noise * (levels[0] * options.temperature),
                levels,
                options.sampler,
                generator=generator,
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
        noise = torch.randn(size, device=self.device, generator=generator)
        return noise.mul_(self._check_options(options).temperature)

    def _guided(self, y: Tensor | None, guidance: float) -> Denoise:
        """The denoiser given labels; with guidance two evaluations in one batch."""
        if y is None:
            if guidance != 1:
                raise ConfigError(
                    f"sampling.guidance={guidance:g} needs labels, and this model has none; train "
                    "one with model.conditional=true"
                )
            return self.denoise
        context = self.embedding(y)
        if guidance == 1:
            return lambda z, r: self.denoise(z, r, context)
        both = torch.cat([context, torch.zeros_like(context)])

        def guided(z: Tensor, r: float) -> Tensor:
            d, null = self.denoise(torch.cat([z, z]), r, both).chunk(2)
            return torch.lerp(null, d, guidance)

        return guided


def portions(n: int, device: torch.device) -> list[slice]:
    """Portions of bounded memory."""
    size = 256 if device.type == "cpu" else 2048
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def known_mask(known: int | Tensor, height: int, width: int) -> Tensor:
    """The mask ``(H, W)`` of known pixels.

    Args:
        known: How many, in raster order; or the mask itself.
        height: Of an image.
        width: Of an image.

    Raises:
        ConfigError: More than there are, or a mask of another shape.

    Example:
        >>> known_mask(3, 2, 2)
        tensor([[ True,  True],
                [ True, False]])
    """
    if isinstance(known, Tensor):
        if known.shape != (height, width):
            raise ConfigError(f"known must be a mask of shape {(height, width)}")
        return known.to(torch.bool)
    pixels = height * width
    if not 0 <= known <= pixels:
        raise ConfigError(f"known={known}: must be from 0 to {pixels}, the number of pixels")
    return (torch.arange(pixels) < known).view(height, width)
