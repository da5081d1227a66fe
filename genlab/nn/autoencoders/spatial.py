"""Fully convolutional encoder and decoder of maps of code vectors."""

import itertools

from torch import Tensor, nn

from genlab.nn.autoencoders.conv import CropTo, pyramid

__all__ = ["SpatialDecoder", "SpatialEncoder"]


class _Residual(nn.Module):
    """Residual block ``x + f(x)``, f a 3x3 and a 1x1 convolution (van den Oord et al. 2017)."""

    def __init__(self, channels: int):
        super().__init__()
        self.f = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.f(x)


class SpatialEncoder(nn.Sequential):
    """Spatial encoder of images ``(B, C, H, W)`` to maps ``(B, out, h, w)``.

    Args:
        shape: ``(C, H, W)`` of the images.
        out: Channels put out.
        width: Channels inside.
        blocks: Residual blocks.
        halvings: How often the sides are halved, while they exceed 2.
    """

    def __init__(
        self, shape: tuple[int, int, int], out: int, *, width: int, blocks: int, halvings: int
    ):
        self.sizes = pyramid(*shape[1:], smallest=2, depth=halvings)
        layers: list[nn.Module] = []
        channels = [shape[0]] + [width] * (len(self.sizes) - 1)
        for n_in, n_out in itertools.pairwise(channels):
            layers += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1), nn.ReLU()]
        layers += [nn.Conv2d(channels[-1], width, 3, padding=1)]
        layers += [_Residual(width) for _ in range(blocks)]
        super().__init__(*layers, nn.ReLU(), nn.Conv2d(width, out, 1))


class SpatialDecoder(nn.Sequential):
    """Spatial decoder of maps ``(B, n, h, w)`` to ``(B, P, H, W)``: `SpatialEncoder` mirrored.

    Args:
        n: Channels of the codes.
        shape: ``(P, H, W)`` of what is put out.
        width: Channels inside.
        blocks: Residual blocks.
        halvings: As the encoder's.
    """

    def __init__(
        self, n: int, shape: tuple[int, int, int], *, width: int, blocks: int, halvings: int
    ):
        sizes = pyramid(*shape[1:], smallest=2, depth=halvings)[::-1]
        layers: list[nn.Module] = [nn.Conv2d(n, width, 3, padding=1)]
        layers += [_Residual(width) for _ in range(blocks)]
        layers += [nn.ReLU()]
        for size in sizes[1:]:
            layers += [nn.ConvTranspose2d(width, width, 4, stride=2, padding=1), CropTo(*size)]
            layers += [nn.ReLU()]
        super().__init__(*layers, nn.Conv2d(width, shape[0], 3, padding=1))
