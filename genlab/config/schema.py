"""The typed keys of a config that belong to no class: what the check holds it against.

A field is a key, its annotation the values allowed, a field without a default a key that must be
there. A dataclass as the annotation is a section of its own. Keys below a ``_target_`` are not
listed here: they are held against the signature of what it names.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from genlab.ranges import Fraction, NonNegativeInt, PositiveFloat, PositiveInt, Range

__all__ = ["Component", "Ema", "Evaluate", "Reconstruct", "Sample", "Train", "Trainer"]


class Component(dict[str, Any]):
    """A section with a ``_target_``, chosen by name: ``model=vae``."""


@dataclass(kw_only=True)
class Ema:
    """The moving average of the weights."""

    enabled: bool = True
    halflife: PositiveInt = 20000
    rampup: Fraction | None = 0.05
    every: PositiveInt = 4


@dataclass(kw_only=True)
class Trainer:
    """Budget, device and rhythm of a training run."""

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    devices: PositiveInt | list[int] | Literal["auto"] = 1
    strategy: str = "auto"
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true"] = "32-true"
    max_images: PositiveInt | None = None
    epochs: PositiveFloat | None = None
    max_time: PositiveFloat | str | None = None
    validate_every: PositiveInt | str = "1 epoch"
    log_every: PositiveInt | str = 5000
    chunk: PositiveInt = 16
    accumulate: PositiveInt = 1
    clip: PositiveFloat | None = None
    compile: bool | Literal["auto"] = False
    deterministic: bool | Literal["warn"] = False
    threads: PositiveInt | None = None
    profiler: Literal["simple", "advanced", "pytorch"] | None = None
    progress: bool = True


@dataclass(kw_only=True)
class Guard:
    """What counts as collapse, and what is done about it; see `genlab.training.guard.Guard`."""

    action: Literal["warn", "stop", "rollback"] = "warn"
    fd_factor: PositiveFloat = 2.0
    modes: Fraction = 0.5
    class_kl: PositiveFloat = 0.5
    skip: NonNegativeInt = 0
    rollbacks: NonNegativeInt = 3
    lr_factor: Fraction = 0.5


@dataclass(kw_only=True)
class Closing:
    """The evaluation of the best checkpoint when training ends."""

    n_samples: Annotated[int, Range(low=2)] | None = 10000
    likelihood_samples: PositiveInt = 1
    likelihood_images: PositiveInt | None = None


@dataclass(kw_only=True)
class Train:
    """``genlab train``."""

    model: Component
    data: Component
    optimizer: Component | dict[str, Component]
    scheduler: Component
    trainer: Trainer
    ema: Ema = field(default_factory=Ema)
    guard: Guard = field(default_factory=Guard)
    closing: Closing = field(default_factory=Closing)
    callbacks: dict[str, Component | None] | None = None
    logger: dict[str, Component | None] | None = None
    metrics: Any = None
    curriculum: Any = None
    modality: Component | None = None
    seed: NonNegativeInt = 0
    root: str = "runs"
    name: str | None = None
    run: str | None = None
    init_from: str | None = None
    freeze: list[str] = field(default_factory=list)
    group: str | None = None
    objective: str | list[str] | None = None
    tags: list[str] = field(default_factory=list)
    notes: str | None = None
    trust: list[str] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(kw_only=True)
class OfRun:
    """What every command that takes a trained run has."""

    root: str = "runs"
    checkpoint: Literal["best", "last"] = "best"
    weights: Literal["auto", "ema", "raw"] = "auto"
    device: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    seed: NonNegativeInt = 0
    trust: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Evaluate(OfRun):
    """``genlab evaluate``."""

    run: str | list[str] | None = None
    images: str | None = None
    data: Component | None = None
    metrics: Any = None
    split: Literal["test", "val"] = "test"
    seeds: PositiveInt = 1


@dataclass(kw_only=True)
class Sample(OfRun):
    """``genlab sample``."""

    run: str = "???"
    n: PositiveInt = 64
    label: NonNegativeInt | list[NonNegativeInt] | None = None
    temperature: PositiveFloat | None = None
    sampling: dict[str, Any] = field(default_factory=dict)
    task: Component
    keep: PositiveFloat = 0.5
    gif: bool = False
    frames: PositiveInt = 48
    batch: PositiveInt = 500
    out: str | None = None
    show: bool = False


@dataclass(kw_only=True)
class Reconstruct(OfRun):
    """``genlab reconstruct``."""

    run: str = "???"
    n: PositiveInt = 32
    split: Literal["test", "val", "train"] = "test"
    out: str | None = None
    show: bool = False
