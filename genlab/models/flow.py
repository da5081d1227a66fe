"""Normalizing flows of images and of points."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from genlab.errors import ConfigError
from genlab.models.base import GenerativeModel
from genlab.nn.conditions import condition_embedding
from genlab.nn.dequantize import quantize
from genlab.nn.flows.dequantizers import UniformDequantizer, VariationalDequantizer
from genlab.nn.flows.elementwise import ElementwiseName
from genlab.nn.flows.invertible import Chain, Invertible
from genlab.nn.flows.logit import Logit, Stretch
from genlab.nn.flows.plan import FlowPlan, MixName, build_flow
from genlab.ranges import Fraction, NonNegativeInt, PositiveInt
from genlab.row_streams import normal, part_of, portions
from genlab.types import Batch, ImageSpec, Loss, SamplingOptions, Tempered

__all__ = ["Flow"]

CONTEXT = 16  # length of a class embedding
PORTION = 512
"""Images that go through the flow at once where no gradient is needed."""


class Flow(GenerativeModel):
    r"""Normalizing flow, a map z = f(y) from dequantized images to standard normal numbers.

    ``log p(y) = log N(f(y); 0, I) + log |det df/dy|`` is exact (`log_density`); the probability of
    the discrete image x is a sum of it over x's bin, of which dequantization gives a lower bound
    (Theis et al. 2016; Ho et al. 2019): ``log P(x) >= E_q(y | x)[log p(y) - log q(y | x)]``. The
    loss is minus one sample of it, in nats per image.

    Scales: squares of pixels are squeezed into channels, which `steps` couplings transform, and
    half of them leave as latent numbers. An odd side cannot be squeezed: the scales are as many as
    the sides allow, no pixel is ever padded, and what is left after the last scale (all of an
    image of odd sides) is a vector, which `top_steps` couplings with fully connected networks
    transform.

    Args:
        spec: What the images look like; of at least 2 numbers.
        coupling: ``additive`` (NICE, Dinh et al. 2015), ``affine`` (RealNVP, Dinh et al. 2017) or
            ``spline`` (Neural Spline Flows, Durkan et al. 2019).
        bins: Of each spline.
        mix: Between couplings: ``lu``, a learned matrix (Glow, Kingma and Dhariwal 2018), or
            ``riffle``, fixed, the halves taking turns.
        actnorm: Normalize each channel before a coupling, by the first batch's statistics.
        scales: How many, at most; 0 takes the image as a vector.
        halving: A scale begins with a squeeze, ``squeeze``, or only when there is one pixel a site
            left, ``checkerboard``: then the pixels at a site leave one colour of a checkerboard
            after the other, each given all of the coarser ones.
        steps: Couplings of a scale.
        width: Hidden channels of a coupling's network at the first scale; doubled at each squeeze.
        depth: Its residual blocks.
        top_steps: Couplings of the vector that is left.
        top_width: Hidden units of their networks.
        top_depth: Residual blocks of these.
        margin: Of the logit that takes [0, 1] to the real line; 0 for none.
        dequantization: ``uniform`` or ``variational``.
        dequantization_steps: Couplings of the variational one.
        dequantization_width: Hidden channels of its networks.
        dequantization_depth: Residual blocks of these.
        recompute: Run each coupling's network again for its gradient instead of keeping its
            activations.
        conditional: Model p(x | y); couplings and priors see an embedding of the label.

    Raises:
        ConfigError: Images of a single number, or a margin of 1/2 and more.
    """

    likelihood = "bound"
    spec: ImageSpec

    def __init__(
        self,
        spec: ImageSpec,
        *,
        coupling: ElementwiseName = "affine",
        bins: PositiveInt = 8,
        mix: MixName = "lu",
        actnorm: bool = True,
        scales: NonNegativeInt = 2,
        halving: Literal["squeeze", "checkerboard"] = "squeeze",
        steps: PositiveInt = 4,
        width: PositiveInt = 32,
        depth: NonNegativeInt = 1,
        top_steps: NonNegativeInt = 0,
        top_width: PositiveInt = 128,
        top_depth: NonNegativeInt = 1,
        margin: Fraction = 0.0,
        dequantization: Literal["uniform", "variational"] = "uniform",
        dequantization_steps: NonNegativeInt = 2,
        dequantization_width: PositiveInt = 16,
        dequantization_depth: NonNegativeInt = 1,
        recompute: bool = False,
        conditional: bool = False,
    ):
        super().__init__(spec, conditional)
        if spec.dims < 2:
            raise ConfigError(
                "data: a flow couples halves, and these images are of 1 number; "
                "model.scales and model.coupling need at least 2"
            )
        if margin >= 0.5:
            raise ConfigError(f"model.margin={margin}: must be >= 0 and < 0.5")
        # From integers to reals
        self.embedding = condition_embedding(self.condition, CONTEXT)
        self.dequantizer: nn.Module
        if dequantization == "variational":
            self.dequantizer = VariationalDequantizer(
                spec,
                steps=dequantization_steps,
                width=dequantization_width,
                depth=dequantization_depth,
            )
        else:
            self.dequantizer = UniformDequantizer(spec)
        # From reals to normal numbers
        plan = FlowPlan(
            coupling=coupling,
            bins=bins,
            mix=mix,
            actnorm=actnorm,
            checkerboard=halving == "checkerboard",
            steps=steps,
            width=width,
            depth=depth,
            top_steps=top_steps,
            top_width=top_width,
            top_depth=top_depth,
            context=self.embedding.embedding_dim,
            recompute=recompute,
        )
        start: Invertible = Logit(margin) if margin else Stretch()
        self.flow = Chain([start, build_flow(plan, spec.shape, scales)])

    def loss(self, batch: Batch, player: str = "model") -> Loss:
        """Minus the bound at one sample, nats per image; ``bpd`` is the same in bits/dim."""
        y, log_weight = self.dequantizer(batch.x)
        log_density = self._log_density(y, self.embedding(batch.y))
        total = -(log_density + log_weight).mean()
        volume = math.log(self.spec.levels) * self.spec.dims
        parts = {
            "loss": total,
            "bpd": total / (self.spec.dims * math.log(2)),
            # Of the noise, relative to the uniform one's 0: what variational dequantization costs.
            "noise_entropy": log_weight.mean() + volume,
        }
        return Loss(total, {name: part.detach() for name, part in parts.items()})

    def log_density(self, y: Tensor, labels: Tensor | None = None) -> Tensor:
        """The exact log-density of points of the unit cube, differentiable.

        Args:
            y: Dequantized images, floats in [0, 1] of shape ``(B, C, H, W)``.
            labels: int64 ``(B,)`` for a conditional flow.

        Returns:
            Nats ``(B,)``.
        """
        return self._log_density(y, self.embedding(self._check_condition(labels, len(y))))

    @torch.no_grad()
    def log_prob(
        self, batch: Batch, *, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        """A lower bound of the log-probability of the discrete images.

        With one sample of the noise it is the usual bound of dequantization; with k it is the
        tighter ``log 1/k sum_i p(y_i) / q(y_i | x)``, another number that goes by another name.

        Args:
            batch: The images.
            samples: Number k of noise samples per image, at least 1.
            generator: Source of the noise.

        Returns:
            Nats per image, ``(B,)``.

        Raises:
            ConfigError: No samples, or images of more levels than the model's.
        """
        if samples < 1:
            raise ConfigError(f"samples={samples}: must be >= 1")
        self._check_levels(batch.x)
        labels = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        bounds = []
        with self.evaluating():
            for part in portions(len(batch.x), self.device, PORTION, PORTION):
                x = batch.x[part]
                context = self.embedding(None if labels is None else labels[part])
                total = x.new_full((len(x),), -math.inf, dtype=torch.get_default_dtype())
                for _ in range(samples):
                    y, log_weight = self.dequantizer(x, generator)
                    total = torch.logaddexp(total, self._log_density(y, context) + log_weight)
                bounds.append(total - math.log(samples))
        return torch.cat(bounds)

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """The latent numbers of the bins' centres, ``(B, C H W)``; `decode` gives the images back.

        Those of dequantized images are standard normal, as far as the flow fits; a centre lies
        nearer to 0 than most points of its bin.
        """
        self._check_levels(batch.x)
        labels = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        with self.evaluating():
            y = (batch.x.to(torch.get_default_dtype()) + 0.5) / self.spec.levels
            return self.flow(y, self.embedding(labels))[0]

    @torch.no_grad()
    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The images whose bins the codes ``(B, C H W)`` lie in."""
        labels = self._check_condition(y, len(z))
        with self.evaluating():
            return self._decoded(z.clone(), labels)

    @torch.no_grad()
    def latent(
        self,
        n: int,
        *,
        generator: torch.Generator | None = None,
        options: SamplingOptions | None = None,
    ) -> Tensor:
        """Normal numbers ``(n, C H W)``; the temperature scales their standard deviation."""
        z = normal((n, self.spec.dims), generator, device=self.device)
        return z.mul_(self._check_options(options).temperature)

    def draw(
        self, n: int, y: Tensor | None, generator: torch.Generator | None, options: Tempered
    ) -> Tensor:
        """Normal numbers, decoded; the temperature scales their standard deviation."""
        images = []
        for part in portions(n, self.device, PORTION, PORTION):
            size = part.stop - part.start
            z = self.latent(size, generator=part_of(generator, part), options=options)
            images.append(self._decoded(z, None if y is None else y[part]))
        return torch.cat(images)

    def _decoded(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """The images of codes, which are overwritten."""
        points = self.flow.inverse_(z, self.embedding(labels))
        return quantize(points, self.spec.levels)

    @torch.no_grad()
    def diagnostics(self, batch: Batch) -> dict[str, float]:
        """Error of the inverse, and spread of the codes.

        Returns:
            ``inverse_error``: the largest difference, in levels, between a dequantized number and
            what its code is mapped back to; half a level may be another image. ``code_std``:
            standard deviation of all latent numbers, 1 where the flow fits.
        """
        generator = torch.Generator(self.device).manual_seed(0)
        with self.evaluating():
            context = self.embedding(batch.y)
            y, _ = self.dequantizer(batch.x, generator)
            z, _ = self.flow(y, context)
            error = (self.flow.inverse(z, context) - y).abs().max() * self.spec.levels
        return {"inverse_error": float(error), "code_std": float(z.std())}

    def _log_density(self, y: Tensor, context: Tensor | None) -> Tensor:
        z, log_det = self.flow(y, context)
        constant = 0.5 * math.log(2 * math.pi) * self.spec.dims
        return log_det - 0.5 * z.square().sum(1) - constant

    def _check_levels(self, x: Tensor) -> None:
        if x.numel() and int(x.max()) >= self.spec.levels:
            raise ConfigError(
                f"data.levels: an image holds {int(x.max())}, but the flow is one of "
                f"{self.spec.levels} levels (0 to {self.spec.levels - 1})"
            )
