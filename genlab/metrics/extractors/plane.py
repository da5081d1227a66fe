"""The extractor of data whose modes are known points of the plane: rings and grids of Gaussians."""

import hashlib
import json
from collections.abc import Callable

import torch
from torch import Tensor

from genlab.metrics.extractors.base import Features

__all__ = ["PlaneExtractor"]


class PlaneExtractor:
    """An image's point in the plane, and the mode within three deviations of it.

    The convention of VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018): a sample is of
    high quality if it lies within three standard deviations of a mode, and only such a sample
    counts for its mode. The last class is that of all other samples.

    Args:
        points: The points in levels that uint8 images ``(n, C, H, W)`` stand for, ``(n, 2)``.
        centres: The modes, ``(k, 2)``, in levels.
        std: Standard deviation of a mode, in levels.
    """

    name = "plane"
    batch = 4096
    dim = 2
    reach = 3.0
    """How far from a mode its samples may lie, in standard deviations."""

    def __init__(self, points: Callable[[Tensor], Tensor], centres: Tensor, std: float):
        self.points = points
        self.centres = centres.float()
        self.std = std
        self.modes = len(centres)
        self.classes = self.modes + 1
        self.preprocessing = f"{len(centres)} modes of deviation {std:g}, within {self.reach:g}"
        said = json.dumps([self.centres.tolist(), std, self.reach])
        self.id = hashlib.sha256(said.encode()).hexdigest()

    def to(self, device: torch.device | str) -> "PlaneExtractor":
        """Moves the modes."""
        self.centres = self.centres.to(device)
        return self

    def __call__(self, images: Tensor) -> Features:
        at = self.points(images).float()
        distance = torch.cdist(at, self.centres) / self.std
        logits = torch.cat([-distance, torch.full_like(distance[:, :1], -self.reach)], 1)
        return Features(at, logits)
