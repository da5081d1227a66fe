"""The one Lightning module that trains every family."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim import Optimizer

from genlab.errors import ConfigError, NonFiniteError
from genlab.models.base import GenerativeModel
from genlab.rng import isolated, seed_global, stream
from genlab.training.schedules import Schedule
from genlab.training.step.backward import shortest_backward
from genlab.training.step.chunks import grouped, unstacked, validate
from genlab.training.step.compilation import Compilation
from genlab.training.step.ema import EMA
from genlab.training.step.nonfinite import describe, describe_gradient, finite_gradients
from genlab.training.step.player_toggle import Turns
from genlab.training.step.quick_adam import quickened
from genlab.training.step.running_means import Window
from genlab.training.step.split_means import Means
from genlab.types import Batch, Loss

__all__ = ["GenerativeModule", "OptimizerFactory"]

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]


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
        ema: The moving average of the weights, which is then what is evaluated.
        clip: The largest norm of a player's gradient.
        accumulate: Batches whose gradients are averaged for one optimizer step.
        log_every: Images between two lines of the history.
        compilation: What compiles the players' turns, if anything is to.

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
        self.model = model
        self.make_optimizer = optimizer
        self.schedule = schedule
        self.seed = seed
        self.max_images = max_images
        self.ema = ema
        self.clip = clip
        self.accumulate = accumulate
        self.log_every = log_every
        self.compilation = compilation or Compilation(model)
        self.images_seen = 0
        self.steps = 0
        self.seconds = 0.0
        """Wall time spent in training steps and all that goes with them, over all resumptions."""
        self.max_seconds: float | None = None
        """Wall time at which a budget stops training, for the progress bar."""
        self.interrupted = False
        """Whether a signal ended training; its checkpoint is written, and nothing may follow."""
        self.validation_due = False
        """Whether a signal came before a validation that was due, or in it: it comes first."""
        self.rescue: Callable[[str, bool], None] | None = None
        """Called with the reason why a number is not finite and whether weights moved by it."""
        self.watchful = False
        """Whether to look at each step on a GPU, too, and wait for it."""
        self.latest: dict[str, float] = {}
        """The last line of the history, for the progress bar."""
        self.window = Window()
        self.window_start = (0, 0.0)
        self.window_pause = 0.0
        self.validation = Means()

    @property
    def eval_model(self) -> GenerativeModel:
        """What is sampled and evaluated: the average of the weights where there is one."""
        return self.ema.model if self.ema is not None else self.model

    def configure_optimizers(self) -> list[Optimizer]:
        optimizers = []
        for player in self.model.players:
            make = self.make_optimizer
            if isinstance(make, Mapping):
                if player not in make:
                    raise ConfigError(f"optimizer: one for the {player} is missing")
                make = make[player]
            parameters = [p for p in self.model.player(player).parameters() if p.requires_grad]
            if not parameters:
                raise ConfigError(f"freeze: the {player} has no parameter left to train")
            optimizers.append(quickened(make(parameters)))
            for group in optimizers[-1].param_groups:
                group.setdefault("initial_lr", group["lr"])
        return optimizers

    def on_train_start(self) -> None:
        # Not earlier: only now do the parameters lie on the device they are trained on.
        if self.ema is not None:
            self.ema.to(self.device, self.model)
        self.turns = Turns(self.model)
        self.backwards = shortest_backward(self.trainer, self)
        self.compilation.start(self.trainer.world_size, self.pause)
        # A scaler of gradients leaves out a step by itself when they overflow.
        self.scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        self.started = time.monotonic() - self.seconds
        if self.validation_due and not self.done:  # at the end there is one anyway
            validate(self.trainer)

    def training_step(self, chunk: Batch, index: int) -> None:
        for batches in grouped(unstacked(chunk), self.accumulate):
            if self.done:
                break
            images = sum(len(batch.x) for batch in batches) * self.trainer.world_size
            try:
                self.step(batches, images)
            except NonFiniteError as error:
                self.mend(error)
            self.steps += 1
            self.images_seen += images
        self.seconds = time.monotonic() - self.started
        if self.window and not torch.isfinite(self.window.losses()):
            # On a GPU, where looking at each loss would wait for it; by now the weights are lost.
            reason = describe(self.model, batches[-1], self.images_seen)
            self.mend(NonFiniteError(reason), moved=True)

    def mend(self, error: NonFiniteError, moved: bool = False) -> None:
        """Hands numbers that are not finite to who can mend them, if anybody can."""
        if self.rescue is None:
            raise error
        self.rescue(str(error), moved)
        for optimizer in self.trainer.optimizers:
            optimizer.zero_grad()

    def on_train_end(self) -> None:
        self.turns.end()
        self.compilation.end()

    def step(self, batches: list[Batch], images: int) -> None:
        """An optimizer step of each player that moves, with the mean gradient of the batches.

        Raises:
            NonFiniteError: A loss or a gradient is not; no weight has moved by it.
        """
        seed_global(self.seed, "noise", self.images_seen, self.global_rank)
        factor = self.schedule.factor(self.images_seen / (self.max_images or math.inf))
        self.model.images_seen, self.model.step = self.images_seen, self.steps
        optimizers = self.optimizers()
        several = isinstance(optimizers, list)
        each = optimizers if several else [optimizers]
        for player, optimizer in zip(self.model.players, each, strict=True):
            if not self.model.updates(player):
                continue
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
            self.turns.take(player)
            losses = self.compilation.turn(player, partial(self.gradient, player, batches))
            if self.looks() and not self.scaled and not finite_gradients(optimizer):
                raise NonFiniteError(describe_gradient(self.model, self.images_seen, self.steps))
            for loss in losses:
                self.window.collect(loss, player if several else None)
            optimizer.step()
            optimizer.zero_grad()
            self.model.after_step(player)
        if self.ema is not None:
            self.ema.follow(images, self.images_seen + images, self.steps + 1)

    def looks(self) -> bool:
        """Whether to look at each step's numbers, which on a GPU waits for them."""
        return self.watchful or self.device.type != "cuda"

    def gradient(self, player: str, batches: list[Batch]) -> list[Loss]:
        """A player's losses, whose mean gradient its weights then have."""
        losses = []
        # Several processes must agree: the gradient, which is all of theirs, tells them.
        looks = self.looks() and self.trainer.world_size == 1
        for batch in batches:
            loss = self.compilation.loss(batch, player)
            if looks and not math.isfinite(loss.total.detach()):
                seen, step = self.images_seen, self.steps
                raise NonFiniteError(describe(self.model, batch, seen, player, step))
            self.backwards(loss.total / len(batches) if len(batches) > 1 else loss.total)
            losses.append(loss)
        return losses

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        # Here and not before `optimizer.step()`: under a gradient scaler, the gradients are
        # scaled until now, and clipping them there would clip to a 65536th.
        if self.clip is not None:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            norm = nn.utils.clip_grad_norm_(parameters, self.clip)
            self.window.add("grad_norm", norm)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.log_due()
        self.trainer.should_stop |= self.done

    @property
    def done(self) -> bool:
        """Whether all images were seen that were to be seen."""
        return self.max_images is not None and self.images_seen >= self.max_images

    def log_due(self) -> None:
        """Writes a line if it is time; before a checkpoint, or a resumed run would repeat it."""
        if self.done or self.images_seen - self.window_start[0] >= self.log_every:
            self.log_window()

    def log_window(self) -> None:
        """Writes the means since the last line into the history: one transfer for all of them."""
        if not self.window:
            return
        images, seconds = self.window_start
        elapsed = max(self.seconds - seconds - self.window_pause, 1e-9)
        self.latest = {f"train/{k}": v for k, v in self.window.means().items()}
        self.history(
            self.latest
            | {
                "train/lr": self.trainer.optimizers[0].param_groups[0]["lr"],
                "train/images_per_second": (self.images_seen - images) / elapsed,
            }
        )
        self.window, self.window_pause = Window(), 0.0
        self.window_start = (self.images_seen, self.seconds)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Time inside does not count against the throughput: previews, validation, metrics."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.window_pause += time.monotonic() - start
            self.seconds = time.monotonic() - self.started

    def history(self, metrics: Mapping[str, float]) -> None:
        """One line in every logger, at the images seen so far."""
        if self.trainer.is_global_zero:
            for logger in self.trainer.loggers:
                logger.log_metrics(dict(metrics), step=self.images_seen)

    # Validation and test

    def validation_step(self, batch: Batch, index: int) -> None:
        self.measure(batch, index, "val")

    def test_step(self, batch: Batch, index: int) -> None:
        self.measure(batch, index, "test")

    def measure(self, batch: Batch, index: int, split: str) -> None:
        """Adds a batch to the split's sums: likelihood where there is one, else the loss."""
        model = self.eval_model
        labels = batch if model.conditional else Batch(batch.x)
        with isolated(self.seed, split, index), model.evaluating():
            if model.can("log_prob"):
                generator = stream(self.seed, split, index, device=self.device)
                values = -model.log_prob(labels, generator=generator)
                self.validation.add("nll", values)
            elif len(model.players) == 1:
                loss = model.loss(batch)
                self.validation.add("loss", loss.total.expand(len(batch.x)))
            if index == 0:
                for name, value in model.diagnostics(labels).items():
                    self.validation.add(name, torch.tensor([value]))

    def on_validation_start(self) -> None:
        self.validation_start = time.monotonic()

    def on_validation_end(self) -> None:
        self.window_pause += time.monotonic() - self.validation_start

    def on_validation_epoch_end(self) -> None:
        self.finish_measuring("val")

    def on_test_epoch_end(self) -> None:
        self.finish_measuring("test")

    def finish_measuring(self, split: str) -> None:
        """Logs the split's means under ``val/`` or ``test/``; likelihoods in nats and bits/dim."""
        metrics = self.validation.take(self.trainer.strategy, f"{split}/")
        if f"{split}/nll" in metrics:
            nats = metrics[f"{split}/nll"]
            metrics[f"{split}/loss"] = nats
            metrics[f"{split}/bpd"] = nats / (self.model.spec.dims * math.log(2))
        self.log_dict({k: torch.tensor(v) for k, v in metrics.items()}, logger=False)
        if split == "val" and not self.trainer.sanity_checking:
            self.validation_due = False
            self.schedule.observe(metrics)
            self.history(metrics)

    # Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["genlab"] = {
            "images_seen": self.images_seen,
            "steps": self.steps,
            "seconds": self.seconds,
            "schedule": self.schedule.state_dict(),
            "ema": self.ema.state_dict() if self.ema is not None else None,
            "window": self.window.state_dict(),
            "window_start": list(self.window_start),
            "validation_due": self.validation_due,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["genlab"]
        self.images_seen, self.steps = state["images_seen"], state["steps"]
        self.seconds = state["seconds"]
        self.schedule.load_state_dict(state["schedule"])
        self.window.load_state_dict(state["window"])
        self.window_start = tuple(state["window_start"])
        self.validation_due = state.get("validation_due", False)
        if self.ema is not None and state["ema"] is not None:
            self.ema.load_state_dict(state["ema"])
