"""StyleGAN2, for small images."""

import math

import torch
from torch import Tensor, nn

from genlab.models.adversarial import Adversarial, AdversarialConfig, AugmentName
from genlab.nn.gan.doubling import doublings
from genlab.nn.gan.objectives import ObjectiveName
from genlab.nn.gan.style import StyleDiscriminator, StyleGenerator
from genlab.ranges import NonNegativeFloat, PositiveInt, Probability
from genlab.types import Batch, ImageSpec, Loss, Tempered

__all__ = ["StyleGAN"]

DECAY = 0.995  # of the mean style, per step
PATH_DECAY = 0.99  # of the mean path length, per time that it is measured


class StyleGAN(Adversarial):
    """StyleGAN2 (Karras et al. 2020, arXiv:1912.04958).

    A mapping takes codes to styles, which modulate the generator. Styles are mixed while
    training: with some probability, the layers from a random one on have the style of another
    code. A temperature truncates the styles towards their mean.

    Args:
        spec: What the images look like.
        width: Channels at the largest size; they double at each halving, up to four times.
        latent: Length of a code, and of a style.
        depth: Layers of the mapping.
        mixing: Probability that an image has two styles.
        path_length: Weight of the path length penalty (equation 4); 0 for none.
        path_interval: Generator steps from one such penalty to the next.
        path_shrink: The penalty looks at one image in so many.
        objective: What both minimize, see `genlab.nn.gan.objectives`.
        r1: Weight of the gradient penalty on real images.
        r1_interval: Discriminator steps from one such penalty to the next.
        n_dis: Discriminator steps for one step of the generator.
        packing: Images that the discriminator judges together.
        augment: What the discriminator sees is changed: ``none``, ``diffaugment`` or ``ada``.
        target: Overfitting that ``ada`` aims at.
        conditional: Model p(x | y).

    Raises:
        ConfigError: Options that exclude each other, or a size that doubling does not lead to.
    """

    path_mean: Tensor

    def __init__(
        self,
        spec: ImageSpec,
        *,
        width: PositiveInt = 32,
        latent: PositiveInt = 128,
        depth: PositiveInt = 4,
        mixing: Probability = 0.9,
        path_length: NonNegativeFloat = 0.0,
        path_interval: PositiveInt = 4,
        path_shrink: PositiveInt = 2,
        objective: ObjectiveName = "non_saturating",
        r1: NonNegativeFloat = 0.1,
        r1_interval: PositiveInt = 16,
        n_dis: PositiveInt = 1,
        packing: PositiveInt = 1,
        augment: AugmentName = "none",
        target: Probability = 0.6,
        conditional: bool = False,
    ):
        def networks(spec: ImageSpec, classes: int) -> tuple[nn.Module, nn.Module]:
            channels, sizes = spec.channels, doublings(spec.height, spec.width, network="stylegan")
            shared: dict[str, int] = {"width": width, "num_classes": classes}
            return (
                StyleGenerator(latent, channels, sizes, depth=depth, **shared),
                StyleDiscriminator(channels, sizes, packing=packing, **shared),
            )

        config = AdversarialConfig(
            objective, r1, r1_interval, n_dis=n_dis, packing=packing, augment=augment, target=target
        )
        super().__init__(spec, conditional, latent_dim=latent, networks=networks, config=config)
        # What the other GANs do not have
        self.mixing = mixing
        self.path_length, self.path_interval = path_length, path_interval
        self.path_shrink = path_shrink
        self.register_buffer("path_mean", torch.zeros(()))

    @property
    def styles(self) -> StyleGenerator:
        """The generator by its own type."""
        assert isinstance(self.generator, StyleGenerator)
        return self.generator

    def generate(
        self, z: Tensor, y: Tensor | None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Images of codes; while training, of mixed styles, whose mean is followed."""
        w = self.styles.mapping(z, y)
        if self.training:
            with torch.no_grad():
                self.styles.mean_w.lerp_(w.float().mean(0), 1 - DECAY)
        return self.styles.synthesize(self._mixed(w, y, generator), generator)

    def generator_loss(self, batch: Batch, y: Tensor | None) -> Loss:
        """The objective, and the path length penalty when it is due."""
        loss = super().generator_loss(batch, y)
        turn = self.step // self.config.n_dis
        if not self.path_length or turn % self.path_interval:
            return loss
        n = max(len(batch.x) // self.path_shrink, 1)
        w = self.styles.mapping(self.latent(n), None if y is None else y[:n])
        penalty, length = self.path_penalty(w[:, None].expand(-1, self.styles.layers, -1))
        total = loss.total + self.path_length * self.path_interval * penalty
        return Loss(total, loss.parts | {"path_length": length, "path_penalty": penalty.detach()})

    def path_penalty(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """``E (|J^T noise| - a)^2``, J the Jacobian of the image, a the lengths' running mean.

        Args:
            w: Styles ``(B, layers, latent)``, with a graph.

        Returns:
            The penalty, and the mean length, detached.
        """
        image = self.styles.synthesize(w)
        noise = torch.randn_like(image) / math.sqrt(image.shape[2] * image.shape[3])
        (slope,) = torch.autograd.grad((image * noise).sum(), w, create_graph=True)
        lengths = slope.float().square().sum(2).mean(1).sqrt()
        length = lengths.detach().mean()
        self.path_mean.lerp_(length, 1 - PATH_DECAY)
        return (lengths - self.path_mean).square().mean(), length

    def draw(
        self, n: int, y: Tensor | None, generator: torch.Generator | None, options: Tempered
    ) -> Tensor:
        """Images of random codes; the temperature scales the styles' distance from their mean."""
        w = self.styles.mapping(self.latent(n, generator=generator), y)
        w = self.styles.mean_w + options.temperature * (w - self.styles.mean_w)
        x = self.styles.synthesize(w[:, None].expand(-1, self.styles.layers, -1), generator)
        return self.to_uint8(x)

    def _mixed(self, w: Tensor, y: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """A style for each layer ``(B, layers, latent)``."""
        layers = self.styles.layers
        every = w[:, None].expand(-1, layers, -1)
        if not (self.training and self.mixing and layers > 1):  # 4 x 4 has one
            return every
        b, device = len(w), w.device
        other = self.styles.mapping(self.latent(b, generator=generator), y)
        mixed = torch.rand(b, device=device) < self.mixing
        start = torch.randint(1, layers, (b,), device=device)
        start = torch.where(mixed, start, torch.full_like(start, layers))
        second = torch.arange(layers, device=device) >= start[:, None]
        return torch.where(second[:, :, None], other[:, None], every)
