"""The one Lightning module that trains every family."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim import Optimizer

from genlab.errors import ConfigError, NonFiniteError
from genlab.models.base import GenerativeModel
from genlab.rng import seed_global
from genlab.training.schedules import Schedule
from genlab.training.step.chunks import grouped, unstacked, validate
from genlab.training.step.compilation import Compilation
from genlab.training.step.ema import EMA
from genlab.training.step.finite_check import FiniteCheck
from genlab.training.step.followers import Followers
from genlab.training.step.loss_log import LossLog
from genlab.training.step.optimizers import OptimizerFactory, build_optimizers
from genlab.training.step.player_toggle import PlayerToggle
from genlab.training.step.split_measure import SplitMeasure
from genlab.types import Batch, Loss

__all__ = ["GenerativeModule"]


class GenerativeModule(pl.LightningModule):
    """Trains any `GenerativeModel`: an optimizer for each player, stepped in the players' order.

    Lightning's own cost is paid once for each call of `training_step`, and logging once for each
    of its log calls; both are more than a whole step of a small model. So a training step takes a
    *chunk* of batches and makes an optimizer step with each. Neither the size of a chunk nor
    previews, validation or an interruption change the result: before each step the random state
    is set to a function of the seed and the images seen.

    Args:
        model: The model.
        optimizer: Makes an optimizer of parameters; a mapping gives each player its own.
        schedule: The factor on the learning rates.
        seed: Key of all random streams.
        max_images: Images seen at which training stops; None where only time stops it.
        max_seconds: Wall time at which a budget stops training, for the progress bar.
        ema: The moving average of the weights, which is then what is evaluated.
        clip: The largest norm of a player's gradient.
        accumulate: Batches whose gradients are averaged for one optimizer step.
        log_every: Images between two lines of the history.
        compilation: What compiles the players' losses, if anything is to.

    Raises:
        ConfigError: The schedule must know the end of the run, and there is none.
        NonFiniteError: A loss is NaN or infinite.
    """

    def __init__(
        self,
        model: GenerativeModel,
        optimizer: OptimizerFactory | Mapping[str, OptimizerFactory],
        schedule: Schedule,
        *,
        seed: int,
        max_images: int | None,
        max_seconds: float | None = None,
        ema: EMA | None = None,
        clip: float | None = None,
        accumulate: int = 1,
        log_every: int = 5000,
        compilation: Compilation | None = None,
    ):
        super().__init__()
        if schedule.needs_end and max_images is None:
            raise ConfigError(
                f"scheduler {type(schedule).__name__} must know the run's length: "
                "give trainer.max_images or trainer.epochs, or take scheduler=constant"
            )
        self.automatic_optimization = False
        self.model, self.make_optimizer, self.schedule = model, optimizer, schedule
        self.seed, self.ema, self.clip, self.accumulate = seed, ema, clip, accumulate
        self.max_images, self.max_seconds = max_images, max_seconds
        self.losses, self.measure = LossLog(log_every), SplitMeasure(seed)
        self.compilation = compilation or Compilation(model)
        self.images_seen, self.steps, self.seconds = 0, 0, 0.0
        """`seconds` is wall time of training and all that goes with it, over all resumptions."""
        self.trained_on: torch.device | None = None  # at the end Lightning takes the weights away
        self.interrupted = False
        """True if a signal ended training; its checkpoint is written, and nothing may follow."""
        self.validation_due = False
        """True if a signal came before a validation that was due, or in it: it comes first."""

    @property
    def eval_model(self) -> GenerativeModel:
        """The model to sample and evaluate: the average of the weights where there is one."""
        return self.ema.model if self.ema is not None else self.model

    def configure_optimizers(self) -> list[Optimizer]:
        return build_optimizers(self.model, self.make_optimizer)

    def on_train_start(self) -> None:
        # Not earlier: only now do the parameters lie on the device they are trained on.
        self.trained_on = self.device
        if self.ema is not None:
            self.ema.to(self.device, self.model)
        self.toggle = PlayerToggle(self.model)
        self.compilation.start(self.trainer.world_size, self.pause)
        self.finite = FiniteCheck(self.trainer, self)
        self.followers = Followers(self.ema, self.trainer)
        self.started = time.monotonic() - self.seconds
        if self.validation_due and not self.done:  # at the end there is one anyway
            validate(self.trainer)

    def on_train_end(self) -> None:
        self.toggle.reset()
        self.compilation.end()

    # Training

    def training_step(self, chunk: Batch, index: int) -> None:
        for batches in grouped(unstacked(chunk), self.accumulate):
            if self.done:
                break
            images = sum(len(batch.x) for batch in batches) * self.trainer.world_size
            try:
                self.step(batches, images)
            except NonFiniteError as error:
                self.finite.handle(error)
            self.steps += 1
            self.images_seen += images
        self.seconds = time.monotonic() - self.started
        if not self.losses.finite():
            # On a GPU, where looking at each loss would wait for it; by now the weights are lost.
            self.finite.handle(self.finite.lost(batches[-1]), moved=True)

    def step(self, batches: list[Batch], images: int) -> None:
        """An optimizer step of each player that is updated, with the batches' mean gradient.

        Raises:
            NonFiniteError: A loss or a gradient is not; no weight has moved by it.
        """
        # Randomness and learning rate: functions of the images seen
        seed_global(self.seed, "noise", self.images_seen, self.global_rank)
        factor = self.schedule.factor_at(self.images_seen, self.max_images, self.steps)
        self.model.begin_step(self.images_seen, self.steps)
        optimizers = self.optimizers()
        several = isinstance(optimizers, list)
        each = optimizers if several else [optimizers]
        for player, optimizer in zip(self.model.players, each, strict=True):
            if not self.model.updates(player):
                continue
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
            # Forward and backward passes
            self.toggle.switch(player)
            losses = self.compilation.turn(player, partial(self.gradient, player, batches))
            self.finite.gradient(optimizer)
            for loss in losses:
                self.losses.collect(loss, player if several else None)
            # Update
            optimizer.step()
            optimizer.zero_grad()
            self.model.after_step(player)
        self.followers.follow(images, self.images_seen + images, self.steps + 1)

    def gradient(self, player: str, batches: list[Batch]) -> list[Loss]:
        """A player's losses, whose mean gradient its weights then have."""
        losses = []
        for batch in batches:
            loss = self.compilation.loss(batch, player)
            self.finite.loss(loss, batch, player)
            self.manual_backward(loss.total / len(batches) if len(batches) > 1 else loss.total)
            losses.append(loss)
        return losses

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        # Here and not before `optimizer.step()`: under a gradient scaler, the gradients are
        # scaled until now, and clipping them there would clip to a 65536th.
        if self.clip is not None:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            norm = nn.utils.clip_grad_norm_(parameters, self.clip)
            self.losses.means.add("grad_norm", norm)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.log_due()
        self.trainer.should_stop |= self.done

    @property
    def done(self) -> bool:
        """True if all images were seen that were to be seen."""
        return self.max_images is not None and self.images_seen >= self.max_images

    def log_due(self) -> None:
        """Writes a line if it is time; before a checkpoint, or a resumed run would repeat it."""
        if self.done or self.losses.due(self.images_seen):
            self.log_losses()

    def log_losses(self) -> None:
        """Writes the means since the last line into the history."""
        lr = self.trainer.optimizers[0].param_groups[0]["lr"]
        if line := self.losses.line(self.images_seen, self.seconds, lr):
            self.history(line)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Time inside does not count against the throughput: previews, validation, metrics."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.losses.pause(time.monotonic() - start)
            self.seconds = time.monotonic() - self.started

    def interrupt(self) -> None:
        """Takes note that a signal ended training."""
        self.interrupted = True

    def postpone_validation(self, due: bool = True) -> None:
        """Takes note that a resumed run begins with a validation."""
        self.validation_due = due

    def history(self, metrics: Mapping[str, float]) -> None:
        """Writes a line into every logger, at the images seen so far."""
        if self.trainer.is_global_zero:
            for logger in self.trainer.loggers:
                logger.log_metrics(dict(metrics), step=self.images_seen)

    # Validation and test

    def validation_step(self, batch: Batch, index: int) -> None:
        self.measure.add(self.eval_model, batch, index, "val")

    def test_step(self, batch: Batch, index: int) -> None:
        self.measure.add(self.eval_model, batch, index, "test")

    def on_validation_start(self) -> None:
        self.validation_start = time.monotonic()

    def on_validation_end(self) -> None:
        self.losses.pause(time.monotonic() - self.validation_start)

    def on_validation_epoch_end(self) -> None:
        metrics = self.finish_measure("val")
        if not self.trainer.sanity_checking:
            self.validation_due = False
            self.schedule.observe(metrics)
            self.history(metrics)

    def on_test_epoch_end(self) -> None:
        self.finish_measure("test")

    def finish_measure(self, split: str) -> dict[str, float]:
        """Logs the split's means, and returns them."""
        metrics = self.measure.take(self.trainer.strategy, split, self.model.spec.dims)
        self.log_dict({k: torch.tensor(v) for k, v in metrics.items()}, logger=False)
        return metrics

    # Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["genlab"] = {
            "images_seen": self.images_seen,
            "steps": self.steps,
            "max_images": self.max_images,
            "seconds": self.seconds,
            "schedule": self.schedule.state_dict(),
            "ema": self.ema.state_dict() if self.ema is not None else None,
            **self.losses.state_dict(),
            "validation_due": self.validation_due,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["genlab"]
        self.images_seen, self.steps = state["images_seen"], state["steps"]
        self.seconds = state["seconds"]
        self.schedule.load_state_dict(state["schedule"])
        self.losses.load_state_dict(state)
        self.validation_due = state.get("validation_due", False)
        if self.ema is not None and state["ema"] is not None:
            self.ema.load_state_dict(state["ema"])
