"""The typed records of the commands' configs: their keys and the values allowed.

A field is a key, its annotation the values allowed; a record as the annotation is a section of its
own. Sections with a ``_target_`` are not spelled out here: they are held against the signature of
what they name, and stay plain dictionaries.

Defaults stand in the YAML files alone, and a field without one must be in the config. A default
here is for a key that configs lack which were saved before the key was there: it is what the
program did at that time, and no run began with it since.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, Self, get_type_hints

from genlab.ranges import Fraction, NonNegativeInt, PositiveFloat, PositiveInt, Range

__all__ = [
    "Closing",
    "Component",
    "Compress",
    "Decompress",
    "Detect",
    "Ema",
    "Evaluate",
    "Guard",
    "Reconstruct",
    "Record",
    "Sample",
    "Train",
    "Trainer",
]

Component = Annotated[dict[str, Any], "component"]
"""A section with a ``_target_``, chosen by name: ``model=vae``."""


@dataclass(kw_only=True)
class Record:
    """A checked config, or a section of it: plain Python with every value resolved."""

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """The record of a mapping that the check found right."""
        records = {
            key: kind
            for key, kind in get_type_hints(cls).items()
            if isinstance(kind, type) and issubclass(kind, Record)
        }
        return cls(
            **{
                key: records[key].of(value)
                if key in records and isinstance(value, Mapping)
                else value
                for key, value in content.items()
            }
        )

    @property
    def content(self) -> dict[str, Any]:
        """The whole of it as dictionaries and lists, as a run keeps it in its config.yaml."""
        return asdict(self)


@dataclass(kw_only=True)
class Ema(Record):
    """The moving average of the weights."""

    enabled: bool
    halflife: PositiveInt
    rampup: Fraction | None
    every: PositiveInt = 1  # the average followed every step


@dataclass(kw_only=True)
class Trainer(Record):
    """Budget, device and intervals of a training run."""

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"]
    devices: PositiveInt | list[int] | Literal["auto"]
    strategy: str
    precision: Literal["32-true", "bf16-mixed", "16-mixed"]
    max_images: PositiveInt | None
    epochs: PositiveFloat | None
    max_time: PositiveFloat | str | None
    validate_every: PositiveInt | str
    log_every: PositiveInt | str
    chunk: PositiveInt
    accumulate: PositiveInt
    clip: PositiveFloat | None
    compile: bool | Literal["auto"] = False
    deterministic: bool | Literal["warn"]
    threads: PositiveInt | None
    profiler: Literal["simple", "advanced", "pytorch"] | None
    progress: bool


@dataclass(kw_only=True)
class Guard(Record):
    """Signs of collapse, and the action on them; see `genlab.training.guard.Guard`."""

    action: Literal["warn", "stop", "rollback"] = "warn"
    fd_factor: PositiveFloat = 2.0
    modes: Fraction = 0.5
    class_kl: PositiveFloat = 0.5
    skip: NonNegativeInt = 0
    rollbacks: NonNegativeInt = 3
    lr_factor: Fraction = 0.5


@dataclass(kw_only=True)
class Closing(Record):
    """The evaluation of the best checkpoint when training ends."""

    n_samples: Annotated[int, Range(low=2)] | None
    likelihood_samples: PositiveInt
    likelihood_images: PositiveInt | None


@dataclass(kw_only=True)
class Train(Record):
    """``genlab train``."""

    model: Component
    data: Component
    optimizer: Component | dict[str, Component]
    scheduler: Component
    trainer: Trainer
    ema: Ema
    guard: Guard = field(default_factory=Guard)
    closing: Closing
    callbacks: dict[str, Component | None] | None
    logger: dict[str, Component | None] | None
    metrics: Component
    curriculum: Component | None
    modality: Component | None = None  # what belongs to the kind of the data
    parts: dict[str, Any] | None = None  # the models of other runs, as they were found
    seed: NonNegativeInt
    root: str
    name: str | None
    run: str | None
    places: dict[str, str] = field(default_factory=dict)  # of a resumed run's data, if they moved
    init_from: str | None
    freeze: list[str]
    group: str | None
    objective: str | list[str] | None = None
    tags: list[str]
    notes: str | None
    trust: list[str]

    @property
    def intervals(self) -> dict[str, int | str]:
        """The keys that say how often something is done, and what they say."""
        found = {f"trainer.{k}": getattr(self.trainer, k) for k in ("validate_every", "log_every")}
        for name, section in (self.callbacks or {}).items():
            if section is not None and "every" in section:
                found[f"callbacks.{name}.every"] = section["every"]
        return found


@dataclass(kw_only=True)
class OfRun(Record):
    """Keys of every command that takes a trained run, ``run``."""

    root: str
    places: dict[str, str] = field(default_factory=dict)  # of the run's data, if they have moved
    checkpoint: Literal["best", "last"]
    weights: str  # auto, ema, raw, ema:WIDTH; see `genlab.experiment.chosen_weights`
    device: Literal["auto", "cpu", "gpu", "mps"]
    seed: NonNegativeInt
    trust: list[str]


@dataclass(kw_only=True)
class Evaluate(OfRun):
    """``genlab evaluate``."""

    run: str | list[str] | None
    images: str | None
    data: Component | None = None  # `data` is in the config only if one was chosen
    metrics: Component
    split: Literal["test", "val"]
    seeds: PositiveInt
    sampling: dict[str, Any]


@dataclass(kw_only=True)
class Sample(OfRun):
    """``genlab sample``."""

    run: str
    n: PositiveInt
    label: NonNegativeInt | str | list[NonNegativeInt | str] | None
    temperature: PositiveFloat | None
    sampling: dict[str, Any]
    task: Component
    keep: PositiveFloat
    gif: bool
    frames: PositiveInt
    batch: PositiveInt
    out: str | None
    show: bool


@dataclass(kw_only=True)
class Reconstruct(OfRun):
    """``genlab reconstruct``."""

    run: str
    n: PositiveInt
    split: Literal["test", "val", "train"]
    out: str | None
    show: bool


@dataclass(kw_only=True)
class Detect(OfRun):
    """``genlab detect``."""

    run: str
    images: str | None
    vs: list[str]
    score: Literal["residual", "nll", "typical", "complexity"]
    alpha: Annotated[float, Range(low=0, high=1, open_low=True, open_high=True)]
    n: PositiveInt
    likelihood_samples: PositiveInt
    out: str | None


@dataclass(kw_only=True)
class Compress(OfRun):
    """``genlab compress``."""

    run: str
    images: str | None
    n: PositiveInt
    out: str
    codec: Literal["fast", "portable"]
    batch: PositiveInt
    verify: bool


@dataclass(kw_only=True)
class Decompress(OfRun):
    """``genlab decompress``."""

    run: str
    file: str
    out: str
