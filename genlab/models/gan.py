"""Generative adversarial network."""

from genlab.errors import ConfigError
from genlab.models.adversarial import Adversarial, AdversarialConfig, AugmentName
from genlab.nn.gan.networks import GANNetworkName, GANNetworks
from genlab.nn.gan.objectives import ObjectiveName
from genlab.ranges import NonNegativeFloat, PositiveInt, Probability
from genlab.types import ImageSpec

__all__ = ["GAN"]

R1_PER_SUBPIXEL, R1_LEAST = 1e-4, 2e-3


class GAN(Adversarial):
    """Generative adversarial network (Goodfellow et al. 2014, arXiv:1406.2661).

    A generator learns to be taken for the data by a discriminator that learns to tell. There is no
    likelihood; training is a game.

    Args:
        spec: What the images look like.
        network: Generator and discriminator, see `genlab.nn.gan.networks.GANNetworks`.
        width: Channels at the largest size (convolutions).
        hidden: Units of a hidden layer (mlp).
        depth: Hidden layers (mlp).
        latent: Length of the code.
        spectral: Normalize the discriminator's weights spectrally (Miyato et al. 2018). Beside R1
            it slows small networks down: on MNIST, fd_digits after 30 CPU-seconds was 23.9 with
            it and 14.5 without.
        objective: What both minimize, see `genlab.nn.gan.objectives`.
        r1: Weight of the gradient penalty on real images (Mescheder et al. 2018); 0 for none,
            None for 1e-4 per sub-pixel (proportional to the area as in StyleGAN2-ADA,
            arXiv:2006.06676, appendix C) and at least 0.002, without which points of the plane
            lose modes.
        r1_interval: Discriminator steps from one such penalty to the next.
        gradient_penalty: Weight of the penalty between real and generated images (WGAN-GP).
        n_dis: Discriminator steps for one step of the generator.
        packing: Images that the discriminator judges together (Lin et al. 2018, PacGAN).
        augment: What the discriminator sees is changed: ``none``, ``diffaugment`` (Zhao et al.
            2020) or ``ada`` (Karras et al. 2020: as often as its overfitting calls for).
        target: Overfitting, the mean sign of the logits of real images, that ``ada`` aims at.
        conditional: Model p(x | y): the discriminator projects on the label, the generator's
            normalizations depend on it.
        reuse: Judge the same generated images in both players' turns, rather than draw new ones.

    Raises:
        ConfigError: Options that exclude each other, or do not suit the images.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        network: GANNetworkName = "auto",
        width: PositiveInt = 32,
        hidden: PositiveInt = 128,
        depth: PositiveInt = 3,
        latent: PositiveInt = 64,
        spectral: bool = False,
        objective: ObjectiveName = "non_saturating",
        r1: NonNegativeFloat | None = None,
        r1_interval: PositiveInt = 16,
        gradient_penalty: NonNegativeFloat = 0.0,
        n_dis: PositiveInt = 1,
        packing: PositiveInt = 1,
        augment: AugmentName = "none",
        target: Probability = 0.6,
        conditional: bool = False,
        reuse: bool = True,
    ):
        r1 = max(R1_PER_SUBPIXEL * spec.dims, R1_LEAST) if r1 is None else r1
        # What excludes each other
        if gradient_penalty and network == "dcgan":
            raise ConfigError(
                f"model.gradient_penalty={gradient_penalty} is one of each image, and "
                "model.network=dcgan normalizes by batch: take model.network=conv"
            )
        if objective == "wasserstein" and not (spectral or r1 or gradient_penalty):
            raise ConfigError(
                "model.objective=wasserstein needs a critic that is bound: "
                "model.gradient_penalty=10, model.spectral=true or model.r1=1"
            )
        # Networks and the rules of the game
        networks = GANNetworks(network, latent, width, hidden, depth, spectral, packing)
        config = AdversarialConfig(
            objective, r1, r1_interval, gradient_penalty,
            n_dis=n_dis, packing=packing, augment=augment, target=target, reuse=reuse,
        )  # fmt: skip
        super().__init__(
            spec, conditional, latent_dim=latent, networks=networks.build, config=config
        )
