"""Report of an evaluation: every number with what it takes to trust it."""

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from torch import Tensor

from genlab.metrics.base import Number

__all__ = ["Panel", "Report", "Value"]

FORMAT = 3
"""Since 2, a value has `Value.number` and `Value.metric_id`; since 3, a report has `sampling`."""


@dataclass(frozen=True)
class Value:
    """A measured number with its key.

    Args:
        key: What it is: metric, extractor, sample count where unusual; ``fd_digits_2k``.
        value: The number; the mean over seeds where there are several.
        better: ``lower``, ``higher``, or None where neither is.
        n: Samples (or images, for a likelihood) that it is of.
        split: The split of real images that it was compared with or evaluated on.
        floor: The same number of real test images in the samples' place: what is reachable.
        floor_n: How many test images that were.
        std: Standard deviation over seeds of sampling (divisor n - 1), where there are several.
        low: Lower end of a 95 % bootstrap interval over images.
        high: Its upper end.
        extractor: Name of the extractor, empty for a likelihood.
        extractor_id: sha256 of its weights: numbers of different ones do not compare.
        seconds: How long it took, features aside.
        metric_id: `Metric.id`: numbers of different ones do not compare, either.
        number: What its metric says of it; None in reports of format 1.
    """

    key: str
    value: float
    better: str | None
    n: int
    split: str
    floor: float | None = None
    floor_n: int | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    extractor: str = ""
    extractor_id: str = ""
    seconds: float = 0.0
    metric_id: str = ""
    number: Number | None = None


@dataclass(frozen=True)
class Panel:
    """Samples and their nearest training images, the nearest copies first.

    Args:
        samples: uint8 ``(n, C, H, W)``.
        neighbours: int64 ``(n, k)``, indices into the training images.
        distances: ``(n, k)``, in the extractor's features.
        picture: uint8 ``(C, n * H, (1 + k) * W)``, each sample left of its neighbours.
    """

    samples: Tensor
    neighbours: Tensor
    distances: Tensor
    picture: Tensor


@dataclass
class Report:
    """The numbers of one evaluation.

    Args:
        data: Name of the data set.
        fingerprint: sha256 of its contents.
        weights: ``ema`` or ``raw`` weights of the model, or ``images`` for a folder of images.
        seed: Seed of the samples.
        seeds: How many times they were drawn.
        batch: Images drawn at once.
        seconds: Of the whole evaluation.
        values: The numbers.
        panel: Samples beside their nearest training images, where memorization was measured.
        device: Where the samples were drawn.
        samples_per_second: How quickly, in batches of that size, the first one included; None where
            none were drawn.
        nfe: Passes of a network, one after the other, that a sample took; None as above.
        sampling: Options of sampling that were not the family's defaults, and what else was not:
            another checkpoint, other weights, another split.
    """

    data: str
    fingerprint: str
    weights: str
    seed: int = 0
    seeds: int = 1
    batch: int = 0
    seconds: float = 0.0
    values: list[Value] = field(default_factory=list)
    panel: Panel | None = None
    device: str = ""
    samples_per_second: float | None = None
    nfe: int | None = None
    sampling: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, key: str) -> float:
        """The number of that key."""
        return self.value(key).value

    def __contains__(self, key: str) -> bool:
        return any(value.key == key for value in self.values)

    def value(self, key: str) -> Value:
        """The `Value` of that key.

        Raises:
            KeyError: There is none.
        """
        for value in self.values:
            if value.key == key:
                return value
        raise KeyError(f"{key}: this report has {', '.join(v.key for v in self.values)}")

    def scalars(self) -> dict[str, float]:
        """``key: value`` and ``floor_key: floor``, for loggers and for a monitor."""
        scalars = {}
        for value in self.values:
            scalars[value.key] = value.value
            if value.floor is not None:
                scalars[f"floor_{value.key}"] = value.floor
        return scalars

    def to_dict(self) -> dict[str, Any]:
        """Plain data, with what is not finite as a string."""

        def plain(x: Any) -> Any:
            return str(x) if isinstance(x, float) and not math.isfinite(x) else x

        fields = {k: v for k, v in self.__dict__.items() if k not in ("values", "panel")}
        values = [{k: plain(v) for k, v in asdict(value).items()} for value in self.values]
        return {"format": FORMAT, **fields, "values": values}

    def to_json(self) -> str:
        """Strict JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """The report that `to_json` wrote, without the panel."""
        data = json.loads(text)
        if data.pop("format") > FORMAT:
            raise ValueError("this report was written by a newer genlab")
        values = []
        for entry in data.pop("values"):
            numbers = ("value", "floor", "std", "low", "high")
            parsed: dict[str, Any] = {k: float(entry[k]) for k in numbers if entry[k] is not None}
            if entry.get("number"):
                parsed["number"] = Number(**entry["number"])
            values.append(Value(**{**entry, **parsed}))
        return cls(**data, values=values)

    def table(self) -> Table:
        """For the terminal: value, floor, n, split and seconds; extractors and weights below."""
        # What all numbers share
        known = {f"{v.extractor} {v.extractor_id[:8]}" for v in self.values if v.extractor}
        facts = [*sorted(known), f"weights {self.weights}", f"seed {self.seed}"]
        facts += [f"{key} {value}" for key, value in self.sampling.items()]
        if self.seeds > 1:
            facts.append(f"± of {self.seeds} draws")
        if any(v.low is not None for v in self.values):
            facts.append("likelihood ± at 95 %")
        table = Table(
            title=f"{self.data} {self.fingerprint[:8]}",
            caption=" · ".join([*facts, f"{self.seconds:.1f} s"]),
            box=SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=True,
        )
        for name in ("metric", "", "value", "±", "floor", "n", "split", "s"):
            side = "left" if name in ("metric", "", "split") else "right"
            table.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]
        # A row a number
        for v in self.values:
            spread = v.std
            if v.low is not None and v.high is not None:
                spread = (v.high - v.low) / 2
            table.add_row(
                v.key,
                {"lower": "↓", "higher": "↑"}.get(v.better or "", ""),
                f"{v.value:.4g}",
                "" if spread is None else f"{spread:.2g}",
                "" if v.floor is None else f"{v.floor:.4g}",
                str(v.n),
                v.split,
                f"{v.seconds:.1f}",
            )
        return table
