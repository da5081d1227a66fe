"""DCGAN generator and discriminator."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from genlab.nn.autoencoders.conv import CropTo
from genlab.nn.gan.conditional_norm import ClassBatchNorm
from genlab.nn.gan.projection import ProjectionDiscriminator, ProjectionHead

__all__ = ["ConvDiscriminator", "ConvGenerator", "initialize_normal"]

Sizes = Sequence[tuple[int, int]]


class ConvGenerator(nn.Module):
    """DCGAN generator: transposed convolutions, batch normalization and ReLU.

    Radford et al. 2016, arXiv:1511.06434, section 3, for images of any size: from each size, the
    next is its double, or its double less one.

    Args:
        latent: Length of a code.
        channels: Of the images.
        sizes: Of the maps, the smallest first, the image's last.
        width: Channels before the last layer; they double at each halving.
        num_classes: Labels that the normalizations depend on, 0 for none.
    """

    def __init__(
        self, latent: int, channels: int, sizes: Sizes, *, width: int, num_classes: int = 0
    ):
        super().__init__()
        depth = len(sizes) - 1
        widths = [width * 2**i for i in range(max(depth, 1))][::-1]
        self.start = (widths[0], *sizes[0])
        self.stem = nn.Linear(latent, widths[0] * sizes[0][0] * sizes[0][1], bias=False)
        self.norms = nn.ModuleList([ClassBatchNorm(n, num_classes) for n in widths])
        self.layers = nn.ModuleList(
            [
                nn.Sequential(
                    # No bias where a normalization follows, which would take it away.
                    nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1, bias=last),
                    CropTo(*size),
                )
                for n_in, n_out, size, last in zip(
                    widths,
                    [*widths[1:], channels],
                    sizes[1:] if depth else [sizes[0]],
                    [False] * (depth - 1) + [True],
                    strict=True,
                )
            ]
        )
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Images ``(B, C, H, W)`` on [-1, 1] of codes ``(B, latent)`` and labels ``(B,)``."""
        h = self.stem(z).unflatten(1, self.start).contiguous(memory_format=torch.channels_last)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            h = layer(relu(norm(h, y)))
        return h.tanh()


class ConvDiscriminator(ProjectionDiscriminator):
    """DCGAN discriminator: strided convolutions, leaky ReLU and a `ProjectionHead`.

    Args:
        channels: Of the images.
        sizes: Of the maps, the smallest first, the image's last.
        width: Channels of the first layer; they double at each halving.
        norm: Whether to normalize by batch after every layer but the first, as published.
        num_classes: Number of labels, 0 for none.
        packing: Images judged together.
    """

    def __init__(
        self,
        channels: int,
        sizes: Sizes,
        *,
        width: int,
        norm: bool = False,
        num_classes: int = 0,
        packing: int = 1,
    ):
        super().__init__()
        # Halvings; no bias where a normalization follows, which would take it away
        depth = max(len(sizes) - 1, 1)
        widths = [packing * channels, *(width * 2**i for i in range(depth))]
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(n_in, n_out, 4, stride=2, padding=1, bias=not (norm and i))
                for i, (n_in, n_out) in enumerate(itertools.pairwise(widths))
            ]
        )
        self.norms = nn.ModuleList(
            [nn.BatchNorm2d(n) if norm and i else nn.Identity() for i, n in enumerate(widths[1:])]
        )
        # Head, of what is left of the image
        height, side = sizes[-1]
        for _ in range(depth):
            height, side = height // 2, side // 2
        self.head = ProjectionHead(widths[-1] * height * side, num_classes, packing)
        self.to(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Tensor:
        """Input of the last layer, of images ``(B, C, H, W)`` on [-1, 1]: ``(B, F)``."""
        h = x.contiguous(memory_format=torch.channels_last)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = leaky_relu(norm(layer(h)), 0.2)
        return h.flatten(1)


def initialize_normal(module: nn.Module, std: float = 0.02) -> None:
    """DCGAN initialization: weights N(0, std^2), scales of norms N(1, std^2), biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, std=std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, std)
            nn.init.zeros_(layer.bias)
