"""DINOv2 ViT-L/14: features that follow human judgement better than Inception's.

Stein et al. 2023 (arXiv:2306.04675) find that Inception's distances punish diffusion models for
what people do not see; FD-DINOv2 is the distance they propose. The weights are published for
everyone, and the network is the plain vision transformer below.
"""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import gelu, interpolate, scaled_dot_product_attention

from genlab.metrics.extractors.base import Features, to_rgb
from genlab.metrics.extractors.weights_files import WeightsFile

__all__ = ["DINOV2", "DinoV2Extractor", "VisionTransformer"]

DINOV2 = WeightsFile(
    name="dinov2",
    files=("dinov2_vitl14_pretrain.pth",),
    sha256="d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
)


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(gelu(self.fc1(x)))


class LayerScale(nn.Module):
    """A learnt factor for each channel."""

    def __init__(self, dim: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    """Attention and an MLP, each behind a norm and on a residual branch."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads)
        self.ls1 = LayerScale(dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim)
        self.ls2 = LayerScale(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class VisionTransformer(nn.Module):
    """A vision transformer under the parameter names of DINOv2's published files.

    Args:
        dim: Width; 1024 is ViT-L.
        depth: Number of blocks.
        heads: Attention heads.
        patch: Side of a patch.
        grid: Patches along a side of the images that the positions were learnt on.
    """

    def __init__(
        self, dim: int = 1024, depth: int = 24, heads: int = 16, patch: int = 14, grid: int = 37
    ):
        super().__init__()
        self.grid = grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid**2, dim))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, dim, patch, patch)})
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def positions(self, rows: int, columns: int) -> Tensor:
        """The learnt positions, resized to another grid as the authors do it (offset 0.1)."""
        if (rows, columns) == (self.grid, self.grid):
            return self.pos_embed
        learnt = self.pos_embed[:, 1:].unflatten(1, (self.grid, self.grid)).permute(0, 3, 1, 2)
        scale = ((rows + 0.1) / self.grid, (columns + 0.1) / self.grid)
        resized = interpolate(learnt, scale_factor=scale, mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], resized.flatten(2).transpose(1, 2)], 1)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed["proj"](x)
        tokens = patches.flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], 1)
        x = x + self.positions(*patches.shape[2:])
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 0]


def resize_bicubic(images: Tensor, size: int) -> Tensor:
    """Pillow's bicubic resizing of uint8 RGB images, which the published numbers are made with."""
    rows = images.permute(0, 2, 3, 1).cpu().numpy()
    resized = [Image.fromarray(row).resize((size, size), Image.Resampling.BICUBIC) for row in rows]
    return torch.from_numpy(np.stack([np.asarray(image) for image in resized])).permute(0, 3, 1, 2)


class DinoV2Extractor:
    """The class token of DINOv2 ViT-L/14 at 224x224, by the protocol of dgm-eval.

    Args:
        path: The weights file (1.2 GB), or None to look for it; see `WeightsFile.find`.
        download: Whether the network may be asked for it.

    Raises:
        WeightsMissing: The weights were not found, or are other ones.
    """

    name = "dinov2"
    preprocessing = "RGB, Pillow bicubic 224x224, ImageNet mean and deviation"
    dim = 1024
    classes = modes = 0
    batch = 16

    def __init__(self, path: str | None = None, *, download: bool = True):
        weights = torch.load(io.BytesIO(DINOV2.read(path, download=download)), weights_only=True)
        weights.pop("mask_token")
        self.net = VisionTransformer()
        self.net.load_state_dict(weights)
        self.net.eval().requires_grad_(False)
        self.id = DINOV2.sha256

    def to(self, device: torch.device | str) -> "DinoV2Extractor":
        self.net.to(device)
        return self

    def __call__(self, images: Tensor) -> Features:
        x = resize_bicubic(to_rgb(images), 224).to(images.device).float() / 255
        mean = x.new_tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
        deviation = x.new_tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
        return Features(self.net((x - mean) / deviation))
