"""Progressively growing GAN."""

import torch
from torch import Tensor, nn

from genlab.models.adversarial import Adversarial, AdversarialConfig
from genlab.nn.gan.doubling import doublings
from genlab.nn.gan.growing import GrowingDiscriminator, GrowingGenerator, grown, shrunk
from genlab.nn.gan.objectives import ObjectiveName
from genlab.nn.scaling import to_signed
from genlab.ranges import NonNegativeFloat, PositiveInt
from genlab.types import Batch, ImageSpec

__all__ = ["ProgressiveGAN"]


class ProgressiveGAN(Adversarial):
    """Progressively growing GAN (Karras et al. 2018, arXiv:1710.10196).

    It begins with small images and doubles their sides again and again. At each size but the
    first, the new layers are faded in over ``stage`` images, and trained for as many more; the
    images seen so far tell where the growth stands. Until it is over, samples are enlarged to
    the full size.

    Args:
        spec: What the images look like; it decides the sizes.
        width: Channels at the largest size; they double at each halving, up to four times.
        latent: Length of a code.
        stage: Images for which a size is faded in, and for which it is then trained.
        objective: What both minimize, see `genlab.nn.gan.objectives`.
        gradient_penalty: Weight of the penalty between real and generated images (WGAN-GP).
        r1: Weight of the gradient penalty on real images.
        r1_interval: Discriminator steps from one such penalty to the next.
        drift: Weight of the mean squared logit of real images, which keeps a critic near 0.
        n_dis: Discriminator steps for one step of the generator.
        packing: Images that the discriminator judges together.
        conditional: Model p(x | y).

    Raises:
        ConfigError: A size that doubling does not lead to.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        width: PositiveInt = 32,
        latent: PositiveInt = 128,
        stage: PositiveInt = 100_000,
        objective: ObjectiveName = "wasserstein",
        gradient_penalty: NonNegativeFloat = 10.0,
        r1: NonNegativeFloat = 0.0,
        r1_interval: PositiveInt = 16,
        drift: NonNegativeFloat = 1e-3,
        n_dis: PositiveInt = 1,
        packing: PositiveInt = 1,
        conditional: bool = False,
    ):
        def networks(spec: ImageSpec, classes: int) -> tuple[nn.Module, nn.Module]:
            sizes = doublings(spec.height, spec.width, network="progressive")
            return (
                GrowingGenerator(latent, spec.channels, sizes, width=width, num_classes=classes),
                GrowingDiscriminator(
                    spec.channels, sizes, width=width, num_classes=classes, packing=packing
                ),
            )

        config = AdversarialConfig(
            objective, r1, r1_interval, gradient_penalty, drift, n_dis, packing
        )
        super().__init__(spec, conditional, latent_dim=latent, networks=networks, config=config)
        # Growth
        assert isinstance(self.generator, GrowingGenerator)
        self.stages, self.stage = len(self.generator.images), stage

    @property
    def growth(self) -> tuple[int, float]:
        """The stage, 0 the smallest size, and how much of it is faded in.

        Stage 0 lasts for ``stage`` images, each later one for ``2 stage``.
        """
        # Since stage 0 ended, in units of ``stage`` images: of each stage's two, one fades it in.
        phase = max(self.images_seen / self.stage - 1, 0.0)
        stage = min(1 + int(phase // 2), self.stages - 1) if self.images_seen >= self.stage else 0
        return stage, min(phase - 2 * (stage - 1), 1.0) if stage else 1.0

    def compilable(self) -> tuple[str, ...]:
        """Nothing: a compiler would keep the size and the fading that it saw first."""
        return ()

    def generate(
        self, z: Tensor, y: Tensor | None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Images of codes, of the stage's size."""
        return self.generator(z, y, *self.growth)

    def real(self, batch: Batch) -> Tensor:
        """The batch's images at the stage's size, as smooth as the fading generator's."""
        stage, fade = self.growth
        x = shrunk(to_signed(batch.x, self.spec.levels), self.stages - 1 - stage)
        return torch.lerp(grown(shrunk(x, 1), 1), x, fade) if fade < 1 else x

    def logits(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Logits of images of the stage's size."""
        return self.discriminator(self.augment_and_pack(x), y, *self.growth)

    def to_uint8(self, x: Tensor) -> Tensor:
        """Generated images as uint8, enlarged to the full size."""
        return super().to_uint8(grown(x, self.stages - 1 - self.growth[0]))
