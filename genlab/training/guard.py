"""The guard: it watches a run for collapse, says so, and keeps or brings back what was good."""

from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl

from genlab.errors import NonFiniteError
from genlab.ranges import Fraction, NonNegativeInt, PositiveFloat
from genlab.system.terminal import notice
from genlab.training.checkpoints import Checkpoints
from genlab.training.collapse import Collapse
from genlab.training.cures import cures
from genlab.training.evaluation import QuickMetrics
from genlab.training.generative_module import GenerativeModule
from genlab.training.loggers.setup import log_alert
from genlab.training.saving.checkpoint_io import read_checkpoint

__all__ = ["Guard", "roll_back"]

CURES = ("r1=1", "augment=diffaugment", "packing=2")
"""What helps against collapse, where a family has it."""

EARLY = 0.2
"""Share of a run in which a model need not have found all kinds of images."""


class Guard(pl.Callback):
    """Judges each evaluation along the way; on collapse it warns, stops or rolls back.

    The best checkpoint is kept in any case, and is what the run hands out. One warning is given for
    a collapse, and another only when the model had recovered in between.

    Args:
        action: ``warn``; ``stop`` ends the run; ``rollback`` takes up the best checkpoint's
            weights and optimizers again, at a lower learning rate. The images seen go on.
        fd_factor: See `Collapse`.
        modes: See `Collapse`.
        class_kl: See `Collapse`.
        skip: Steps in a row that are left out because a loss or a gradient is not finite; one
            more and the run ends, or rolls back.
        rollbacks: How often to roll back; the next collapse ends the run.
        lr_factor: What the learning rates are multiplied by at each.
    """

    def __init__(
        self,
        action: Literal["warn", "stop", "rollback"] = "warn",
        fd_factor: PositiveFloat = 2.0,
        modes: Fraction = 0.5,
        class_kl: PositiveFloat = 0.5,
        skip: NonNegativeInt = 0,
        rollbacks: NonNegativeInt = 3,
        lr_factor: Fraction = 0.5,
    ):
        self.action = action
        self.skip = skip
        self.checks_every_step = skip > 0
        self.rollbacks = rollbacks
        self.lr_factor = lr_factor
        self.collapse = Collapse(fd_factor, modes, class_kl)
        self.evaluation: QuickMetrics | None = None
        self.checkpoints: Checkpoints | None = None
        self.judged = 0
        self.readings = 0
        self.ill = False
        self.rolled_back = 0
        self.skipped = 0
        self.in_a_row = 0
        self.skipped_at = -2
        self.events: list[dict[str, Any]] = []
        """Findings and actions, for the run's summary."""

    def setup(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        """Finds its siblings: what measures along the way, and what keeps checkpoints."""
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        self.evaluation = next((c for c in callbacks if isinstance(c, QuickMetrics)), None)
        self.checkpoints = next((c for c in callbacks if isinstance(c, Checkpoints)), None)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, GenerativeModule)
        self.judged = module.images_seen
        if self.checkpoints is not None and self.action == "rollback" and trainer.world_size > 1:
            # The others cannot wait for what the first process writes, and must find the same.
            self.checkpoints.write_in_foreground()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(module, GenerativeModule)
        found = self.judge(trainer, module)
        if found is None:
            return
        path = self.best()
        if self.action == "rollback" and path is not None and self.rolled_back < self.rollbacks:
            self.say(trainer, module, f"{found}; {self.back(trainer, module, path)}")
            self.ill = False
        elif self.action == "warn":
            self.say(
                trainer, module, f"{found}; the best checkpoint is kept. {cures(module, CURES)}"
            )
        else:
            self.say(
                trainer,
                module,
                f"{found}; the run ends, with its best checkpoint. {cures(module, CURES)}",
            )
            module.log_losses()
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, GenerativeModule)
        found = self.judge(trainer, module)
        if found is not None:
            self.say(
                trainer, module, f"{found}; the best checkpoint is kept. {cures(module, CURES)}"
            )

    def early(self, module: GenerativeModule) -> bool:
        """True in a run's first fifth, or its first two evaluations if it has no end."""
        if module.max_images is None:
            return self.readings < 2
        return module.images_seen < EARLY * module.max_images

    def judge(self, trainer: pl.Trainer, module: GenerativeModule) -> str | None:
        """The collapse that a new evaluation is the first to show, the same on every process."""
        if self.evaluation is None or self.evaluation.last <= self.judged:
            return None
        self.judged = self.evaluation.last
        reading = self.evaluation.reading
        found = self.collapse.judge(reading, self.early(module)) if reading is not None else None
        self.readings += 1
        found = trainer.strategy.broadcast(found)
        news = found if not self.ill else None
        self.ill = found is not None
        return news

    def on_nonfinite(
        self, trainer: pl.Trainer, module: GenerativeModule, reason: str, moved: bool = False
    ) -> None:
        """Leaves out a step whose numbers are not finite, or rolls back, where that was asked for.

        Raises:
            NonFiniteError: It was not, or not that often, or there is nothing to go back to.
        """
        self.in_a_row = self.in_a_row + 1 if module.steps == self.skipped_at + 1 else 1
        self.skipped_at = module.steps
        said = reason.split(";")[0]
        if not moved and self.in_a_row <= self.skip:
            self.skipped += 1
            times = f"{self.in_a_row} of {self.skip} in a row"
            self.say(trainer, module, f"{said}; the step was left out ({times})")
            return
        path = self.best()
        if self.action != "rollback" or path is None or self.rolled_back >= self.rollbacks:
            raise NonFiniteError(reason)
        self.say(trainer, module, f"{said}; {self.back(trainer, module, path)}")

    def best(self) -> Path | None:
        """The best checkpoint, if there is one yet."""
        if self.checkpoints is not None:
            self.checkpoints.wait()
        directory = self.checkpoints.directory if self.checkpoints is not None else None
        path = directory / "best.ckpt" if directory is not None else None
        return path if path is not None and path.exists() else None

    def back(self, trainer: pl.Trainer, module: GenerativeModule, path: Path) -> str:
        """Rolls back, and says so."""
        self.rolled_back += 1
        images = roll_back(trainer, module, path, self.lr_factor)
        return (
            f"rolled back to the best checkpoint, of {images:,} images, with {self.lr_factor:g} "
            f"times the learning rate ({self.rolled_back} of {self.rollbacks} times)"
        )

    def say(self, trainer: pl.Trainer, module: GenerativeModule, text: str) -> None:
        """Prints a line on the terminal, in the log and on the dashboards."""
        self.events.append({"images_seen": module.images_seen, "text": text})
        if trainer.is_global_zero:
            notice(f"genlab: warning: after {module.images_seen:,} images: {text}")
            log_alert(trainer.loggers, "guard", text, module.images_seen)
            module.history(
                {"guard/warnings": len(self.events), "guard/rollbacks": self.rolled_back}
            )

    def state_dict(self) -> dict[str, Any]:
        return {
            "collapse": self.collapse.state_dict(),
            "looked": self.readings,
            "ill": self.ill,
            "rolled_back": self.rolled_back,
            "skipped": self.skipped,
            "in_a_row": self.in_a_row,
            "skipped_at": self.skipped_at,
            "events": list(self.events),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.collapse.load_state_dict(state_dict["collapse"])
        self.readings, self.ill = state_dict["looked"], state_dict["ill"]
        self.rolled_back = state_dict["rolled_back"]
        self.skipped = state_dict.get("skipped", 0)
        self.in_a_row = state_dict.get("in_a_row", 0)
        self.skipped_at = state_dict.get("skipped_at", -2)
        self.events = list(state_dict["events"])


def roll_back(trainer: pl.Trainer, module: GenerativeModule, path: Path, factor: float) -> int:
    """Takes up a checkpoint's weights, averages and optimizers in the middle of training.

    Images seen, budget, schedule and data go on as they were: the run sees other batches this time,
    which a repetition of the same ones would not survive either. The lower learning rates are the
    optimizers' own from then on, and kept with them.

    Args:
        trainer: The trainer.
        module: The module.
        path: The checkpoint.
        factor: What the learning rates are multiplied by, those of now.

    Returns:
        The images seen at the checkpoint.
    """
    checkpoint = read_checkpoint(path, module.device)
    state = checkpoint["genlab"]
    module.load_state_dict(checkpoint["state_dict"])
    for optimizer, saved in zip(trainer.optimizers, checkpoint["optimizer_states"], strict=True):
        rates = [group["initial_lr"] * factor for group in optimizer.param_groups]
        optimizer.load_state_dict(saved)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["initial_lr"] = rate
    module.followers.roll_back(trainer, checkpoint)
    module.losses.forget()
    return int(state["images_seen"])
