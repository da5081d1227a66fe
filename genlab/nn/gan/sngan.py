"""SNGAN generator and discriminator, and SAGAN's with self-attention."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from genlab.nn.gan.conditional_norm import ClassBatchNorm
from genlab.nn.gan.map_attention import MapAttention
from genlab.nn.gan.projection import ProjectionDiscriminator, ProjectionHead

__all__ = ["DownBlock", "ResDiscriminator", "ResGenerator", "UpBlock"]

Sizes = Sequence[tuple[int, int]]


class UpBlock(nn.Module):
    """Residual block that doubles the sides (Miyato et al. 2018, figure 3b)."""

    def __init__(self, n_in: int, n_out: int, num_classes: int = 0):
        super().__init__()
        self.norm1, self.norm2 = (
            ClassBatchNorm(n_in, num_classes),
            ClassBatchNorm(n_out, num_classes),
        )
        self.conv1 = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1)
        self.skip = nn.Conv2d(n_in, n_out, 1)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Maps of twice the size."""
        h = self.conv1(interpolate(relu(self.norm1(x, y)), scale_factor=2))
        h = self.conv2(relu(self.norm2(h, y)))
        # Convolution by 1 x 1 commutes with the doubling, which costs four times less this way.
        return h + interpolate(self.skip(x), scale_factor=2)


class DownBlock(nn.Module):
    """Residual block that halves the sides, or keeps them (Miyato et al. 2018, figure 3a).

    Args:
        n_in: Channels taken.
        n_out: Channels put out.
        down: Whether to halve, by mean pooling.
        first: Whether x is the image: no activation before the first convolution, and pooling
            before the skip connection's (the "optimized block" of the authors' code).
    """

    def __init__(self, n_in: int, n_out: int, *, down: bool = True, first: bool = False):
        super().__init__()
        self.down, self.first = down, first
        self.conv1 = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1)
        self.skip = nn.Conv2d(n_in, n_out, 1) if down or n_in != n_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Maps of half the size, or of the same."""
        h = self.conv2(relu(self.conv1(x if self.first else relu(x))))
        if not self.down:
            return h + self.skip(x)
        # Pooling commutes with a convolution by 1 x 1, so one order serves both kinds of block.
        return avg_pool2d(h, 2) + self.skip(avg_pool2d(x, 2))


class ResGenerator(nn.Module):
    """SNGAN generator of residual blocks.

    Args:
        latent: Length of a code.
        channels: Of the images.
        sizes: Of the maps, the smallest first; each is twice the one before.
        width: Channels of all maps.
        attention: Whether positions of the maps of half the image's size attend to each other.
        num_classes: Labels that the normalizations depend on, 0 for none.
    """

    def __init__(
        self,
        latent: int,
        channels: int,
        sizes: Sizes,
        *,
        width: int,
        attention: bool = False,
        num_classes: int = 0,
    ):
        super().__init__()
        self.start = (width, *sizes[0])
        self.stem = nn.Linear(latent, width * sizes[0][0] * sizes[0][1])
        self.blocks = nn.ModuleList([UpBlock(width, width, num_classes) for _ in sizes[1:]])
        self.attention = MapAttention(width) if attention else None
        self.norm = ClassBatchNorm(width, num_classes)
        self.out = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Images ``(B, C, H, W)`` on [-1, 1] of codes ``(B, latent)`` and labels ``(B,)``."""
        h = self.stem(z).unflatten(1, self.start)
        for left, block in zip(range(len(self.blocks))[::-1], self.blocks, strict=True):
            if left == 0 and self.attention is not None:
                h = self.attention(h)
            h = block(h, y)
        return self.out(relu(self.norm(h, y))).tanh()


class ResDiscriminator(ProjectionDiscriminator):
    """SNGAN discriminator: residual blocks down to 8 pixels, two more, a `ProjectionHead`.

    Args:
        channels: Of the images.
        sizes: Of the generator's maps.
        width: Channels of all maps.
        attention: Whether positions of the maps of half the image's size attend to each other.
        num_classes: Number of labels, 0 for none.
        packing: Images judged together.
    """

    def __init__(
        self,
        channels: int,
        sizes: Sizes,
        *,
        width: int,
        attention: bool = False,
        num_classes: int = 0,
        packing: int = 1,
    ):
        super().__init__()
        halvings = max(sum(min(size) > 8 for size in sizes), 1)
        blocks: list[nn.Module] = [DownBlock(packing * channels, width, first=True)]
        blocks += [MapAttention(width)] if attention else []
        blocks += [DownBlock(width, width) for _ in range(halvings - 1)]
        blocks += [DownBlock(width, width, down=False) for _ in range(2)]
        self.blocks = nn.Sequential(*blocks)
        self.head = ProjectionHead(width, num_classes, packing)

    def features(self, x: Tensor) -> Tensor:
        """Input of the last layer, of images ``(B, C, H, W)`` on [-1, 1]: ``(B, width)``."""
        return relu(self.blocks(x)).sum((2, 3))
