"""VQ-VAE."""

from typing import Literal

import torch
from torch import Tensor

from genlab.errors import ConfigError
from genlab.models.base import GenerativeModel
from genlab.models.pixelcnn import PixelCNN
from genlab.nn.autoencoders.spatial import SpatialDecoder, SpatialEncoder
from genlab.nn.heads.heads import HeadName, make_head
from genlab.nn.latents.codebook import Codebook
from genlab.nn.scaling import from_unit, to_signed
from genlab.ranges import Fraction, NonNegativeFloat, NonNegativeInt, PositiveInt
from genlab.row_streams import categorical
from genlab.types import Batch, ImageSpec, Loss, SamplingOptions, Tempered

__all__ = ["VQVAE"]

SMOOTHING = 1e-3
"""Share of the uniform distribution in each position's marginal: no code has probability 0."""

MOST = 256
"""Levels of an image, which the map is to its prior."""


class VQVAE(GenerativeModel):
    r"""VQ-VAE: images as maps of indices into a learned codebook (van den Oord et al. 2017).

    The prior of the map is a PixelCNN, which learns beside the autoencoder: an index carries no
    gradient, so neither disturbs the other, and when training ends the prior knows the last codes
    best. The alternative is the product of each position's marginal, a moving average; it knows
    nothing of how positions hang together, so its samples are patchworks. Either makes the
    likelihood an honest lower bound, for the true posterior is any distribution over maps and the
    encoder's puts all on one: ``log p(x) >= log p(x | code) + log p(code)``.

    Args:
        spec: What the images look like.
        codes: Size of the codebook.
        dim: Length of a code vector.
        width: Channels of the networks.
        blocks: Residual blocks of each network.
        halvings: How often the encoder halves the sides.
        commitment: Weight of the encoder's distance to its code.
        decay: Of the codebook's moving averages, per step.
        revive: A code used fewer than this many times a step, on average, is replaced.
        prior: Of the maps: ``pixelcnn`` or ``marginal``.
        prior_blocks: Blocks of the PixelCNN.
        prior_width: Channels of a block, even.
        head: Distribution of a pixel; ``auto`` is Bernoulli for binary images, else logistic.
        head_components: Components of the logistic mixture.

    Raises:
        ConfigError: The head does not suit the images, or more codes than a PixelCNN has levels.
    """

    conditions = ()
    likelihood = "bound"
    spec: ImageSpec
    usage: Tensor
    new_usage: Tensor

    def __init__(
        self,
        spec: ImageSpec,
        *,
        codes: PositiveInt = 256,
        dim: PositiveInt = 32,
        width: PositiveInt = 64,
        blocks: NonNegativeInt = 2,
        halvings: PositiveInt = 2,
        commitment: NonNegativeFloat = 0.25,
        decay: Fraction = 0.99,
        revive: NonNegativeFloat = 0.1,
        prior: Literal["pixelcnn", "marginal"] = "pixelcnn",
        prior_blocks: PositiveInt = 4,
        prior_width: PositiveInt = 64,
        head: HeadName = "auto",
        head_components: PositiveInt = 5,
    ):
        super().__init__(spec)
        if prior == "pixelcnn" and codes > MOST:
            raise ConfigError(
                f"model.codes={codes}: a pixelcnn prior takes at most {MOST}; or take "
                "model.prior=marginal"
            )
        # Autoencoder
        self.commitment = commitment
        self.head = make_head(head, spec, components=head_components)
        sizes = {"width": width, "blocks": blocks, "halvings": halvings}
        self.encoder = SpatialEncoder(spec.shape, dim, **sizes)
        self.codebook = Codebook(codes, dim, decay=decay, revive=revive)
        self.decoder = SpatialDecoder(dim, (self.head.channels, spec.height, spec.width), **sizes)
        # Prior of the map of codes
        height, breadth = self.encoder.sizes[-1]
        self.prior = None
        if prior == "pixelcnn":
            self.prior = PixelCNN(
                ImageSpec(1, height, breadth, levels=max(codes, 2)),
                block="residual",
                blocks=prior_blocks,
                width=prior_width,
                first_kernel=5,
                position=True,
                head="categorical",
                embed=prior_width,
            )
        self.register_buffer("usage", torch.full((height, breadth, codes), 1 / codes))
        self.register_buffer("new_usage", torch.zeros(height, breadth, codes), persistent=False)

    def loss(self, batch: Batch, player: str = "model") -> Loss:
        """Distortion plus commitment, and the prior's rate if it learns, nats per image.

        In training mode the codebook looks on.
        """
        z = self.encoder(to_signed(batch.x, self.spec.levels))
        code, index = self.codebook(z)
        if self.training:
            self.codebook.observe(z, index)
            self._observe(index)
        distortion = -self.head.log_prob(self.decoder(code), batch.x).mean()
        distance = (z - self.codebook.lookup(index)).square().flatten(1).sum(1).mean()
        rate = -self._log_prior(index).mean()
        total = distortion + self.commitment * distance
        if self.prior is not None:
            total = total + rate
        parts = {
            "loss": total,
            "distortion": distortion,
            "rate": rate,
            "commitment": distance,
            "perplexity": self._perplexity(index),
        }
        return Loss(total, {name: part.detach() for name, part in parts.items()})

    def after_step(self, player: str) -> None:
        """Updates the codebook and the marginals."""
        self.codebook.update()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(self.new_usage)
        n = self.new_usage[0, 0].sum()
        self.usage.lerp_(self.new_usage / n.clamp_min(1), (1 - self.codebook.decay) * (n > 0))
        self.new_usage.zero_()

    @torch.no_grad()
    def log_prob(
        self, batch: Batch, *, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        """The lower bound at the encoder's one code, nats ``(B,)``; more samples change nothing."""
        with self.evaluating():
            code, index = self.codebook(self.encoder(to_signed(batch.x, self.spec.levels)))
            log_p = self.head.log_prob(self.decoder(code), batch.x, generator=generator)
            return log_p + self._log_prior(index)

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """Maps of code indices, int64 ``(B, h, w)``."""
        with self.evaluating():
            return self.codebook.nearest(self.encoder(to_signed(batch.x, self.spec.levels)))

    @torch.no_grad()
    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Mean images of maps of code indices."""
        self._check_condition(y, len(z))
        with self.evaluating():
            params = self.decoder(self.codebook.lookup(z))
            return from_unit(self.head.mean(params), self.spec.levels)

    def draw(
        self, n: int, y: Tensor | None, generator: torch.Generator | None, options: Tempered
    ) -> Tensor:
        """A map of the prior, decoded; the temperature is the prior's."""
        if self.prior is not None:
            maps = self.prior.draw(n, None, generator, options)
            return self.decode(maps[:, 0].long())
        p = (self._marginals().log() / options.temperature).softmax(-1)
        return self.decode(categorical(p, n, generator))

    def evaluations(self, options: SamplingOptions | None = None) -> int:
        """The prior's, and the decoder's."""
        return 1 if self.prior is None else self.prior.evaluations(options) + 1

    @torch.no_grad()
    def diagnostics(self, batch: Batch) -> dict[str, float]:
        """``perplexity`` and ``codes_used``, of the batch's codes, and ``rate``: nats an image."""
        index = self.encode(batch)
        return {
            "perplexity": float(self._perplexity(index)),
            "codes_used": float(len(index.unique())),
            "rate": float(-self._log_prior(index).mean()),
        }

    def _marginals(self) -> Tensor:
        return (1 - SMOOTHING) * self.usage + SMOOTHING / self.usage.shape[-1]

    def _log_prior(self, index: Tensor) -> Tensor:
        """``log p(code)`` of maps of indices: nats ``(B,)``."""
        if self.prior is not None:
            maps = index.unsqueeze(1).to(torch.uint8)
            return self.prior.head.log_prob(self.prior.params(maps), maps)
        log_p = self._marginals().log().expand(len(index), -1, -1, -1)
        return log_p.gather(-1, index.unsqueeze(-1)).flatten(1).sum(1)

    def _perplexity(self, index: Tensor) -> Tensor:
        # Not bincount, for which a GPU is waited for.
        counts = torch.zeros(len(self.codebook.codes), device=index.device)
        flat = index.flatten()
        counts.index_add_(0, flat, torch.ones((), device=index.device).expand(len(flat)))
        return torch.special.entr(counts / len(flat)).sum().exp()

    @torch.no_grad()
    def _observe(self, index: Tensor) -> None:
        one = torch.ones((), device=index.device).expand(*index.shape[1:], len(index))
        self.new_usage.scatter_add_(-1, index.movedim(0, -1), one)
