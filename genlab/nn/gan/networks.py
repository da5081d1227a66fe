"""Generators and discriminators by name."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from genlab.errors import ConfigError
from genlab.nn.autoencoders.conv import pyramid
from genlab.nn.gan.dcgan import ConvDiscriminator, ConvGenerator, initialize_normal
from genlab.nn.gan.dense import MLPDiscriminator, MLPGenerator
from genlab.nn.gan.doubling import doublings
from genlab.nn.gan.sngan import ResDiscriminator, ResGenerator
from genlab.nn.gan.spectral import spectrally_normalized
from genlab.types import ImageSpec

__all__ = ["GANNetworkName", "GANNetworks"]

GANNetworkName = Literal["auto", "mlp", "conv", "dcgan", "resnet", "attention"]
Pair = tuple[nn.Module, nn.Module]
SMALLEST = 8  # pixels of the short side from which on there is something to convolve


def _choose(spec: ImageSpec) -> Literal["conv", "mlp"]:
    """The network that ``auto`` means for these images."""
    return "conv" if min(spec.height, spec.width) >= SMALLEST else "mlp"


@dataclass(frozen=True)
class GANNetworks:
    """Builder of a generator and a discriminator of matching sizes.

    Args:
        network: ``mlp``: ``depth`` hidden layers of ``hidden`` units. ``conv``: shaped as a DCGAN,
            for images of any size. ``dcgan``: as published, with batch normalization in the
            discriminator, too. ``resnet``: as in SNGAN, all maps of ``width`` channels.
            ``attention``: as in SAGAN, the same with self-attention, and the generator spectrally
            normalized, too. ``auto``: ``conv``, or ``mlp`` for images below 8 pixels.
        latent: Length of a code.
        width: Channels at the largest size.
        hidden: Units of a hidden layer (mlp).
        depth: Hidden layers (mlp).
        spectral: Normalize the discriminator's weights spectrally.
        packing: Images judged together.
    """

    network: GANNetworkName = "auto"
    latent: int = 64
    width: int = 32
    hidden: int = 128
    depth: int = 3
    spectral: bool = False
    packing: int = 1

    def build(self, spec: ImageSpec, num_classes: int) -> Pair:
        """Generator ``(z, y) -> x`` and discriminator ``(x, y) -> logits``, x on [-1, 1].

        Args:
            spec: The images.
            num_classes: Number of labels that both depend on, 0 for none.

        Raises:
            ConfigError: The network does not make images of this size.
        """
        network = _choose(spec) if self.network == "auto" else self.network
        generator, discriminator = getattr(self, network)(spec, num_classes)
        return generator, spectrally_normalized(discriminator) if self.spectral else discriminator

    def mlp(self, spec: ImageSpec, classes: int) -> Pair:
        """Fully connected layers."""
        generator = MLPGenerator(
            self.latent, spec.shape, hidden=self.hidden, depth=self.depth, num_classes=classes
        )
        discriminator = MLPDiscriminator(
            spec.shape,
            hidden=self.hidden,
            depth=self.depth,
            num_classes=classes,
            packing=self.packing,
        )
        return generator, discriminator

    def conv(self, spec: ImageSpec, classes: int) -> Pair:
        """Convolutions down to at most 8 pixels."""
        if min(spec.height, spec.width) < SMALLEST:
            raise ConfigError(
                f"model.network=conv needs sides of at least {SMALLEST} pixels; this data is "
                f"{spec.height}x{spec.width}: model.network=mlp takes any size"
            )
        sizes = pyramid(*spec.shape[1:], smallest=8)[::-1]
        return self._convolutions(spec, sizes, norm=False, classes=classes)

    def dcgan(self, spec: ImageSpec, classes: int) -> Pair:
        """Convolutions down to 4 to 7 pixels, normalized and initialized as published."""
        sizes = doublings(spec.height, spec.width, network="dcgan")
        networks = self._convolutions(spec, sizes, norm=True, classes=classes)
        for network in networks:
            initialize_normal(network)
        return networks

    def resnet(self, spec: ImageSpec, classes: int, attention: bool = False) -> Pair:
        """Residual blocks."""
        channels, width = spec.channels, self.width
        sizes = doublings(spec.height, spec.width, network=self.network)
        generator = ResGenerator(
            self.latent, channels, sizes, width=width, attention=attention, num_classes=classes
        )
        discriminator = ResDiscriminator(
            channels,
            sizes,
            width=width,
            attention=attention,
            num_classes=classes,
            packing=self.packing,
        )
        for network in (generator, discriminator):
            for layer in network.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    nn.init.xavier_uniform_(layer.weight)
            network.to(memory_format=torch.channels_last)
        return generator, discriminator

    def attention(self, spec: ImageSpec, classes: int) -> Pair:
        """Residual blocks and self-attention."""
        generator, discriminator = self.resnet(spec, classes, attention=True)
        return spectrally_normalized(generator), discriminator

    def _convolutions(
        self, spec: ImageSpec, sizes: list[tuple[int, int]], *, norm: bool, classes: int
    ) -> Pair:
        generator = ConvGenerator(
            self.latent, spec.channels, sizes, width=self.width, num_classes=classes
        )
        discriminator = ConvDiscriminator(
            spec.channels,
            sizes,
            width=self.width,
            norm=norm,
            num_classes=classes,
            packing=self.packing,
        )
        return generator, discriminator
