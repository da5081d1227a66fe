"""MeanFlow: images in one evaluation of a network, trained from nothing (Geng et al. 2025)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from genlab.models.base import GenerativeModel
from genlab.nn.conditions import condition_embedding
from genlab.nn.diffusion.denoisers import make_denoiser
from genlab.nn.diffusion.features import waves
from genlab.nn.diffusion.mean_velocity import draw_times, prepare, with_target
from genlab.nn.scaling import from_signed, mean_and_spread, to_signed
from genlab.ranges import Fraction, PositiveFloat, PositiveInt, Range
from genlab.row_streams import normal, part_of, portions
from genlab.types import Batch, ImageSpec, Loss, SamplingOptions

__all__ = ["MeanFlow", "MeanFlowSampling"]

CONTEXT = 64
"""Length of a label's vector, and of the features of a span of time."""

SLOW = 0.05
"""What times are multiplied by for the network: what is differentiated must not oscillate."""


@dataclass(frozen=True)
class MeanFlowSampling(SamplingOptions):
    """Options of how a mean flow draws.

    Args:
        steps: From noise to image, of equal length: an evaluation of the network each.
        temperature: Scale of the noise.
    """

    steps: PositiveInt = 1
    temperature: PositiveFloat = 1.0


class MeanFlow(GenerativeModel):
    """A network of the mean velocity u(z, r, t) between two times of the path from data to noise.

    Drawing is ``x = e - u(e, 0, 1)``: one evaluation; more steps repeat it over parts of the way.
    There is no likelihood.

    Args:
        spec: The images.
        network: ``unet``, ``mlp``; ``auto`` is unet, and mlp below 8 pixels.
        width, depth, patch, scales, dropout: Of the network, see
            `genlab.nn.diffusion.denoisers.make_denoiser`.
        spans: Share of a batch with two different times; the others learn the velocity itself
            (the paper's table 1a: 0.25).
        time_mean, time_std: Of the normal distribution whose logistic the times follow. The paper's
            -0.4 and 1 draw times within a tenth of both ends, between which a single step goes,
            once in 3,000 pairs.
        power: p of the weight ``1 / (error + 0.001)^p`` of each image's error (equation 22).
        drop_label: Share of the labels that a conditional model trains without.
        conditional: Model p(x | y).
    """

    likelihood = "none"
    sampling_options = MeanFlowSampling
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        spec: ImageSpec,
        *,
        network: Literal["auto", "unet", "mlp"] = "auto",
        width: PositiveInt = 32,
        depth: PositiveInt = 1,
        patch: PositiveInt = 2,
        scales: PositiveInt = 2,
        dropout: Fraction = 0.0,
        spans: Annotated[float, Range(low=0, high=1)] = 0.5,
        time_mean: float = 0.0,
        time_std: PositiveFloat = 2.0,
        power: Annotated[float, Range(low=0, high=1)] = 0.75,
        drop_label: Fraction = 0.0,
        conditional: bool = False,
    ):
        super().__init__(spec, conditional)
        prepare()
        self.spans, self.power, self.drop_label = spans, power, drop_label
        self.time_mean, self.time_std = time_mean, time_std
        self.embedding = condition_embedding(self.condition, CONTEXT)
        self.network = make_denoiser(
            network,
            spec.shape,
            width=width,
            depth=depth,
            patch=patch,
            scales=scales,
            dropout=dropout,
            context=CONTEXT + self.embedding.embedding_dim,
        )
        self.register_buffer("mean", torch.tensor(0.0))
        self.register_buffer("std", torch.tensor(0.5))

    def begin(self, batches: Iterable[Batch]) -> None:
        """Measures mean and spread of the data: the network sees them as 0 and 1."""
        mean, std = mean_and_spread(batches, self.spec.levels)
        self.mean.fill_(mean)
        self.std.fill_(std)

    def velocity(self, z: Tensor, r: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """The mean velocity from time r to time t, ``(B, C, H, W)``.

        Args:
            z: Points at time t, ``(B, C, H, W)``.
            r: Earlier times ``(B,)``.
            t: Times ``(B,)``.
            label: Vectors of the labels ``(B, K)``, zeros for no label; None if unconditional.
        """
        span = waves(SLOW * (t - r), CONTEXT)
        context = span if label is None else torch.cat([span, label], 1)
        result: Tensor = self.network(z, SLOW * t, context)
        return result

    def loss(self, batch: Batch, player: str = "model") -> Loss:
        """Weighted squared error of the mean velocity; ``error`` is the mean over pixels itself."""
        x = (to_signed(batch.x, self.spec.levels) - self.mean) / self.std
        label = self.embedding(batch.y)
        order = torch.randperm(len(x), device=x.device)  # of which the first are treated apart
        x, label = x[order], None if label is None else label[order]
        if label is not None and self.drop_label:
            label = label * (torch.rand(len(x), 1, device=x.device) >= self.drop_label)
        # Points of the path, and their velocity
        noise = torch.randn_like(x)
        r, t = draw_times(len(x), self.time_mean, self.time_std, x.device)
        z = torch.lerp(x, noise, t[:, None, None, None])
        v = noise - x
        # Some learn from the identity, the others have one time
        n = round(self.spans * len(x))
        first, last = (None, None) if label is None else (label[:n], label[n:])
        errors = []
        if n:
            u, target = with_target(
                lambda z, r, t: self.velocity(z, r, t, first), z[:n], v[:n], r[:n], t[:n]
            )
            errors.append((u - target).square().flatten(1).mean(1))
        if n < len(x):
            u = self.velocity(z[n:], t[n:], t[n:], last)
            errors.append((u - v[n:]).square().flatten(1).mean(1))
        each = torch.cat(errors)
        loss = (each / (each.detach() + 1e-3) ** self.power).mean()
        return Loss(loss, {"loss": loss.detach(), "error": each.detach().mean()})

    def draw(
        self,
        n: int,
        y: Tensor | None,
        generator: torch.Generator | None,
        options: MeanFlowSampling,
    ) -> Tensor:
        """From noise in steps of equal length, a portion at a time."""
        images = []
        for part in portions(n, self.device):
            size = (part.stop - part.start, *self.spec.shape)
            noise = normal(size, part_of(generator, part), device=self.device)
            label = None if y is None else self.embedding(y[part])
            images.append(self._flow(noise * options.temperature, label, options.steps))
        return torch.cat(images)

    def _flow(self, z: Tensor, label: Tensor | None, steps: int) -> Tensor:
        """The images that noise ``(B, C, H, W)`` becomes."""
        for i in range(steps, 0, -1):
            t, r = (z.new_full((len(z),), k / steps) for k in (i, i - 1))
            z = z - self.velocity(z, r, t, label) / steps
        return from_signed(z * self.std + self.mean, self.spec.levels)

    def evaluations(self, options: SamplingOptions | None = None) -> int:
        """The steps."""
        return options.steps if isinstance(options, MeanFlowSampling) else MeanFlowSampling().steps

    @torch.no_grad()
    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The images that noise ``(B, C, H, W)`` becomes in one step."""
        y = self._check_condition(y, len(z))
        with self.evaluating():
            return self._flow(z, None if y is None else self.embedding(y), 1)

    def latent(
        self,
        n: int,
        *,
        generator: torch.Generator | None = None,
        options: SamplingOptions | None = None,
    ) -> Tensor:
        """Standard normal noise times the temperature, ``(n, C, H, W)``."""
        noise = normal((n, *self.spec.shape), generator, device=self.device)
        return noise.mul_(self._check_options(options).temperature)
