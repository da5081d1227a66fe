"""Detectors without a model that a model's score has to beat: principal components, neighbours."""

import torch
from torch import Tensor

__all__ = ["NearestNeighbour", "PrincipalComponents"]


class PrincipalComponents:
    """Squared distance of an image from the plane of the normal images' first components.

    Args:
        images: Normal images, ``(n, C, H, W)``.
        components: Number of components, as far as there are so many.
    """

    def __init__(self, images: Tensor, components: int = 32):
        x = flat(images)
        self.mean = x.mean(0)
        k = min(components, len(x) - 1, x.shape[1])
        _, vectors = torch.linalg.eigh((x - self.mean).T @ (x - self.mean))
        self.axes = vectors[:, -k:] if k > 0 else vectors[:, :0]

    def __call__(self, images: Tensor) -> Tensor:
        """Scores, float64 ``(m,)``."""
        x = flat(images) - self.mean
        return (x.square().sum(1) - (x @ self.axes).square().sum(1)).clamp_min(0).double()


class NearestNeighbour:
    """Distance of an image from the nearest normal one, in pixels.

    Args:
        images: Normal images, ``(n, C, H, W)``.
    """

    def __init__(self, images: Tensor):
        self.known = flat(images)

    def __call__(self, images: Tensor) -> Tensor:
        """Scores, float64 ``(m,)``."""
        nearest = [torch.cdist(x, self.known).amin(1) for x in flat(images).split(500)]
        return torch.cat(nearest).double()


def flat(images: Tensor) -> Tensor:
    """Images as rows of floats in [0, 1]."""
    return images.flatten(1).float() / 255
