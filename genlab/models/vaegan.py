"""VAE-GAN."""

import torch
from torch import Tensor

from genlab.models.adversarial import Adversarial, AdversarialConfig
from genlab.nn.autoencoders.encoder_decoder import EncoderDecoder
from genlab.nn.gan.networks import GANNetworkName, GANNetworks
from genlab.nn.gan.objectives import ObjectiveName
from genlab.nn.latents.distributions import draw_normal, kl_from_standard
from genlab.nn.scaling import to_unit
from genlab.ranges import NonNegativeFloat, PositiveInt
from genlab.types import Batch, ImageSpec, Loss

__all__ = ["VAEGAN"]


class VAEGAN(Adversarial):
    """VAE-GAN: reconstructions are compared by a discriminator's features (Larsen et al. 2016).

    arXiv:1512.09300. The encoder gives a normal posterior; the generator decodes; the
    discriminator tells real images from samples and from reconstructions. The encoder minimizes
    ``rate + feature error``, the generator ``weight * feature error +`` its adversarial loss,
    feature error being the squared distance of features, halved and summed (a normal with unit
    variance, nats per image up to a constant).

    Args:
        spec: What the images look like.
        network: Generator and discriminator, see `genlab.nn.gan.networks.GANNetworks`.
        width: Channels at the largest size.
        hidden: Units of a hidden layer (mlp, and the encoder).
        depth: Hidden layers (mlp).
        latent: Length of the code.
        spectral: Normalize the discriminator's weights spectrally.
        objective: The adversarial losses, see `genlab.nn.gan.objectives`.
        r1: Weight of the gradient penalty on real images.
        r1_interval: Discriminator steps from one such penalty to the next.
        reconstruction: Weight of the feature error in the generator's loss.
        beta: Weight of the rate in the encoder's loss.
        conditional: Model p(x | y).

    Raises:
        ConfigError: Options that do not suit the images.
    """

    players = ("discriminator", "encoder", "generator")

    def __init__(
        self,
        spec: ImageSpec,
        *,
        network: GANNetworkName = "auto",
        width: PositiveInt = 32,
        hidden: PositiveInt = 256,
        depth: PositiveInt = 3,
        latent: PositiveInt = 64,
        spectral: bool = True,
        objective: ObjectiveName = "non_saturating",
        r1: NonNegativeFloat = 0.1,
        r1_interval: PositiveInt = 16,
        reconstruction: NonNegativeFloat = 0.01,
        beta: NonNegativeFloat = 1.0,
        conditional: bool = False,
    ):
        networks = GANNetworks(network, latent, width, hidden, depth, spectral).build
        config = AdversarialConfig(objective, r1, r1_interval)
        super().__init__(spec, conditional, latent_dim=latent, networks=networks, config=config)
        self.reconstruction, self.beta = reconstruction, beta
        autoencoder = EncoderDecoder("conv", width, hidden)
        self.encoder = autoencoder.encoder(spec.shape, 2 * latent, context=self.num_classes)

    def loss(self, batch: Batch, player: str = "model") -> Loss:
        """The loss of the discriminator, the encoder or the generator."""
        if player == "encoder":
            return self.encoder_loss(batch, self._condition_of(batch))
        return super().loss(batch, player)

    def discriminator_loss(self, batch: Batch, y: Tensor | None) -> Loss:
        """Real images against samples, and against reconstructions."""
        loss = super().discriminator_loss(batch, y)
        real = self.real(batch)
        with torch.no_grad():
            again = self.generate(self._posterior_sample(batch, y)[0], y)
        logits = self.logits(again, y)
        extra = self.objective.discriminator(self.logits(real, y), logits)
        parts = loss.parts | {"reconstructed": logits.mean().detach()}
        return Loss((loss.total + extra) / 2, parts)

    def encoder_loss(self, batch: Batch, y: Tensor | None) -> Loss:
        """Rate and feature error."""
        z, rate = self._posterior_sample(batch, y)
        error = self.feature_error(self.real(batch), self.generate(z, y))
        total = self.beta * rate + error
        return Loss(total, {"rate": rate.detach(), "feature_error": error.detach()})

    def generator_loss(self, batch: Batch, y: Tensor | None) -> Loss:
        """Adversarial losses of samples and reconstructions, and the feature error."""
        loss = super().generator_loss(batch, y)
        real = self.real(batch)
        with torch.no_grad():
            z, _ = self._posterior_sample(batch, y)
        again = self.generate(z, y)
        on_real = self.logits(real, y).detach() if self.objective.needs_real else None
        fooling = (loss.total + self.objective.generator(self.logits(again, y), on_real)) / 2
        error = self.feature_error(real, again)
        parts = loss.parts | {"fooling": fooling.detach(), "feature_error": error.detach()}
        return Loss(fooling + self.reconstruction * error, parts)

    def feature_error(self, real: Tensor, again: Tensor) -> Tensor:
        """Half the squared distance of the discriminator's features, summed; mean over images."""
        with torch.no_grad():
            target = self.discriminator.features(real)  # type: ignore[operator]
        features = self.discriminator.features(again)  # type: ignore[operator]
        return (features - target).square().sum(1).mean() / 2

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """The posterior's means, ``(B, latent)``."""
        y = self._condition_of(batch)
        with self.evaluating():
            return self._posterior(batch, y)[0]

    def _posterior(self, batch: Batch, y: Tensor | None) -> tuple[Tensor, Tensor]:
        context = None if y is None else torch.eye(self.num_classes, device=y.device)[y]
        mean, log_std = self.encoder(to_unit(batch.x, self.spec.levels), context).chunk(2, -1)
        return mean, log_std.clamp(-10, 5)

    def _posterior_sample(self, batch: Batch, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """A code of each image, and the mean rate in nats."""
        mean, log_std = self._posterior(batch, y)
        z, _ = draw_normal(mean, log_std, 1)
        return z[0], kl_from_standard(mean, log_std).sum(-1).mean()
