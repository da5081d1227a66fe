"""StyleGAN2 generator and discriminator for small images."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, leaky_relu

from genlab.nn.conditions import LabelEmbedding
from genlab.nn.gan.equalized import EqualConv, EqualLinear, MinibatchDeviation, PixelNorm
from genlab.nn.gan.projection import ProjectionDiscriminator, ProjectionHead

__all__ = ["Mapping", "ModulatedConv", "StyleDiscriminator", "StyleGenerator"]

Sizes = Sequence[tuple[int, int]]


class Mapping(nn.Module):
    """Mapping network of codes z, and an embedding of the label, to styles w.

    Args:
        latent: Length of z, and of w.
        depth: Layers.
        num_classes: Number of labels, 0 for none.
    """

    def __init__(self, latent: int, depth: int, num_classes: int = 0):
        super().__init__()
        self.norm = PixelNorm()
        self.classes = LabelEmbedding(num_classes, latent) if num_classes else None
        widths = [latent * (2 if num_classes else 1)] + [latent] * depth
        # A hundredth of the learning rate, as published: the mapping is easily unsettled.
        self.layers = nn.ModuleList(
            [EqualLinear(a, b, rate=0.01) for a, b in itertools.pairwise(widths)]
        )

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Styles ``(B, latent)``."""
        h = self.norm(z)
        if self.classes is not None:
            h = torch.cat([h, self.norm(self.classes(y))], 1)
        for layer in self.layers:
            h = leaky_relu(layer(h), 0.2)
        return h


class ModulatedConv(nn.Module):
    """Modulated convolution: its weights are scaled by a style, and normalized again.

    Karras et al. 2020, arXiv:1912.04958, equations 1 and 3. The scales are applied to what goes
    in and comes out rather than to the weights, which is the same and serves all images at once.

    Args:
        n_in: Channels taken.
        n_out: Channels put out.
        latent: Length of a style.
        kernel: Its side, an odd number.
        demodulate: Whether to divide by the modulated weights' norm.
    """

    def __init__(
        self, n_in: int, n_out: int, latent: int, kernel: int = 3, *, demodulate: bool = True
    ):
        super().__init__()
        self.style = EqualLinear(latent, n_in, gain=1.0, bias=1.0)
        self.weight = nn.Parameter(torch.randn(n_out, n_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.scale, self.demodulate = 1 / math.sqrt(n_in * kernel**2), demodulate

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Maps ``(B, n_out, H, W)`` of maps and styles ``(B, latent)``."""
        style, weight = self.style(w), self.weight * self.scale
        x = conv2d(x * style[:, :, None, None], weight, padding=weight.shape[-1] // 2)
        if self.demodulate:
            norm = (style.square() @ weight.square().sum((2, 3)).T + 1e-8).rsqrt()
            x = x * norm[:, :, None, None]
        return x + self.bias[:, None, None]


class _Layer(nn.Module):
    """Modulated convolution, noise and activation; doubles the sides first, if asked to."""

    def __init__(self, n_in: int, n_out: int, latent: int, *, up: bool):
        super().__init__()
        self.conv = ModulatedConv(n_in, n_out, latent)
        self.strength = nn.Parameter(torch.zeros(()))
        self.up = up

    def forward(self, x: Tensor, w: Tensor, generator: torch.Generator | None) -> Tensor:
        if self.up:
            x = interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = self.conv(x, w)
        noise = torch.randn(
            len(x), 1, *x.shape[2:], device=x.device, dtype=x.dtype, generator=generator
        )
        x = x + self.strength * noise
        return leaky_relu(x, 0.2) * math.sqrt(2)


class StyleGenerator(nn.Module):
    """StyleGAN2 generator: a learned constant, modulated by styles at each size.

    Karras et al. 2020, arXiv:1912.04958, with the skip architecture (section 4.1: images are
    summed up over the sizes), at sizes up to 64 or so, and with bilinear filters.

    Args:
        latent: Length of z and w.
        channels: Of the images.
        sizes: Of the maps, the smallest first; each is twice the one before.
        width: Channels at the largest size; they double at each halving, up to four times.
        depth: Layers of the mapping.
        num_classes: Number of labels, 0 for none.
    """

    mean_w: Tensor

    def __init__(
        self,
        latent: int,
        channels: int,
        sizes: Sizes,
        *,
        width: int,
        depth: int,
        num_classes: int = 0,
    ):
        super().__init__()
        widths = [width * min(2**i, 4) for i in range(len(sizes))][::-1]
        self.mapping = Mapping(latent, depth, num_classes)
        self.register_buffer("mean_w", torch.zeros(latent))
        self.constant = nn.Parameter(torch.randn(widths[0], *sizes[0]))
        self.first = nn.ModuleList(
            [_Layer(widths[max(i - 1, 0)], n, latent, up=i > 0) for i, n in enumerate(widths)]
        )
        self.second = nn.ModuleList([_Layer(n, n, latent, up=False) for n in widths[1:]])
        self.images = nn.ModuleList(
            [ModulatedConv(n, channels, latent, 1, demodulate=False) for n in widths]
        )
        self.layers = 2 * len(sizes) - 1

    def synthesize(self, w: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images ``(B, C, H, W)``, about on [-1, 1], of a style for each layer.

        Args:
            w: ``(B, layers, latent)``.
            generator: Source of the noise inputs.
        """
        h = self.constant.expand(len(w), -1, -1, -1)
        image: Tensor | None = None
        for i, (first, to_image) in enumerate(zip(self.first, self.images, strict=True)):
            h = first(h, w[:, max(2 * i - 1, 0)], generator)
            if i:
                h = self.second[i - 1](h, w[:, 2 * i], generator)
            here = to_image(h, w[:, 2 * i])
            if image is None:
                image = here
            else:
                up = interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)
                image = up + here
        assert image is not None
        return image

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Images of codes ``(B, latent)`` and labels ``(B,)``."""
        return self.synthesize(self.mapping(z, y)[:, None].expand(-1, self.layers, -1))


class _Block(nn.Module):
    """Residual block of two convolutions that halves the sides."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.conv1, self.conv2 = EqualConv(n_in, n_in), EqualConv(n_in, n_out)
        self.skip = EqualConv(n_in, n_out, 1, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        h = leaky_relu(self.conv1(x), 0.2)
        h = leaky_relu(avg_pool2d(self.conv2(h), 2), 0.2)
        return (h + self.skip(avg_pool2d(x, 2))) / math.sqrt(2)


class StyleDiscriminator(ProjectionDiscriminator):
    """StyleGAN2 discriminator: residual blocks, minibatch deviation, a `ProjectionHead`.

    Args:
        channels: Of the images.
        sizes: Of the generator's maps.
        width: Channels at the largest size; they double at each halving, up to four times.
        num_classes: Number of labels, 0 for none.
        packing: Images judged together.
    """

    def __init__(
        self, channels: int, sizes: Sizes, *, width: int, num_classes: int = 0, packing: int = 1
    ):
        super().__init__()
        widths = [width * min(2**i, 4) for i in range(len(sizes))]
        self.stem = EqualConv(packing * channels, width, 1)
        self.blocks = nn.Sequential(*(_Block(a, b) for a, b in itertools.pairwise(widths)))
        self.deviation = MinibatchDeviation()
        self.last = EqualConv(widths[-1] + 1, widths[-1])
        self.dense = EqualLinear(widths[-1] * sizes[0][0] * sizes[0][1], widths[-1])
        self.head = ProjectionHead(widths[-1], num_classes, packing)

    def features(self, x: Tensor) -> Tensor:
        """Input of the last layer, of images ``(B, C, H, W)`` on [-1, 1]: ``(B, F)``."""
        h = self.blocks(leaky_relu(self.stem(x), 0.2))
        h = leaky_relu(self.last(self.deviation(h)), 0.2)
        return leaky_relu(self.dense(h.flatten(1)), 0.2)
