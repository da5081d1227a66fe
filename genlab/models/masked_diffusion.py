"""Masked diffusion: discrete images drawn pixel by pixel in random order, many pixels at a time."""

from dataclasses import dataclass

import torch
from torch import Tensor

from genlab.models.completing import Completing
from genlab.nn.conditions import condition_embedding
from genlab.nn.diffusion.denoisers import DenoiserName, make_denoiser
from genlab.nn.diffusion.masks import first_in_random_order, random_order, reveals
from genlab.nn.diffusion.noise_levels import stratified
from genlab.nn.heads.heads import HeadName, make_head
from genlab.nn.scaling import to_signed
from genlab.ranges import Fraction, PositiveFloat, PositiveInt
from genlab.row_streams import part_of, portions, uniform
from genlab.types import Batch, ImageSpec, Loss, SamplingOptions

__all__ = ["MaskedDiffusion", "MaskedSampling"]

CONTEXT = 64  # length of a class embedding


@dataclass(frozen=True)
class MaskedSampling(SamplingOptions):
    """Options of how a masked diffusion model draws.

    Args:
        steps: Evaluations of the network. The pixels that one of them reveals are independent
            given those before: as many steps as pixels draw from the model that the bound is of,
            fewer from a worse one.
        temperature: Scale of each pixel's randomness.
    """

    steps: PositiveInt = 64
    temperature: PositiveFloat = 1.0


class MaskedDiffusion(Completing):
    """Absorbing diffusion of discrete pixels (Austin et al. 2021; Shi et al. 2024).

    It is an autoregressive model in any order (Uria et al. 2014; Hoogeboom et al. 2022):
    ``-log P(x) <= E[D / k sum_(i masked) -log p(x_i | unmasked)]`` for k uniform on 1..D of the
    D pixels and a uniform set of k masked ones. The network needs no time (arXiv:2409.02908).

    Args:
        spec: What the images look like.
        network: See `genlab.nn.diffusion.denoisers.make_denoiser`.
        width: Of the network.
        depth: Of the network.
        patch: Of the network.
        scales: Of the network.
        dropout: Probability of dropout in the network.
        head: Distribution of a pixel; ``auto`` is Bernoulli for binary images, else logistic.
        head_components: Components of the logistic mixture.
        conditional: Model p(x | y).
    """

    likelihood = "bound"
    bound_name = "vlb"
    sampling_options = MaskedSampling

    def __init__(
        self,
        spec: ImageSpec,
        *,
        network: DenoiserName = "auto",
        width: PositiveInt = 32,
        depth: PositiveInt = 1,
        patch: PositiveInt = 2,
        scales: PositiveInt = 2,
        dropout: Fraction = 0.0,
        head: HeadName = "auto",
        head_components: PositiveInt = 5,
        conditional: bool = False,
    ):
        super().__init__(spec, conditional)
        self.pixels = spec.height * spec.width
        self.head = make_head(head, spec, components=head_components)
        self.embedding = condition_embedding(self.condition, CONTEXT)
        self.network = make_denoiser(
            network,
            (spec.channels + 1, spec.height, spec.width),
            width=width,
            depth=depth,
            patch=patch,
            scales=scales,
            dropout=dropout,
            context=self.embedding.embedding_dim,
            outputs=self.head.channels,
        )

    def params(self, x: Tensor, masked: Tensor, y: Tensor | None = None) -> Tensor:
        """The head's parameters of all pixels given those that are not masked, ``(B, P, H, W)``.

        Args:
            x: Images, uint8 ``(B, C, H, W)``; what is masked does not matter.
            masked: Mask ``(B, H, W)``.
            y: Labels ``(B,)``, if the model is conditional.
        """
        hidden = masked[:, None].to(torch.get_default_dtype())
        seen = to_signed(x, self.spec.levels) * (1 - hidden)
        level = seen.new_zeros(len(x))
        output: Tensor = self.network(
            torch.cat([seen, 2 * hidden - 1], 1), level, self.embedding(y)
        )
        return output

    def loss(self, batch: Batch, player: str = "model") -> Loss:
        """Minus one draw of the bound, nats per image."""
        nats = self._bound(batch, stratified(len(batch.x), device=batch.x.device), None)
        total = nats.mean()
        bits = total.detach() / (self.spec.dims * 0.6931471805599453)
        return Loss(total, {"loss": total.detach(), "bpd": bits})

    @torch.no_grad()
    def log_prob(
        self, batch: Batch, *, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        """The bound of the mean over all orders of the pixels, nats ``(B,)``.

        Args:
            batch: The images.
            samples: Sets of masked pixels, one of each of as many equal parts of the sizes. Their
                mean is taken: more make the number steadier, no tighter.
            generator: Source of the sets.
        """
        labels = self._check_condition(batch.y if self.conditional else None, len(batch.x))
        found = []
        with self.evaluating():
            for part in portions(len(batch.x), self.device):
                given = Batch(batch.x[part], None if labels is None else labels[part])
                total = torch.zeros(len(given.x), device=self.device)
                for i in range(samples):
                    u = torch.rand(len(given.x), device=self.device, generator=generator)
                    total -= self._bound(given, (u + i) / samples, generator) / samples
                found.append(total)
        return torch.cat(found)

    def _bound(self, batch: Batch, u: Tensor, generator: torch.Generator | None) -> Tensor:
        """Nats of the masked pixels times D / k, ``(B,)``; u are the quantiles of k."""
        k = (u * self.pixels).long().clamp_(max=self.pixels - 1) + 1
        shape = (self.spec.height, self.spec.width)
        masked = first_in_random_order(k, self.pixels, generator).view(-1, *shape)
        params = self.params(batch.x, masked, batch.y if self.conditional else None)
        nats = -self.head.pixel_log_prob(params, batch.x, generator=generator)
        return (nats * masked).flatten(1).sum(1) * (self.pixels / k)

    def evaluations(self, options: SamplingOptions | None = None) -> int:
        """The steps, of which there are no more than pixels."""
        steps = options.steps if isinstance(options, MaskedSampling) else MaskedSampling().steps
        return min(steps, self.spec.height * self.spec.width)

    def _complete(
        self,
        x: Tensor,
        known: Tensor,
        y: Tensor | None,
        generator: torch.Generator | None,
        options: MaskedSampling,
    ) -> Tensor:
        """Reveals the unknown pixels in random orders, few at first."""
        missing, wanted = self.pixels - int(known.sum()), ~known.to(self.device)
        counts = reveals(missing, min(options.steps, max(missing, 1)))
        total, images = len(counts) * len(x), []
        for part in portions(len(x), self.device):
            done = x[part].clone()
            own = part_of(generator, part)
            order = random_order(len(done), wanted, own)
            labels = None if y is None else y[part]
            for step, (before, after) in enumerate(counts):
                params = self.params(done, order >= before, labels)
                size = (len(done), self.head.uniforms, *done.shape[2:])
                u = uniform(size, own, device=self.device)
                drawn = self.head.quantile(params, u, options.temperature)
                new = ((order >= before) & (order < after))[:, None]
                done = torch.where(new, drawn, done)
                self.report_progress(part.start * len(counts) + (step + 1) * len(done), total, done)
            images.append(done)
        return torch.cat(images)
