"""Plain and denoising autoencoders."""

from collections.abc import Iterable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.models.base import GenerativeModel
from genlab.nn.autoencoders.encoder_decoder import Activation, EncoderDecoder, NetworkName
from genlab.nn.latents.running import RunningNormal
from genlab.nn.scaling import from_unit, to_unit
from genlab.ranges import Fraction, NonNegativeFloat, PositiveInt
from genlab.types import Batch, ImageSpec, Loss, Tempered

__all__ = ["Autoencoder"]


class Autoencoder(GenerativeModel):
    """Autoencoder, plain or denoising, without a likelihood.

    It is made generative after the fact (ex-post density estimation, Ghosh et al. 2020, "From
    Variational to Deterministic Autoencoders"): a normal distribution with full covariance
    follows the codes while training, and `finish` fits it to the final encoder's; samples are
    decoded draws from it.

    With ``noise`` the encoder sees corrupted images and the clean ones are to be restored
    (Vincent et al. 2010, "Stacked Denoising Autoencoders").

    Args:
        spec: What the images look like.
        network: Encoder and decoder, see `genlab.nn.autoencoders.encoder_decoder.EncoderDecoder`.
        width: Channels at full size (conv, resnet).
        hidden: Units of a hidden layer (mlp, conv).
        depth: Hidden layers (mlp) or residual blocks at each size (resnet).
        activation: Of the hidden layers (mlp).
        dropout: Probability of dropout in both networks.
        latent: Length of the code.
        distance: ``bce`` (cross entropy on the scale [0, 1]) or ``mse``, summed over sub-pixels.
        noise: ``gaussian`` of standard deviation `level` on the scale [0, 1], ``mask`` (a share
            `level` of the sub-pixels is set to 0), ``salt_pepper`` (to 0 or 1) or ``none``.
        level: See `noise`.
    """

    conditions = ()
    spec: ImageSpec

    def __init__(
        self,
        spec: ImageSpec,
        *,
        network: NetworkName = "conv",
        width: PositiveInt = 16,
        hidden: PositiveInt = 256,
        depth: PositiveInt = 2,
        activation: Activation = "relu",
        dropout: Fraction = 0.0,
        latent: PositiveInt = 16,
        distance: Literal["bce", "mse"] = "bce",
        noise: Literal["none", "gaussian", "mask", "salt_pepper"] = "none",
        level: NonNegativeFloat = 0.25,
    ):
        super().__init__(spec)
        self.distance, self.noise, self.level = distance, noise, level
        networks = EncoderDecoder(network, width, hidden, depth, activation, dropout)
        self.encoder = networks.encoder(spec.shape, latent)
        self.decoder = networks.decoder(latent, spec.shape)
        self.prior = RunningNormal(latent)

    def loss(self, batch: Batch, player: str = "model") -> Loss:
        """Distance of the reconstruction, per image; in training mode the prior looks on."""
        x = to_unit(batch.x, self.spec.levels)
        z = self.encoder(self._corrupt(x))
        if self.training:
            self.prior.observe(z)
        logits = self.decoder(z)
        mse = F.mse_loss(logits.sigmoid(), x)
        if self.distance == "bce":
            total = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        else:
            total = mse * self.spec.dims
        return Loss(total, {"loss": total.detach(), "mse": mse.detach()})

    def after_step(self, player: str) -> None:
        """Updates the normal distribution of codes."""
        self.prior.update()

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """Codes ``(B, latent)``."""
        with self.evaluating():
            return self.encoder(to_unit(batch.x, self.spec.levels))

    @torch.no_grad()
    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Images of codes ``(B, latent)``."""
        self._check_condition(y, len(z))
        with self.evaluating():
            return from_unit(self.decoder(z).sigmoid(), self.spec.levels)

    def draw(
        self, n: int, y: Tensor | None, generator: torch.Generator | None, options: Tempered
    ) -> Tensor:
        """Decoded draws from the normal distribution of codes; the temperature scales these."""
        z = self.prior.sample(n, generator=generator, temperature=options.temperature)
        return self.decode(z)

    def finish(self, batches: Iterable[Batch]) -> None:
        """Fits the normal distribution to the codes of training images."""
        self.prior.fit(torch.cat([self.encode(batch) for batch in batches]))

    def _corrupt(self, x: Tensor) -> Tensor:
        if self.noise == "none":
            return x
        if self.noise == "gaussian":
            return x + self.level * torch.randn_like(x)
        hit = torch.rand_like(x) < self.level
        value = torch.zeros_like(x) if self.noise == "mask" else torch.rand_like(x).round()
        return torch.where(hit, value, x)
