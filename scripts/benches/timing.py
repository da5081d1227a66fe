"""Interleaved timing: A B A B ..., medians, CPU time beside wall time; and sizes beside limits."""

import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

__all__ = [
    "Bench",
    "Gauges",
    "Missing",
    "Row",
    "Spent",
    "Variant",
    "clock",
    "cpu_seconds",
    "interleave",
    "settled",
]

BASIS: Literal["cpu", "wall"] = "cpu"
"""What costs are compared by: on a GPU, the process's CPU time says nothing about its work."""


@dataclass(frozen=True)
class Spent:
    """What some work cost.

    Args:
        cpu: CPU seconds of the process, over all its threads, and of workers that it ended.
        wall: Seconds on the clock, which other work on the machine lengthens.
        units: How much work it was: images, steps, or 1.
    """

    cpu: float
    wall: float
    units: float


@dataclass(frozen=True)
class Variant:
    """One way of doing the work of a bench."""

    name: str
    run: Callable[[], Spent]


@dataclass(frozen=True)
class Missing:
    """A way that cannot be measured here, and why."""

    name: str
    why: str


@dataclass
class Row:
    """What was measured of a variant."""

    name: str
    runs: list[Spent] = field(default_factory=list)
    why: str | None = None

    @property
    def costs(self) -> list[float]:
        """Seconds of a unit, CPU or wall, run by run."""
        return [getattr(run, BASIS) / run.units for run in self.runs]

    @property
    def cost(self) -> float:
        """Median seconds of a unit."""
        return statistics.median(self.costs)

    @property
    def cpu(self) -> float:
        """Median CPU seconds of a unit."""
        return statistics.median(run.cpu / run.units for run in self.runs)

    @property
    def wall(self) -> float:
        """Median seconds of a unit on the clock."""
        return statistics.median(run.wall / run.units for run in self.runs)

    @property
    def spread(self) -> float:
        """Half the range of the costs, as a share of the median."""
        return (max(self.costs) - min(self.costs)) / 2 / self.cost


@dataclass(frozen=True)
class Bench:
    """Variants of one piece of work.

    Args:
        name: Name of the bench.
        unit: What is counted: ``images``, ``calls``.
        make: The variants; called when the bench's turn has come.
        goals: By pairs of variants (fast, slow), how many times the fast one is to be faster.
    """

    name: str
    unit: str
    make: Callable[[], Sequence[Variant | Missing]]
    goals: dict[tuple[str, str], float] = field(default_factory=dict)

    def measure(self, repeats: int, say: Callable[[str], None]) -> dict[str, Any]:
        """Times all variants in turn, and says what came out as plain data."""
        made = list(self.make())
        rows = interleave([v for v in made if isinstance(v, Variant)], repeats, say)
        rows += [Row(v.name, why=v.why) for v in made if isinstance(v, Missing)]
        costs = {row.name: row.cost for row in rows if row.runs}
        ratios = []
        for (fast, slow), goal in self.goals.items():
            if fast in costs and slow in costs:
                ratio = costs[slow] / costs[fast]
                ratios.append({"fast": fast, "slow": slow, "ratio": ratio, "goal": goal})
        return {
            "name": self.name,
            "unit": self.unit,
            "repeats": repeats,
            "rows": [
                {"name": row.name, "why": row.why}
                if not row.runs
                else {
                    "name": row.name,
                    "per_cpu_second": 1 / row.cpu,
                    "per_second": 1 / row.wall,
                    "spread": row.spread,
                }
                for row in rows
            ],
            "ratios": ratios,
        }


@dataclass(frozen=True)
class Gauges:
    """Figures that are no rates: memory, and times that no other program is held against.

    Args:
        name: Name of the bench.
        make: Measures: figures by name, each with its unit.
        limits: By the name of a figure, what it is not to exceed.
    """

    name: str
    make: Callable[[Callable[[str], None]], dict[str, tuple[float, str]]]
    limits: dict[str, float] = field(default_factory=dict)

    def measure(self, repeats: int, say: Callable[[str], None]) -> dict[str, Any]:
        """Measures once, whatever the repeats: what is measured repeats itself where it must."""
        found = self.make(say)
        return {
            "name": self.name,
            "figures": [
                {"name": name, "value": value, "unit": unit, "limit": self.limits.get(name)}
                for name, (value, unit) in found.items()
            ],
            "rows": [],
            "ratios": [],
        }


def interleave(variants: Sequence[Variant], repeats: int, say: Callable[[str], None]) -> list[Row]:
    """Runs each variant once to warm up, then all in turn, so many times.

    So a busy minute of the machine hits all variants, and no cache favours the last.
    """
    rows = [Row(variant.name) for variant in variants]
    for i in range(repeats + 1):
        for variant, row in zip(variants, rows, strict=True):
            say(f"{variant.name}: {'warm-up' if i == 0 else f'{i} of {repeats}'}")
            spent = variant.run()
            if i:
                row.runs.append(spent)
    return rows


def clock(work: Callable[[], object], units: float = 1) -> Spent:
    """What a piece of work costs."""
    settled()
    wall, cpu = time.perf_counter(), cpu_seconds()
    work()
    settled()
    return Spent(cpu_seconds() - cpu, time.perf_counter() - wall, units)


def cpu_seconds() -> float:
    """CPU seconds of this process and of its children that have ended, as a loader's workers do."""
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def settled() -> None:
    """Returns when a GPU, if one is in use, has done all that it was told to do."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
