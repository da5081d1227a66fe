"""Diffusion models and flow matching: one denoiser, and everything else in terms of it."""

import math
from collections.abc import Iterable
from typing import Annotated, Literal

import torch
from torch import Tensor

from genlab.errors import ConfigError
from genlab.models.denoising import DenoisingModel, DiffusionSampling
from genlab.nn.conditions import condition_embedding
from genlab.nn.diffusion.bound import lowest_level, prior_term, reconstruction_term
from genlab.nn.diffusion.denoisers import DenoiserName, make_denoiser
from genlab.nn.diffusion.noise_levels import DensityName, GridName, draw_levels, stratified
from genlab.nn.diffusion.ode_bound import Dequantization, ode_bound
from genlab.nn.diffusion.output_rules import RULES, RuleName
from genlab.nn.scaling import mean_and_spread, to_signed
from genlab.ranges import Fraction, PositiveFloat, PositiveInt, Range
from genlab.row_streams import portions
from genlab.types import Batch, ImageSpec, Loss

__all__ = ["Diffusion", "DiffusionSampling"]

CONTEXT = 64  # length of a class embedding


class Diffusion(DenoisingModel):
    """Diffusion (Ho et al. 2020; Karras et al. 2022) and flow matching (Lipman et al. 2023).

    One denoiser ``D(z, r) = E[x | z]`` of ``z = x + r eps``, x on the scale [-1, 1]. EDM, DDPM,
    VDM and rectified flow are settings of it: the output rule says what the network learns, the
    density which levels it learns at, the grid where a sampler stops.

    Args:
        spec: What the images look like.
        rule: ``edm``, ``flow``, ``noise`` or ``bernoulli``, see `genlab.nn.diffusion.output_rules`;
            ``auto`` is bernoulli for binary images, else edm.
        network: See `genlab.nn.diffusion.denoisers.make_denoiser`.
        width: Of the network.
        depth: Of the network.
        patch: Of the network.
        scales: Of the network.
        dropout: Probability of dropout in the network.
        density: Of the training levels, see `genlab.nn.diffusion.noise_levels.draw_levels`.
        level_mean: Mean of log r of a normal density.
        level_std: Its standard deviation.
        even: Share of the training levels that are drawn evenly over all of them, whatever the
            density: the bound counts levels that no sample shows.
        objective: ``denoise``: the squared error of the network's output. ``bound``: minus the
            variational bound, which wants a ``uniform`` density, in nats per image.
        grid: Of a sampler's levels, see `genlab.nn.diffusion.noise_levels.grid`.
        high: The highest level.
        steps: Evaluations of the network that a sample takes where ``sampling.steps`` is not given.
        drop_label: Share of the labels that a conditional model trains without: what guidance
            needs.
        conditional: Model p(x | y).

    Raises:
        ConfigError: A rule for binary images on others, or a density that is not the bound's.
    """

    likelihood = "bound"
    bound_name = "vlb"
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
        even: Fraction = 0.1,
        objective: Literal["denoise", "bound"] = "denoise",
        grid: GridName = "karras",
        high: Annotated[float, Range(low=1)] = 80.0,
        steps: PositiveInt = 8,
        drop_label: Fraction = 0.1,
        conditional: bool = False,
    ):
        super().__init__(spec, conditional)
        # What goes together
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
        # The process: what is learned, at which levels, and where a sampler stops
        chosen = ("bernoulli" if spec.levels == 2 else "edm") if rule == "auto" else rule
        self.rule = RULES[chosen]
        self.low, self.high = lowest_level(spec.levels), high
        self.density, self.level_mean, self.level_std = density, level_mean, level_std
        self.even = even
        self.objective, self.grid_name, self.drop_label = objective, grid, drop_label
        self.steps = steps
        # The network
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
        self.data_std.fill_(mean_and_spread(batches, self.spec.levels)[1])

    # ------------------------------------------------------------------------------------------
    # The denoiser

    def denoise(self, z: Tensor, r: Tensor | float, context: Tensor | None = None) -> Tensor:
        """The network's output as the output rule reads it; see `DenoisingModel.denoise`."""
        level = torch.as_tensor(r, dtype=z.dtype, device=z.device).expand(len(z))
        wide = level[:, None, None, None]
        scaled = z * self.rule.input_scale(wide, self.data_std)
        output = self.network(scaled, level.log() / 4, context)
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
        ends, shape = (self.low, self.high), (self.level_mean, self.level_std)
        log_r = draw_levels(u, self.density, *ends, *shape, even=self.even)
        r = log_r.exp()[:, None, None, None]
        error = (self.denoise(x + r * torch.randn_like(x), r.flatten(), context) - x).square()
        if self.objective == "bound":
            each = (error / r.square()).flatten(1).sum(1) * math.log(self.high / self.low)
            each = each + self._ends(x, batch.x, None)
        else:
            each = (error * self.rule.weight(r, self.data_std)).flatten(1).mean(1)
        parts = {"loss": each.mean()}
        bands = log_r.argsort().argsort() * 3 // len(x)
        for band, name in enumerate(("low", "middle", "high")):
            inside = (bands == band).to(each.dtype)
            parts[f"loss_{name}"] = (each * inside).sum() / inside.sum().clamp_min(1)
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

    def log_prob_ode(
        self,
        batch: Batch,
        *,
        steps: int,
        dequantization: Dequantization = "normal",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The bound by the probability-flow ODE, see `genlab.nn.diffusion.ode_bound.ode_bound`."""
        labels = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        with self.evaluating():
            found = [
                ode_bound(
                    self._guided(None if labels is None else labels[part], 1.0),
                    to_signed(batch.x[part], self.spec.levels),
                    batch.x[part],
                    levels=self.spec.levels,
                    low=self.low,
                    high=self.high,
                    steps=steps,
                    dequantization=dequantization,
                    generator=generator,
                )
                for part in portions(len(batch.x), self.device)
            ]
        return torch.cat(found)

    def _ends(self, x: Tensor, values: Tensor, generator: torch.Generator | None) -> Tensor:
        """The bound's terms at both ends of the levels, nats ``(B,)``."""
        last = reconstruction_term(x, values, self.spec.levels, self.low, generator)
        return prior_term(x, self.high) + last
