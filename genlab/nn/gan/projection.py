"""Projection discriminator head."""

import torch
from torch import Tensor, nn

__all__ = ["ProjectionDiscriminator", "ProjectionHead"]


class ProjectionHead(nn.Module):
    r"""Projection discriminator head, ``w . h + b + v_y . h`` of features h and a label y.

    Miyato and Koyama 2018, arXiv:1802.05637, equation 3; without labels, a linear layer. Of
    images that are judged together (packing), each has label embeddings of its own, and their
    projections are added.

    Args:
        features: Length of h.
        num_classes: Number of labels, 0 for none.
        packing: Images judged together.
    """

    def __init__(self, features: int, num_classes: int = 0, packing: int = 1):
        super().__init__()
        self.linear = nn.Linear(features, 1)
        self.classes = nn.Embedding(packing * num_classes, features) if num_classes else None
        self.register_buffer("offset", num_classes * torch.arange(packing), persistent=False)
        self.offset: Tensor
        if self.classes is not None:
            nn.init.normal_(self.classes.weight, std=features**-0.5)

    def fix_offset(self) -> None:
        """Leaves b at 0, for a loss of differences of logits, which has no gradient for it."""
        with torch.no_grad():
            self.linear.bias.zero_()
        self.linear.bias.requires_grad_(False)

    def forward(self, h: Tensor, y: Tensor | None = None) -> Tensor:
        """Logits ``(B,)`` of features ``(B, F)`` and labels ``(B * packing,)``."""
        logits = self.linear(h)[:, 0]
        if self.classes is not None:
            assert y is not None
            v = self.classes(y.view(len(h), -1) + self.offset).sum(1)
            logits = logits + (v * h).sum(1)
        return logits


class ProjectionDiscriminator(nn.Module):
    """Discriminator that consists of `features` and, over them, a `ProjectionHead`."""

    head: ProjectionHead

    def features(self, x: Tensor) -> Tensor:
        """Input of the head, of images ``(B, C, H, W)`` on [-1, 1]: ``(B, F)``."""
        raise NotImplementedError

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Logits ``(B,)``: large for what looks real."""
        return self.head(self.features(x), y)
