"""Runs that are to be compared: their facts, numbers and configurations."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from genlab.comparison.flat import flat_config
from genlab.comparison.numbers import number_of_key
from genlab.metrics.base import Number

__all__ = ["ALIASES", "FACTS", "Leaderboard", "Measured", "RunRecord", "shown_key"]

FACTS = {
    "images_seen": "lower",
    "train_seconds": "lower",
    "parameters": "lower",
    "samples_per_second": "higher",
    "nfe": "lower",
}
"""Facts of a run that need no protocol and have no floor, and which way is better."""

ALIASES = {
    "seconds": "train_seconds",
    "images": "images_seen",
    "samples/s": "samples_per_second",
    "bits/dim": "bpd",
}
"""Titles of columns that may be typed for a key."""

COUNT = re.compile(r"_\d+k?$")
"""Suffix of a key that says of how many samples it is."""


def shown_key(key: str) -> str:
    """The title of a column."""
    return {value: name for name, value in ALIASES.items()}.get(key, key)


@dataclass(frozen=True)
class Measured:
    """A number of an evaluation report, with all that makes it what it is.

    Args:
        value: The number.
        number: What its metric says of it.
        floor: The same of real images against real ones, where that was measured.
        identity: What must be equal for two numbers to be comparable: data, split, the number of
            images, the extractor's weights, and the metric where it is none of genlab's.
        std: Standard deviation over training seeds (divisor n - 1), where it is a mean.
        runs: How many runs it is of.
        kind: Of a likelihood: ``exact``, which bound (``elbo``, ``iw1000``) or estimate (``ais``).
    """

    value: float
    number: Number
    floor: float | None
    identity: tuple[tuple[str, Any], ...]
    std: float | None = None
    runs: int = 1
    kind: str = ""


@dataclass(frozen=True)
class RunRecord:
    """A run, or runs of one configuration under several seeds.

    Args:
        path: Its directory, as it was found.
        name: What it is called here.
        facts: Model, data, seed, status, images seen, seconds, device ...
        metrics: The newest measurement under each key.
        setting: Hash of its config but for the seed and its names; empty where there is none.
        config_text: config.yaml as it was written.
        sweep: The sweep that it is a job of, as a path from where it was looked for.
        overrides: What the job sets.
        members: The runs that it is the mean of; the row itself if empty.
        sampling: The options of sampling that were not the family's defaults; a run's numbers with
            others are a row of their own.
    """

    path: Path
    name: str
    facts: dict[str, Any]
    metrics: dict[str, Measured] = field(default_factory=dict)
    setting: str = ""
    config_text: str = ""
    sweep: str | None = None
    overrides: tuple[str, ...] = ()
    members: tuple["RunRecord", ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)

    @property
    def runs(self) -> tuple["RunRecord", ...]:
        """The single runs."""
        return self.members or (self,)

    @property
    def suffix(self) -> str:
        """Part of its name about the sampling: `` [temperature=0.8]``, or nothing."""
        said = [f"{key}={value}" for key, value in self.sampling.items()]
        return f" [{' '.join(said)}]" if said else ""

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration by dotted keys, without secrets, and the options of sampling below
        ``sampling``; read when it is first asked for.

        Raises:
            ConfigError: It is damaged.
        """
        options = {f"sampling.{key}": value for key, value in self.sampling.items()}
        return flat_config(self.config_text, self.path) | options


@dataclass(frozen=True)
class Leaderboard:
    """All runs that were found.

    Args:
        rows: Those that can be read.
        damaged: Path and reason of those that cannot.
        notes: What else to say, a line each: jobs that are not done, seeds that do not compare.
    """

    rows: list[RunRecord]
    damaged: list[tuple[Path, str]]
    notes: list[str] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        """The metrics' keys, those of most runs first."""
        counts: dict[str, int] = {}
        for row in self.rows:
            for key in row.metrics:
                counts[key] = counts.get(key, 0) + 1
        return sorted(counts, key=lambda key: (-counts[key], key))

    def number(self, key: str) -> Number:
        """The number of a key, of this count or another, as reports say; else as its name does."""
        without = COUNT.sub("", key)
        for name in (key, *(known for known in self.keys if COUNT.sub("", known) == without)):
            for row in self.rows:
                if name in row.metrics:
                    return row.metrics[name].number
        return number_of_key(key)
