"""Latent diffusion: a diffusion of another model's codes."""

import math
from collections.abc import Iterable
from typing import Annotated

import torch
from torch import Tensor

from genlab.errors import ConfigError
from genlab.models.base import GenerativeModel
from genlab.models.denoising import LAST, DiffusionSampling, labelled
from genlab.nn.conditions import condition_embedding
from genlab.nn.diffusion.denoising_mlp import DenoisingMLP
from genlab.nn.diffusion.noise_levels import draw_levels, grid, stratified
from genlab.nn.diffusion.output_rules import RULES
from genlab.nn.diffusion.solvers import solve
from genlab.ranges import Fraction, PositiveFloat, PositiveInt
from genlab.row_streams import normal, part_of, portions
from genlab.types import Batch, ImageSpec, Loss, SamplingOptions

__all__ = ["LatentDiffusion"]

CONTEXT = 64  # length of a class embedding
LOW, HIGH = 0.002, 80.0  # noise levels of codes of variance 1


class LatentDiffusion(GenerativeModel):
    """Diffusion (Karras et al. 2022) of an autoencoder's codes (Rombach et al. 2022).

    The autoencoder is trained before, and stays as it is; a network learns its codes, as vectors
    of mean 0 and variance 1 a number. Samples are decoded codes. Without a likelihood.

    Args:
        spec: What the images look like.
        autoencoder: Has codes of real numbers, and no condition of its own.
        width: Units of a layer of the denoiser.
        depth: Its residual blocks.
        dropout: Probability of dropout in a block.
        level_mean: Mean of the logarithm of the training's noise levels.
        level_std: Its standard deviation.
        drop_label: Share of the labels that a conditional model trains without, for guidance.
        conditional: Model p(x | y).

    Raises:
        ConfigError: An autoencoder that will not do.
    """

    sampling_options = DiffusionSampling
    draws_in_steps = True
    spec: ImageSpec
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        spec: ImageSpec,
        autoencoder: Annotated[GenerativeModel, "same data"],
        *,
        width: PositiveInt = 256,
        depth: PositiveInt = 4,
        dropout: Fraction = 0.0,
        level_mean: float = -0.4,
        level_std: PositiveFloat = 1.2,
        drop_label: Fraction = 0.1,
        conditional: bool = False,
    ):
        super().__init__(spec, conditional)
        self.autoencoder = autoencoder.requires_grad_(False)
        self.code_shape = code_shape(autoencoder)
        self.level_mean, self.level_std, self.drop_label = level_mean, level_std, drop_label
        self.rule, dims = RULES["edm"], math.prod(self.code_shape)
        self.embedding = condition_embedding(self.condition, CONTEXT)
        shared = {"context": self.embedding.embedding_dim, "dropout": dropout}
        self.network = DenoisingMLP((dims,), width=width, depth=depth, **shared)  # type: ignore[arg-type]
        self.register_buffer("mean", torch.zeros(dims))
        self.register_buffer("std", torch.ones(dims))

    def begin(self, batches: Iterable[Batch]) -> None:
        """Measures mean and standard deviation of each number of a code."""
        codes = torch.cat([self.autoencoder.encode(Batch(batch.x)).flatten(1) for batch in batches])
        std, mean = torch.std_mean(codes.double(), 0, correction=0)
        self.mean.copy_(mean)
        self.std.copy_(std.clamp_min(1e-3))

    def denoise(self, z: Tensor, r: Tensor | float, context: Tensor | None = None) -> Tensor:
        """The expected code of variance 1, ``(B, D)``; see `DenoisingModel.denoise`."""
        level = torch.as_tensor(r, dtype=z.dtype, device=z.device).expand(len(z))
        wide, one = level[:, None], z.new_ones(())
        output = self.network(z * self.rule.input_scale(wide, one), level.log() / 4, context)
        return self.rule.denoised(output, z, wide, one)

    def loss(self, batch: Batch, player: str = "model") -> Loss:
        """Weighted squared error of the denoised codes, a mean over their numbers."""
        z = (self.autoencoder.encode(Batch(batch.x)).flatten(1).float() - self.mean) / self.std
        context = self.embedding(batch.y)
        if context is not None and self.drop_label:
            context = context * (torch.rand(len(z), 1, device=z.device) >= self.drop_label)
        u = stratified(len(z), device=z.device)
        r = draw_levels(u, "normal", LOW, HIGH, self.level_mean, self.level_std).exp()[:, None]
        error = (self.denoise(z + r * torch.randn_like(z), r.flatten(), context) - z).square()
        total = (error * self.rule.weight(r, z.new_ones(()))).mean()
        return Loss(total, {"loss": total.detach()})

    # ------------------------------------------------------------------------------------------
    # Samples

    def draw(
        self,
        n: int,
        y: Tensor | None,
        generator: torch.Generator | None,
        options: DiffusionSampling,
    ) -> Tensor:
        """Decoded codes; partial results are the images of the codes expected along the way.

        Raises:
            ConfigError: Guidance of a model without labels.
        """
        return self.autoencoder.decode(self._codes(n, y, generator, options))

    def _codes(
        self,
        n: int,
        y: Tensor | None,
        generator: torch.Generator | None,
        options: DiffusionSampling,
    ) -> Tensor:
        """Codes from noise, a portion at a time."""
        levels = grid("karras", options.steps, LAST, HIGH)
        codes = []
        for part in portions(n, self.device):
            own = part_of(generator, part)
            noise = normal((part.stop - part.start, len(self.mean)), own, device=self.device)
            context = self.embedding(None if y is None else y[part])

            def report(step: int, d: Tensor, first: int = part.start) -> None:
                if self._on_progress is not None:  # or all steps would be decoded for nothing
                    done = first * options.steps + step * len(d)
                    images = self.autoencoder.decode(self._raw(d))
                    self.report_progress(done, n * options.steps, images)

            z = solve(
                labelled(self.denoise, context, options.guidance),
                noise * (HIGH * options.temperature),
                levels,
                options.sampler,
                generator=own,
                noise_scale=options.temperature,
                after_step=report,
            )
            codes.append(self._raw(z))
        return torch.cat(codes)

    def _raw(self, z: Tensor) -> Tensor:
        """Codes as the autoencoder has them, of those of variance 1."""
        return (z * self.std + self.mean).view(-1, *self.code_shape)

    def evaluations(self, options: SamplingOptions | None = None) -> int:
        """Those of its options, see `DiffusionSampling.evaluations`, and the decoder's."""
        options = options if isinstance(options, DiffusionSampling) else DiffusionSampling()
        return options.evaluations(self.conditional) + 1

    # ------------------------------------------------------------------------------------------
    # Codes: the autoencoder's

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """The autoencoder's codes."""
        self._check_condition(batch.y if self.conditional else None, len(batch.x))
        return self.autoencoder.encode(Batch(batch.x))

    @torch.no_grad()
    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Images of the autoencoder's codes; what a label says is in the code."""
        self._check_condition(y, len(z))
        return self.autoencoder.decode(z)


def code_shape(autoencoder: GenerativeModel) -> tuple[int, ...]:
    """The shape of a code.

    Raises:
        ConfigError: There are none, or they are indices, or they are given a condition.
    """
    name = type(autoencoder).__name__
    for method in ("encode", "decode"):
        if not autoencoder.can(method):
            raise ConfigError(f"model.autoencoder: a {name} does not {method}; an ae or a vae does")
    if autoencoder.conditional:
        raise ConfigError(
            f"model.autoencoder: this {name} needs a condition itself; take one that was trained "
            "with model.conditional=false"
        )
    x = torch.zeros(1, *autoencoder.spec.shape, dtype=autoencoder.spec.dtype)
    code = autoencoder.encode(Batch(x.to(autoencoder.device)))
    if not code.is_floating_point():
        raise ConfigError(
            f"model.autoencoder: the codes of a {name} are indices, to which no noise can be "
            "added; those of an ae or a vae are numbers"
        )
    return tuple(code.shape[1:])
