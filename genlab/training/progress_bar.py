"""Progress bar of training: a live line on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar as Bar
from rich.table import Table
from rich.text import Text

from genlab.ranges import PositiveFloat

__all__ = ["Progress"]


class Progress(pl.callbacks.ProgressBar):
    """Images per second, time left and losses, updated once a chunk at most.

    It reads attributes of the Lightning module: ``images_seen``, ``max_images`` (None where only
    time ends the run), ``latest`` (the last logged line) and, where there are such, ``seconds``
    (of training so far) and ``max_seconds``.

    Args:
        interval: Seconds between two updates on a terminal.
        plain_interval: Seconds between two lines where there is no terminal.
    """

    def __init__(self, interval: PositiveFloat = 0.5, plain_interval: PositiveFloat = 10.0):
        super().__init__()
        self.interval = interval
        self.plain_interval = plain_interval
        self.enabled = True
        self.live: Live | None = None
        self.phase = "train"
        self.due = 0.0
        self.rate = 0.0
        self.measured = (0.0, 0)

    def disable(self) -> None:
        """Shows nothing; Lightning does so in all processes but the first."""
        self.enabled = False

    def enable(self) -> None:
        """Shows progress again."""
        self.enabled = True

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Prints above the live line."""
        print(*args, **kwargs)

    # ------------------------------------------------------------------------------------------
    # Hooks

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not self.enabled:
            return
        now = time.monotonic()
        self.measured, self.rate, self.phase = (now, _images(module)), 0.0, "train"
        console = Console(file=sys.stderr)
        if console.is_terminal and not console.is_dumb_terminal:
            self.due = now + self.interval
            self.live = Live(console=console, auto_refresh=False, transient=True)
            self.live.start()
        else:
            self.due = now + min(2.0, self.plain_interval)  # an early sign of life

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        # The last line is left to the end of training, when the last losses are known.
        if self.enabled and time.monotonic() >= self.due and fraction_done(module) != 1.0:
            self._update(module)

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._change_phase(module, "validate")

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        # What a validation takes is no throughput of training.
        self.measured = (time.monotonic(), _images(module))
        self._change_phase(module, "train")

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.enabled and self.live is None:
            self._update(module)
        self._stop()

    def on_exception(
        self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._stop()

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        self._stop()

    # ------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        live, self.live = self.live, None
        if live is not None:
            live.stop()

    def _change_phase(self, module: pl.LightningModule, phase: str) -> None:
        self.phase = phase
        if self.live is not None:
            self._update(module)

    def _update(self, module: pl.LightningModule) -> None:
        now, images = time.monotonic(), _images(module)
        seconds, seen = now - self.measured[0], images - self.measured[1]
        if seen > 0 and seconds > 0.05:
            rate = seen / seconds
            # Half of it is the past: steady for a reader, and it follows a change in seconds.
            self.rate = rate if self.rate == 0 else (self.rate + rate) / 2
            self.measured = (now, images)
        if self.live is not None:
            self.due = now + self.interval
            self.live.update(self._row(module, images, self.live.console.width), refresh=True)
        else:
            self.due = now + self.plain_interval
            print(self._line(module, images), file=sys.stderr, flush=True)

    def _line(self, module: pl.LightningModule, images: int) -> str:
        goal = getattr(module, "max_images", None)
        count = f"{images:,}" + (f"/{goal:,}" if goal else "") + " images"
        parts = [self.phase, count, f"{self.rate:,.0f} images/s"]
        left = remaining(module, self.rate)
        if left:
            parts.append(f"{duration(left)} left")
        losses = key_losses(getattr(module, "latest", {}))
        if losses:
            parts.append(losses)
        return "  ".join(parts)

    def _row(self, module: pl.LightningModule, images: int, width: int) -> Table:
        """The line with a bar in front, which gives way where the terminal is narrow."""
        done = fraction_done(module)
        text = self._line(module, images).split("  ", 1)[1]
        room = min(24, width - len(text) - 12)
        row = Table.grid(padding=(0, 1))
        cells = [Text(f"{self.phase:<8}", style="bold")]
        if done is not None and room >= 6:
            row.add_row(*cells, Bar(total=1.0, completed=done, width=room), Text(text))
        else:
            row.add_row(*cells, Text(text, no_wrap=True, overflow="ellipsis"))
        return row


def _images(module: pl.LightningModule) -> int:
    images: int = module.images_seen  # type: ignore[assignment]
    return images


def fraction_done(module: Any) -> float | None:
    """Fraction of the run that is done, by whichever of its limits comes first; None if unknown."""
    fractions = []
    if getattr(module, "max_images", None):
        fractions.append(module.images_seen / module.max_images)
    if getattr(module, "max_seconds", None):
        fractions.append(module.seconds / module.max_seconds)
    return min(1.0, max(fractions)) if fractions else None


def remaining(module: Any, rate: float) -> float | None:
    """Seconds until the run ends, by whichever of its limits comes first; None if unknown."""
    left = []
    if getattr(module, "max_images", None) and rate > 0:
        left.append((module.max_images - module.images_seen) / rate)
    if getattr(module, "max_seconds", None):
        left.append(module.max_seconds - module.seconds)
    return max(0.0, min(left)) if left else None


def key_losses(latest: Mapping[str, float], count: int = 3) -> str:
    """The first numbers of the last logged line, the loss before its parts.

    Example:
        >>> key_losses({"train/rate": 20.1234, "train/loss": 98.7654, "train/distortion": 78.6})
        'loss 98.77  rate 20.12  distortion 78.6'
    """
    names = sorted(latest, key=lambda name: name.rsplit("/", 1)[-1] != "loss")
    short = {name: name.removeprefix("train/") for name in names}
    return "  ".join(f"{short[name]} {latest[name]:.4g}" for name in names[:count])


def duration(seconds: float) -> str:
    """A duration as h:mm:ss.

    Example:
        >>> duration(75), duration(3725)
        ('1:15', '1:02:05')
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
