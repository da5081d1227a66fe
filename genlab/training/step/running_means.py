"""Running means of losses between two lines of the history, kept on the device."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from genlab.types import Loss

__all__ = ["RunningMeans"]


class RunningMeans:
    """Running means by name, each over the times it was added: some losses come at some steps only.

    Nothing is read from the device before `means`, one transfer for all of them.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self.sums)

    def add(self, name: str, value: Tensor) -> None:
        """Adds a detached scalar to a mean."""
        self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.counts[name] = self.counts.get(name, 0) + 1

    def collect(self, loss: Loss, player: str | None) -> None:
        """Adds a loss and its parts, under the player's name where there are several."""
        prefix = f"{player}/" if player else ""
        for name, value in loss.parts.items():
            if name != "loss":
                self.add(prefix + name, value)
        self.add(f"{prefix}loss", loss.total.detach())

    def losses(self) -> Tensor:
        """Sum of all players' losses: not finite where one of them is not."""
        return torch.stack([v.float() for k, v in self._losses()]).sum()

    def means(self) -> dict[str, float]:
        """The means by name; with several players, ``loss`` is the sum of their mean losses."""
        values = torch.stack([value.float() for value in self.sums.values()]).tolist()
        means = {k: v / self.counts[k] for k, v in zip(self.sums, values, strict=True)}
        return {"loss": sum(means[k] for k, _ in self._losses())} | means

    def state_dict(self) -> dict[str, Any]:
        """The means so far, for a checkpoint."""
        return {"sums": dict(self.sums), "counts": dict(self.counts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what a checkpoint kept."""
        self.sums, self.counts = dict(state["sums"]), dict(state["counts"])

    def _losses(self) -> Iterator[tuple[str, Tensor]]:
        return (item for item in self.sums.items() if item[0].rpartition("/")[2] == "loss")
