"""Fully connected generator and discriminator, for images of any size."""

import math

import torch
from torch import Tensor, nn

from genlab.nn.conditions import LabelEmbedding
from genlab.nn.gan.projection import ProjectionDiscriminator, ProjectionHead

__all__ = ["MLPDiscriminator", "MLPGenerator"]

Shape = tuple[int, int, int]


def _hidden(n_in: int, hidden: int, depth: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(hidden if i else n_in, hidden), nn.LeakyReLU(0.2)]
    return layers


class MLPGenerator(nn.Module):
    """Fully connected generator, of codes and an embedding of the label.

    Args:
        latent: Length of a code, and of a label's embedding.
        shape: ``(C, H, W)`` of the images.
        hidden: Units of a hidden layer.
        depth: Hidden layers.
        num_classes: Number of labels, 0 for none.
    """

    def __init__(self, latent: int, shape: Shape, *, hidden: int, depth: int, num_classes: int = 0):
        super().__init__()
        self.shape = shape
        self.classes = LabelEmbedding(num_classes, latent) if num_classes else None
        n_in = latent * (2 if num_classes else 1)
        self.net = nn.Sequential(
            *_hidden(n_in, hidden, depth), nn.Linear(hidden, math.prod(shape)), nn.Tanh()
        )

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Images ``(B, C, H, W)`` on [-1, 1] of codes ``(B, latent)`` and labels ``(B,)``."""
        if self.classes is not None:
            z = torch.cat([z, self.classes(y)], 1)
        return self.net(z).unflatten(1, self.shape)


class MLPDiscriminator(ProjectionDiscriminator):
    """Fully connected discriminator with a `ProjectionHead`.

    Args:
        shape: ``(C, H, W)`` of the images.
        hidden: Units of a hidden layer.
        depth: Hidden layers.
        num_classes: Number of labels, 0 for none.
        packing: Images judged together.
    """

    def __init__(
        self, shape: Shape, *, hidden: int, depth: int, num_classes: int = 0, packing: int = 1
    ):
        super().__init__()
        self.net = nn.Sequential(*_hidden(packing * math.prod(shape), hidden, depth))
        self.head = ProjectionHead(hidden, num_classes, packing)

    def features(self, x: Tensor) -> Tensor:
        """Input of the last layer, of images ``(B, C, H, W)`` on [-1, 1]: ``(B, hidden)``."""
        return self.net(x.flatten(1))
