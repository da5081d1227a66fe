"""Means over the images of a split, of which every process measures a share."""

import torch
from pytorch_lightning.strategies import Strategy
from torch import Tensor

__all__ = ["SplitMeans"]


class SplitMeans:
    """Means by name, each over as many images as it was added for; summed in float64."""

    def __init__(self) -> None:
        self.sums: dict[str, list[Tensor]] = {}

    def add(self, name: str, values: Tensor) -> None:
        """Adds the values of some images ``(B,)``."""
        values = values.detach().double()
        self.sums.setdefault(name, []).append(
            torch.stack([values.sum(), values.new_tensor(float(len(values)))]).cpu()
        )

    def take(self, strategy: Strategy, prefix: str) -> dict[str, float]:
        """The means over all processes, by prefixed names; what was added is forgotten."""
        means = {}
        for name, sums in self.sums.items():
            here = torch.stack(sums).sum(0).to(strategy.root_device)
            total = strategy.reduce(here, reduce_op="sum")
            assert isinstance(total, Tensor)
            means[f"{prefix}{name}"] = float(total[0] / total[1])
        self.sums = {}
        return means
