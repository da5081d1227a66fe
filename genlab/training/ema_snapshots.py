"""Post-hoc EMA: averages of two lengths kept along the way, of which any other is made later."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl
import torch

from genlab.errors import ConfigError, NonFiniteError
from genlab.ranges import PositiveInt, Range
from genlab.training.generative_module import GenerativeModule
from genlab.training.periodic import PeriodicCallback
from genlab.training.run_context import context_of
from genlab.training.saving.ema_files import drop_newer, write_snapshot
from genlab.training.step.nonfinite import CURES, all_finite
from genlab.training.step.power_averages import PowerAverages

__all__ = ["EmaSnapshots"]

Width = Annotated[float, Range(low=0.01, high=0.28)]


class EmaSnapshots(PeriodicCallback):
    """Keeps power-function averages of the weights, and snapshots of them on the disk.

    ``weights=ema:0.07`` then reconstructs the average of another relative width by least squares
    (Karras et al. 2024, EDM2, section 3). It costs one copy of the trained weights a width: in the
    memory of the device, in each checkpoint, and in each snapshot.

    Args:
        every: Images seen, or ``"N epochs"``, between two snapshots; 16 of them or more reach
            widths from 0.03 to 0.25.
        widths: Relative widths of the averages, two as a rule.
        steps: Optimizer steps between two updates of the averages.
    """

    def __init__(
        self,
        every: int | str = "1 epoch",
        widths: Sequence[Width] = (0.05, 0.10),
        steps: PositiveInt = 4,
    ):
        super().__init__(every)
        if not widths or len(set(widths)) < len(widths):
            raise ConfigError(
                f"callbacks.ema_snapshots.widths={list(widths)}: different relative widths are "
                "needed, [0.05, 0.1] for two"
            )
        self.averages = PowerAverages(sorted(widths), steps)

    @property
    def state_key(self) -> str:
        return "EmaSnapshots"

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, GenerativeModule)
        super().on_train_start(trainer, module)
        kept, asked = list(self.averages.averages), list(self.averages.powers)
        if kept and kept != asked:
            raise ConfigError(
                f"callbacks.ema_snapshots.widths={asked}: a resumed run keeps its widths, {kept}"
            )
        self.averages.attach(module.model)
        self.drop_newer(trainer, module.images_seen)

    def follow(self, images_seen: int, steps: int) -> None:
        """Follows an optimizer step; see `genlab.training.step.followers.StepFollower`."""
        self.averages.follow(images_seen, steps)

    def roll_back(self, trainer: pl.Trainer, checkpoint: dict[str, Any]) -> None:
        """Goes back to a checkpoint's averages, as if the weights since then had been the next."""
        state = checkpoint.get("callbacks", {}).get(self.state_key)
        if state is None:  # of before there were any: start anew
            self.averages.restart()
        else:
            self.load_state_dict(state)
        self.drop_newer(trainer, checkpoint["genlab"]["images_seen"])

    def act(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        folder = context_of(trainer).checkpoints
        if folder is None or not trainer.is_global_zero or not self.averages.images:
            return
        tensors = [t for average in self.averages.averages.values() for t in average.values()]
        if not all_finite(torch.stack([t.sum() for t in tensors])) and not all_finite(tensors):
            raise NonFiniteError(
                f"after {module.images_seen:,} images, averaged weights are not finite; no "
                f"snapshot of them was written. {CURES}"
            )
        write_snapshot(folder, self.averages.state_dict())

    def drop_newer(self, trainer: pl.Trainer, images_seen: int) -> None:
        """Removes the snapshots of training that is done again, or that was given up."""
        folder: Path | None = context_of(trainer).checkpoints
        if folder is not None and trainer.is_global_zero:
            drop_newer(folder, images_seen)

    def state_dict(self) -> dict[str, Any]:
        return self.averages.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.averages.load_state_dict(state_dict)
