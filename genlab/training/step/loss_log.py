"""The loss log: means of losses since the last line of the history, and the throughput."""

from typing import Any

import torch

from genlab.training.step.running_means import RunningMeans
from genlab.types import Loss

__all__ = ["LossLog"]


class LossLog:
    """Means of the losses, a line of the history every n images.

    Args:
        every: Images between two lines.
    """

    def __init__(self, every: int):
        self.every = every
        self.means = RunningMeans()
        self.images = 0
        """Images seen at the last line."""
        self.seconds = 0.0
        """Seconds trained at the last line."""
        self.paused = 0.0
        """Seconds since then in previews, validation and metrics, which are no throughput."""
        self.latest: dict[str, float] = {}
        """The means of the last line, for the progress bar."""

    def collect(self, loss: Loss, player: str | None) -> None:
        """Adds a loss and its parts, under the player's name where there are several."""
        self.means.collect(loss, player)

    def finite(self) -> bool:
        """True if all losses collected are finite; on a GPU, reading it waits."""
        return not self.means or bool(torch.isfinite(self.means.losses()))

    def due(self, images_seen: int) -> bool:
        """True if it is time for a line."""
        return images_seen - self.images >= self.every

    def line(self, images_seen: int, seconds: float, lr: float) -> dict[str, float]:
        """The line at these images and seconds; empty if nothing was collected since the last.

        All means come from the device in one transfer.
        """
        if not self.means:
            return {}
        elapsed = max(seconds - self.seconds - self.paused, 1e-9)
        self.latest = {f"train/{k}": v for k, v in self.means.means().items()}
        rate = (images_seen - self.images) / elapsed
        self.means, self.paused = RunningMeans(), 0.0
        self.images, self.seconds = images_seen, seconds
        return self.latest | {"train/lr": lr, "train/images_per_second": rate}

    def pause(self, seconds: float) -> None:
        """Leaves seconds out of the throughput."""
        self.paused += seconds

    def forget(self) -> None:
        """Drops what was collected since the last line."""
        self.means = RunningMeans()

    def state_dict(self) -> dict[str, Any]:
        """The means so far, for a checkpoint."""
        return {"window": self.means.state_dict(), "window_start": [self.images, self.seconds]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what a checkpoint kept."""
        self.means.load_state_dict(state["window"])
        self.images, self.seconds = state["window_start"]
