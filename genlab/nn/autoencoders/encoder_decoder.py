"""Encoders and decoders by name."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from genlab.nn.autoencoders.conv import ConvDecoder, ConvEncoder
from genlab.nn.autoencoders.mlp import MLPDecoder, MLPEncoder
from genlab.nn.autoencoders.resnet import ResNetDecoder, ResNetEncoder

__all__ = ["Activation", "EncoderDecoder", "NetworkName"]

NetworkName = Literal["mlp", "conv", "resnet"]
Activation = Literal["relu", "tanh", "silu"]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class EncoderDecoder:
    """Builder of an encoder and its mirror image, for images of any size.

    Args:
        network: ``mlp``: ``depth`` hidden layers of ``hidden`` units. ``conv``: strided
            convolutions from ``width`` channels up, and one hidden layer of ``hidden`` units.
            ``resnet``: ``depth`` residual blocks at each size, from ``width`` channels up.
        width: Channels at the largest size.
        hidden: Units of a fully connected hidden layer.
        depth: Number of hidden layers, or of residual blocks at each size.
        activation: Of the ``mlp``.
        dropout: Probability of dropout in the hidden layers or residual blocks.
    """

    network: NetworkName = "conv"
    width: int = 32
    hidden: int = 256
    depth: int = 2
    activation: Activation = "relu"
    dropout: float = 0.0

    def encoder(self, shape: Shape, out: int, *, context: int = 0) -> nn.Module:
        """A module ``(images on [0, 1], context or None) -> features (B, out)``.

        Convolutions rescale the images to [-1, 1], the ``mlp`` does not. Measured with a VAE of
        MNIST: on [-1, 1], where most pixels are -1, the ``mlp`` reached 123.8 rather than 117.6
        nats (binary images, 3 epochs), the ``conv`` 0.03 bits/dim less (8 bits, 3 epochs).
        """
        dropout = self.dropout
        if self.network == "mlp":
            return MLPEncoder(
                shape,
                out,
                hidden=[self.hidden] * self.depth,
                context=context,
                activation=self.activation,
                dropout=dropout,
            )
        if self.network == "conv":
            return ConvEncoder(
                shape, out, width=self.width, hidden=self.hidden, context=context, dropout=dropout
            )
        return ResNetEncoder(
            shape, out, width=self.width, blocks=self.depth, context=context, dropout=dropout
        )

    def decoder(self, n: int, shape: Shape) -> nn.Module:
        """A module ``codes (B, n) -> maps (B, *shape)``."""
        if self.network == "mlp":
            hidden = [self.hidden] * self.depth
            return MLPDecoder(
                n, shape, hidden=hidden, activation=self.activation, dropout=self.dropout
            )
        if self.network == "conv":
            return ConvDecoder(n, shape, width=self.width, hidden=self.hidden, dropout=self.dropout)
        return ResNetDecoder(n, shape, width=self.width, blocks=self.depth, dropout=self.dropout)
