"""Learning-rate schedules: the factor on the base rate as a function of the share of the run done.

The unit of progress is images seen, so a schedule is the same curve whatever the batch size, the
chunk size, or the number of optimizers.
"""

import math
from abc import ABC, abstractmethod
from typing import Any

from genlab.errors import ConfigError
from genlab.ranges import NonNegativeInt, PositiveFloat, Probability

__all__ = [
    "Constant",
    "Cosine",
    "Linear",
    "OneCycle",
    "Plateau",
    "RobbinsMonro",
    "Schedule",
    "Step",
    "WarmupCosine",
]


class Schedule(ABC):
    """A factor on the learning rate."""

    needs_end: bool = True
    """True if the schedule must know when the run ends (max_images or epochs)."""

    @abstractmethod
    def factor(self, share: float) -> float:
        """The factor when this share of the run, from 0 to 1, is done."""

    def factor_at(self, images_seen: int, end: int | None, steps: int) -> float:
        """The factor at a point of a run; most schedules go by the share of the images alone.

        Args:
            images_seen: So far.
            end: Images at which the run ends, None if only time ends it.
            steps: Optimizer steps so far.
        """
        return self.factor(images_seen / (end or math.inf))

    def observe(self, metrics: dict[str, float]) -> None:
        """Takes note of the validation's metrics; only a plateau needs them."""
        return

    def state_dict(self) -> dict[str, Any]:
        """The state that resuming needs."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resumes from a kept state."""
        return


class Constant(Schedule):
    """Always 1."""

    needs_end = False

    def factor(self, share: float) -> float:
        return 1.0


class Linear(Schedule):
    """A straight line from 1 to ``end``.

    Example:
        >>> Linear(end=0.0).factor(0.25)
        0.75
    """

    def __init__(self, end: Probability = 0.01):
        self.end = end

    def factor(self, share: float) -> float:
        return 1 + (self.end - 1) * min(max(share, 0.0), 1.0)


class RobbinsMonro(Schedule):
    """(t + offset)^-power after t optimizer steps (Robbins and Monro 1951).

    For a power above 1/2 and up to 1 its sum diverges and that of its squares does not, which is
    what stochastic approximation needs; stepwise EM is one (Cappé and Moulines 2009).

    Args:
        power: How quickly it falls.
        offset: Steps that count as done before the first.

    Example:
        >>> RobbinsMonro(power=1.0, offset=2).factor_at(images_seen=800, end=None, steps=8)
        0.1
    """

    needs_end = False

    def __init__(self, power: Probability = 0.6, offset: PositiveFloat = 100.0):
        self.power = power
        self.offset = offset

    def factor(self, share: float) -> float:
        return self.factor_at(0, None, 0)

    def factor_at(self, images_seen: int, end: int | None, steps: int) -> float:
        return float(max(1.0, steps + self.offset) ** -self.power)


class Cosine(Schedule):
    """Half a cosine from 1 to ``end`` (Loshchilov and Hutter 2017, eq. 5 without restarts).

    Example:
        >>> Cosine(end=0.0).factor(0.5)
        0.5
    """

    def __init__(self, end: Probability = 0.01):
        self.end = end

    def factor(self, share: float) -> float:
        return blend(1.0, self.end, share)


class WarmupCosine(Schedule):
    """A linear rise over the share ``warmup`` of the run, then half a cosine down to ``end``."""

    def __init__(self, warmup: Probability = 0.02, end: Probability = 0.01):
        self.warmup = warmup
        self.end = end

    def factor(self, share: float) -> float:
        if share < self.warmup:
            return max(share / self.warmup, 1e-3)  # the first step moves, too
        return blend(1.0, self.end, (share - self.warmup) / max(1 - self.warmup, 1e-12))


class Step(Schedule):
    """Multiplied by ``factor`` at each of the given shares of the run."""

    def __init__(self, at: list[Probability], factor: PositiveFloat = 0.1):
        self.at = list(at)
        self.by = factor

    def factor(self, share: float) -> float:
        return float(self.by ** sum(share >= point for point in self.at))


class OneCycle(Schedule):
    """From ``start`` up to 1 at the share ``peak`` and down to ``end`` (Smith and Topin 2018)."""

    def __init__(self, start: Probability = 0.04, peak: Probability = 0.3, end: Probability = 1e-4):
        self.start = start
        self.peak = peak
        self.end = end

    def factor(self, share: float) -> float:
        if share < self.peak:
            return blend(self.start, 1.0, share / self.peak)
        return blend(1.0, self.end, (share - self.peak) / max(1 - self.peak, 1e-12))


class Plateau(Schedule):
    """Multiplied by ``factor`` after ``patience`` validations in a row without improvement.

    Args:
        monitor: The validation metric to watch; smaller is better.
        factor: What the rate is multiplied by.
        patience: Validations without improvement that are put up with.
        threshold: Relative improvement below which a validation counts as none.

    Raises:
        ConfigError: The metric is not among those of the validation.
    """

    needs_end = False

    def __init__(
        self,
        monitor: str = "val/loss",
        factor: Probability = 0.5,
        patience: NonNegativeInt = 3,
        threshold: Probability = 1e-4,
    ):
        self.monitor = monitor
        self.by = factor
        self.patience = patience
        self.threshold = threshold
        self.best = math.inf
        self.waited = 0
        self.scale = 1.0

    def factor(self, share: float) -> float:
        return self.scale

    def observe(self, metrics: dict[str, float]) -> None:
        if self.monitor not in metrics:
            raise ConfigError(
                f"scheduler.monitor={self.monitor}: the validation has {', '.join(sorted(metrics))}"
            )
        value = metrics[self.monitor]
        if value < self.best - self.threshold * abs(self.best if self.best < math.inf else 0.0):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.scale, self.waited = self.scale * self.by, 0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "scale": self.scale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.waited, self.scale = state["best"], state["waited"], state["scale"]


def blend(start: float, end: float, share: float) -> float:
    """From ``start`` to ``end`` along half a cosine."""
    share = min(max(share, 0.0), 1.0)
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
