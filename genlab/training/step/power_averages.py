"""Power-function averages of a model's weights, of several widths at once."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from genlab.training.step.power_profile import exponent

__all__ = ["PowerAverages"]


class PowerAverages:
    """Averages of a model's trained weights by power-function profiles.

    From an update at n images to the next at m, the old average keeps (n / m)^(γ+1) of its weight.
    These factors telescope, so the profile is right whatever the batches and the updates left out;
    the first update, from n = 0, takes the weights as they are.

    Args:
        widths: Relative widths, one average each.
        every: Optimizer steps between two updates.
    """

    def __init__(self, widths: Sequence[float], every: int = 1):
        self.powers = {width: exponent(width) + 1 for width in widths}
        self.every = every
        self.images = 0
        """Images seen at the last update, which is where the profiles end."""
        self.averages: dict[float, dict[str, Tensor]] = {}
        self.names: list[str] = []
        self.source: list[Tensor] = []

    def attach(self, model: nn.Module) -> None:
        """Finds the weights to follow, and lays the averages where they are."""
        followed = {n: p for n, p in model.named_parameters() if p.requires_grad}
        followed = {n: p for n, p in followed.items() if p.is_floating_point()}
        self.names = list(followed)
        self.source = [p.data for p in followed.values()]
        for width in self.powers:
            kept = self.averages.get(width, {})
            self.averages[width] = {
                name: kept[name].to(p.device) if name in kept else p.detach().clone()
                for name, p in followed.items()
            }

    def follow(self, images_seen: int, steps: int) -> None:
        """Follows the model's step number `steps`, if it is due."""
        if steps % self.every == 0:
            self.update(images_seen)

    @torch.no_grad()
    def update(self, images_seen: int) -> None:
        """Follows the model to the images seen by now."""
        past = math.log(self.images / images_seen) if self.images else -math.inf
        for width, power in self.powers.items():
            average = [self.averages[width][name] for name in self.names]
            torch._foreach_lerp_(average, self.source, -math.expm1(power * past))
        self.images = images_seen

    def restart(self) -> None:
        """Begins anew: the next update takes the weights as they are."""
        self.images = 0

    def state_dict(self) -> dict[str, Any]:
        """The averages, and where they end."""
        averages = {width: dict(average) for width, average in self.averages.items()}
        return {"images": self.images, "averages": averages}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up averages that were kept; in place where they are attached."""
        self.images = state["images"]
        for width, average in state["averages"].items():
            mine = self.averages.setdefault(width, {})
            for name, tensor in average.items():
                if name in mine:
                    mine[name].copy_(tensor)
                else:
                    mine[name] = tensor.clone()
