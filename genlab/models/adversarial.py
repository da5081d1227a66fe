"""Adversarial training, which all GANs share."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from genlab.errors import ConfigError
from genlab.models.base import GenerativeModel
from genlab.nn.gan.ada import AdaptiveAugment
from genlab.nn.gan.diffaugment import DiffAugment
from genlab.nn.gan.objectives import ObjectiveName, make_objective
from genlab.nn.gan.penalties import gradient_penalty, gradients, zero_centred_penalty
from genlab.nn.gan.projection import ProjectionHead
from genlab.nn.scaling import from_signed, to_signed
from genlab.row_streams import normal
from genlab.types import Batch, ImageSpec, Loss, SamplingOptions, Tempered

__all__ = ["Adversarial", "AdversarialConfig", "AugmentName"]

AugmentName = Literal["none", "diffaugment", "ada"]


@dataclass(frozen=True)
class AdversarialConfig:
    """Settings of adversarial training; the words are those of `genlab.models.gan.GAN`."""

    objective: ObjectiveName = "non_saturating"
    r1: float = 0.0
    r1_interval: int = 16
    gradient_penalty: float = 0.0
    drift: float = 0.0
    n_dis: int = 1
    packing: int = 1
    augment: AugmentName = "none"
    target: float = 0.6
    reuse: bool = True


class Adversarial(GenerativeModel):
    """A generator and a discriminator that are trained against each other.

    In its turn, the discriminator judges real and generated images; in its own, the generator is
    judged again. Both turns see the same generated images: they are generated once a step, with a
    graph that only the generator's turn uses. Subclasses say how images are generated and
    judged, and may add to the losses.

    Args:
        spec: What the images look like.
        conditional: Model p(x | y).
        latent_dim: Length of a code.
        networks: ``(spec, num_classes) -> generator, discriminator``, the one ``(z, y) -> x`` on
            [-1, 1], the other ``(x, y) -> logits``.
        config: Settings of the training.

    Raises:
        ConfigError: Settings that exclude each other.
    """

    players: ClassVar[tuple[str, ...]] = ("discriminator", "generator")
    spec: ImageSpec

    def __init__(
        self,
        spec: ImageSpec,
        conditional: bool,
        *,
        latent_dim: int,
        networks: Callable[[ImageSpec, int], tuple[nn.Module, nn.Module]],
        config: AdversarialConfig,
    ):
        super().__init__(spec, conditional)
        self.latent_dim, self.config = latent_dim, config
        self.generator, self.discriminator = networks(spec, self.num_classes)
        self.objective = make_objective(config.objective)
        if self.objective.differences and not config.drift:
            for module in self.discriminator.modules():
                if isinstance(module, ProjectionHead):
                    module.fix_offset()
        self.augment: DiffAugment | AdaptiveAugment | None = None
        if config.augment != "none":
            ada = config.augment == "ada"
            self.augment = AdaptiveAugment(config.target) if ada else DiffAugment()
        # What waits for the generator's turn: step, images seen, real images, generated ones. There
        # are several entries where a step accumulates several batches.
        self._drawn: list[tuple[int, int, Tensor, Tensor]] = []

    # ------------------------------------------------------------------------------------------
    # What a subclass may say otherwise

    def generate(
        self, z: Tensor, y: Tensor | None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Images on [-1, 1] of codes."""
        return self.generator(z, y)

    def real(self, batch: Batch) -> Tensor:
        """The batch's images on [-1, 1], as the discriminator is to see them."""
        return to_signed(batch.x, self.spec.levels)

    def logits(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Logits of images, augmented while training, as many at a time as are judged together."""
        return self.discriminator(self.augment_and_pack(x), y)

    def eager_logits(self, x: Tensor, y: Tensor | None) -> Tensor:
        """The same as `logits`, but never compiled: for penalties, which differentiate twice."""
        # `trainer.compile` replaces the instance's method; the class still has the original, and
        # torch.compile cannot differentiate its own result twice.
        return type(self).logits(self, x, y)

    def to_uint8(self, x: Tensor) -> Tensor:
        """Generated images as uint8 of full size."""
        return from_signed(x, self.spec.levels)

    def augment_and_pack(self, x: Tensor) -> Tensor:
        """Images as the discriminator takes them: augmented, and packed into channels."""
        if self.augment is not None and self.training:
            x = self.augment(x)
        m = self.config.packing
        if len(x) % m:
            raise ConfigError(
                f"data.batch_size={len(x)}: model.packing={m} needs a multiple of {m}"
            )
        return x.reshape(len(x) // m, m * x.shape[1], *x.shape[2:]) if m > 1 else x

    # ------------------------------------------------------------------------------------------
    # Losses

    def compilable(self) -> tuple[str, ...]:
        """Generating and judging; which penalties are due is not the same in each step."""
        return ("generate", "logits")

    def updates(self, player: str) -> bool:
        """The generator in the last of each ``n_dis`` steps, the discriminator in all."""
        return player != "generator" or self.step % self.config.n_dis == self.config.n_dis - 1

    def frozen(self, player: str) -> tuple[str, ...]:
        """The other players; none in the discriminator's turn.

        There the generator makes the images of both turns: their graph, which its own turn goes
        back through, exists only if its weights need gradients.
        """
        return () if player == "discriminator" else super().frozen(player)

    def loss(self, batch: Batch, player: str = "model") -> Loss:
        """The discriminator's or the generator's loss."""
        y = self._condition_of(batch)
        if player == "discriminator":
            return self.discriminator_loss(batch, y)
        return self.generator_loss(batch, y)

    def discriminator_loss(self, batch: Batch, y: Tensor | None) -> Loss:
        """The objective, and the penalties that are due."""
        config, critic = self.config, partial(self.eager_logits, y=y)
        real, fake = self.real(batch), self.generate_ahead(batch, y)
        lazy = config.r1 > 0 and self.step % config.r1_interval == 0
        if lazy:
            on_real, slope = gradients(critic, real)
        else:
            on_real = self.logits(real, y)
        on_fake = self.logits(fake, y)
        total = self.objective.discriminator(on_real, on_fake)
        parts = {
            "real": on_real.mean(),
            "fake": on_fake.mean(),
            "overfitting": on_real.sign().mean(),
        }
        if lazy:
            # Every k-th step with k times the weight (StyleGAN2, arXiv:1912.04958, section 3.1).
            # There the penalty has optimizer steps of its own, k + 1 in place of k, for which the
            # learning rate and Adam's betas are adjusted. Here it joins a step that is made anyway:
            # there are as many as without it, and nothing is to be adjusted.
            parts["r1"] = zero_centred_penalty(on_real, slope)
            total = total + config.r1 * config.r1_interval * parts["r1"]
        if isinstance(self.augment, AdaptiveAugment):
            parts["augment"] = self.augment.p
            self.augment.observe(on_real)
        if config.drift:
            parts["drift"] = on_real.square().mean()
            total = total + config.drift * parts["drift"]
        if config.gradient_penalty:
            parts["gradient_penalty"] = gradient_penalty(critic, real, fake)
            total = total + config.gradient_penalty * parts["gradient_penalty"]
        return Loss(total, {name: part.detach().clone() for name, part in parts.items()})

    def generator_loss(self, batch: Batch, y: Tensor | None) -> Loss:
        """The objective."""
        on_fake, on_real = self.logits(self.generated(batch, y), y), None
        if self.objective.needs_real:
            with torch.no_grad():
                on_real = self.logits(self.real(batch), y)
        return Loss(self.objective.generator(on_fake, on_real), {})

    def after_step(self, player: str) -> None:
        """Drops the images of a generator that has changed; adapts the augmentation."""
        if player == "generator":
            self._drawn = []
        elif player == "discriminator" and isinstance(self.augment, AdaptiveAugment):
            self.augment.update()

    def generate_ahead(self, batch: Batch, y: Tensor | None) -> Tensor:
        """Images for the discriminator, without a graph; the generator's turn finds its own."""
        shared = self.config.reuse and self.updates("generator")
        with nullcontext() if shared else torch.no_grad():
            fake = self.generate(self.latent(len(batch.x)), y)
        if shared:
            kept = [drawn for drawn in self._drawn if drawn[:2] == (self.step, self.images_seen)]
            self._drawn = [*kept, (self.step, self.images_seen, batch.x, fake)]
        return fake.detach()

    def generated(self, batch: Batch, y: Tensor | None) -> Tensor:
        """Images for the generator: those that the discriminator was shown with this batch."""
        for step, seen, x, fake in reversed(self._drawn):
            if (step, seen) == (self.step, self.images_seen) and x is batch.x:
                return fake
        return self.generate(self.latent(len(batch.x)), y)

    def _condition_of(self, batch: Batch) -> Tensor | None:
        if not self.conditional:
            return None
        if batch.y is None:
            return self._check_condition(None, len(batch.x))
        # Their range is the data's matter: to look at it at each step, a GPU would be waited for.
        return batch.y.to(self.device, torch.int64)

    # ------------------------------------------------------------------------------------------
    # Samples

    @torch.no_grad()
    def latent(
        self,
        n: int,
        *,
        generator: torch.Generator | None = None,
        options: SamplingOptions | None = None,
    ) -> Tensor:
        """Codes ``(n, latent)`` from a normal distribution; the temperature is its deviation."""
        z = normal((n, self.latent_dim), generator, device=self.device)
        return self._check_options(options).temperature * z

    def draw(
        self, n: int, y: Tensor | None, generator: torch.Generator | None, options: Tempered
    ) -> Tensor:
        """Images of random codes; the temperature is their scale (truncation by scaling)."""
        z = self.latent(n, generator=generator, options=options)
        return self.to_uint8(self.generate(z, y, generator))

    @torch.no_grad()
    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Images of codes ``(B, latent)``."""
        labels = self._check_condition(y, len(z))
        with self.evaluating():
            generator = torch.Generator(self.device).manual_seed(0)
            return self.to_uint8(self.generate(z, labels, generator))

    @torch.no_grad()
    def diagnostics(self, batch: Batch) -> dict[str, float]:
        """Separation of validation images from generated ones by the discriminator.

        Returns:
            ``real``, ``fake``: mean logits; ``separation``: the probability that a real image has
            the larger logit, 0.5 for a discriminator that cannot tell (or a perfect generator);
            ``saturated``: 1 if it exceeds 0.999: the generator learns from nothing. A critic of
            the Wasserstein objective is to tell them apart, and is never called saturated.
        """
        # Whole packs only
        n = len(batch.x) // self.config.packing * self.config.packing
        batch = Batch(batch.x[:n], None if batch.y is None else batch.y[:n])
        y = self._condition_of(batch)
        generator = torch.Generator(self.device).manual_seed(0)
        with self.evaluating():
            fake = self.generate(self.latent(n, generator=generator), y, generator)
            on_real, on_fake = self.logits(self.real(batch), y), self.logits(fake, y)
        # The area under the ROC curve: over all pairs, ties count half
        above = (on_real[:, None] > on_fake).float().mean()
        level = (on_real[:, None] == on_fake).float().mean()
        separation = float(above + level / 2)
        critic = self.config.objective == "wasserstein"
        return {
            "real": float(on_real.mean()),
            "fake": float(on_fake.mean()),
            "separation": separation,
            "saturated": float(separation > 0.999 and not critic),
        }
