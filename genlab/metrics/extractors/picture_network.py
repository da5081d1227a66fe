"""The small network of colour pictures: features for drawings of faces and things, at any size.

Pixels forgive blur and punish a shift; Inception's classes are those of photographs, and its
weights lie elsewhere. This network was trained on what is bundled, the attributes of `data=faces`
and the groups, subgroups and makers of `data=emoji`; its weights are part of this package, because
a rebuilt extractor is another extractor. On photographs its distances rank coarse damage (noise,
blur, wrong colours) and know nothing of their content.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate
from torch.nn.utils.fusion import fuse_conv_bn_eval

from genlab.errors import ConfigError, nearest
from genlab.metrics.extractors.base import Features, to_rgb
from genlab.metrics.extractors.shipped_weights import WEIGHTS, read_shipped

__all__ = ["PicturesExtractor", "PicturesNet", "to_64"]

SIDE = 64
"""Height and width that the network sees."""


def to_64(images: Tensor) -> Tensor:
    """RGB images in [-1, 1] of 64x64, from uint8 images ``(n, 1 or 3, H, W)`` of any size.

    Smaller ones are enlarged, larger ones reduced with an antialiased filter, so that what a
    smaller image lacks, a distance sees.
    """
    x = to_rgb(images).float() / 127.5 - 1
    if x.shape[-2:] == (SIDE, SIDE):
        return x
    shrinks = max(x.shape[-2:]) > SIDE
    return interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=shrinks)


class PicturesNet(nn.Module):
    """A convolutional network of 64x64 RGB images with a head for each thing to tell.

    Features are of two scales: means over each quarter of the last map, so that they know where
    something is, and over the whole of the map before it, so that texture counts.

    Args:
        heads: Number of classes of each head, by name.
        width: Channels of the first convolution.
        dim: Number of features.
        normalized: Batch normalization after each convolution, for training; `fused` is without.
    """

    def __init__(
        self, heads: dict[str, int], width: int = 32, dim: int = 128, *, normalized: bool = False
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(2 * width, 3 * width, 3, padding=1)
        self.conv4 = nn.Conv2d(3 * width, 4 * width, 3, stride=2, padding=1)
        self.conv5 = nn.Conv2d(4 * width, 4 * width, 3, padding=1)
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(conv.out_channels) if normalized else nn.Identity()
            for conv in self.convolutions
        )
        self.fc = nn.Linear(3 * width + 4 * width * 16, dim)
        self.heads = nn.ModuleDict({name: nn.Linear(dim, n) for name, n in heads.items()})

    @property
    def convolutions(self) -> tuple[nn.Conv2d, ...]:
        """The convolutions, in their order."""
        return self.conv1, self.conv2, self.conv3, self.conv4, self.conv5

    def features(self, images: Tensor) -> Tensor:
        """Features before the last ReLU, ``(n, dim)``, of images as `to_64` prepares them."""
        x, maps = images, []
        for conv, norm in zip(self.convolutions, self.norms, strict=True):
            x = norm(conv(x)).relu()
            maps.append(x)
        seen = [maps[2].mean((2, 3)), avg_pool2d(maps[4], 2).flatten(1)]
        return self.fc(torch.cat(seen, 1))

    def logits(self, features: Tensor) -> dict[str, Tensor]:
        """Logits of each head."""
        return {name: head(features.relu()) for name, head in self.heads.items()}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.logits(self.features(to_64(images)))

    @torch.no_grad()
    def fused(self) -> "PicturesNet":
        """The same function without batch normalization, which goes into the convolutions."""
        sizes = {}
        for name, head in self.heads.items():
            assert isinstance(head, nn.Linear)
            sizes[name] = head.out_features
        net = PicturesNet(sizes, self.conv1.out_channels, self.fc.out_features)
        net.fc, net.heads = self.fc, self.heads
        for mine, theirs, norm in zip(net.convolutions, self.convolutions, self.norms, strict=True):
            assert isinstance(norm, nn.BatchNorm2d)
            mine.load_state_dict(fuse_conv_bn_eval(theirs.eval(), norm.eval()).state_dict())
        return net


class PicturesExtractor:
    """Features of colour pictures, and logits of one head, whose weights are part of genlab.

    Args:
        head: What the logits tell, as ``faces/hair``; None for features alone.
        folder: Where ``pictures.safetensors`` and ``pictures.json`` are.

    Raises:
        ConfigError: There is no such head.
        DataError: A file is missing, or the weights' sha256 is not the one of the JSON.
    """

    name = "pictures"
    batch = 64

    def __init__(self, head: str | None = None, folder: Path = WEIGHTS):
        halves, self.card, self.id = read_shipped("pictures", folder)
        # The network has the heads and the sizes of its weights
        weights = {name: value.float() for name, value in halves.items()}
        heads = {
            name.removeprefix("heads.").removesuffix(".bias"): len(value)
            for name, value in weights.items()
            if name.startswith("heads.") and name.endswith(".bias")
        }
        if head is not None and head not in heads:
            raise ConfigError(
                f"extractor pictures: no head {head}; there are {', '.join(heads)}"
                f"{nearest(head, heads)}"
            )
        self.head, self.dim = head, len(weights["fc.bias"])
        self.classes = self.modes = heads[head] if head else 0
        self.preprocessing = "64x64 RGB, x / 127.5 - 1" + (f", classes of {head}" if head else "")
        self.net = PicturesNet(heads, len(weights["conv1.bias"]), self.dim)
        self.net.load_state_dict(weights)
        self.net.eval().requires_grad_(False)
        self.net.to(memory_format=torch.channels_last)

    def to(self, device: torch.device | str) -> "PicturesExtractor":
        self.net.to(device)
        return self

    def __call__(self, images: Tensor) -> Features:
        features = self.net.features(to_64(images))
        if self.head is None:
            return Features(features)
        return Features(features, self.net.heads[self.head](features.relu()))
