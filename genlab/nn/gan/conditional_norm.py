"""Class-conditional batch normalization."""

import torch
from torch import Tensor, nn

__all__ = ["ClassBatchNorm"]


class ClassBatchNorm(nn.Module):
    """Batch normalization with a scale and a shift for each class (de Vries et al. 2017).

    Args:
        channels: Of the maps.
        num_classes: Number of labels; 0 gives plain batch normalization.
    """

    def __init__(self, channels: int, num_classes: int = 0):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=num_classes == 0)
        self.classes = nn.Embedding(num_classes, 2 * channels) if num_classes else None
        if self.classes is not None:
            with torch.no_grad():
                self.classes.weight[:, :channels] = 1
                self.classes.weight[:, channels:] = 0

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Normalized maps ``(B, C, H, W)`` of maps and labels ``(B,)``."""
        x = self.norm(x)
        if self.classes is None:
            return x
        scale, shift = self.classes(y)[:, :, None, None].chunk(2, 1)
        return x * scale + shift
