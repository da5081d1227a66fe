"""Facts of a number beside its value: its direction, its name in words, its place.

Reports say it themselves since format 2, as the metric's object did. Older ones and histories
without a report do not: there it is told from the key, by the names that there were at that time.
No new metric belongs into these tables.
"""

from dataclasses import dataclass
from math import inf
from typing import Any

__all__ = ["NumberFacts", "facts_of_key", "facts_of_value"]

OWN = 1
"""Rank of a number by the data's own extractor; those of two data sets go by name."""

OLD_RANKS = {"fid": 0, "fd_digits": OWN, "fd_fashion": OWN, "fd_": 2, "bpd": 3, "nll": 4}
OLD_SHOWN = ("fid", "fd", "prec", "recall")
OLD_HIGHER = ("cs_", "is_mean", "prec", "recall", "density", "coverage", "vendi", "modes")


@dataclass(frozen=True)
class NumberFacts:
    """A number as `genlab.metrics.base.Number` and a report describe it.

    Args:
        number: What its keys begin with: ``fd``, ``fid``.
        better: ``lower``, ``higher``, or None where neither is.
        extractor: Name of the extractor, empty where there is none.
        label: What it is, in words.
        unit: What it is counted in.
        rank: Place among the numbers that rank where none is named.
        shown: Whether a leaderboard has a column for it.
    """

    number: str
    better: str | None
    extractor: str = ""
    label: str = ""
    unit: str = ""
    rank: int | None = None
    shown: bool = False

    @property
    def order(self) -> tuple[float, str]:
        """A key to sort by, the number that should rank first."""
        return (inf if self.rank is None else self.rank), self.extractor * (self.rank == OWN)

    @property
    def text(self) -> str:
        """Label, unit and direction in one line; empty where there is no label."""
        unit = f" ({self.unit})" if self.unit else ""
        way = f", {self.better} is better" if self.better else ""
        return f"{self.label}{unit}{way}" if self.label else ""


def facts_of_value(value: dict[str, Any]) -> NumberFacts:
    """The facts that an entry of a report's ``values`` tells."""
    better = value["better"] if value["better"] in ("lower", "higher") else None
    extractor = str(value.get("extractor", ""))
    if "number" not in value:
        old = facts_of_key(str(value["key"]))
        return NumberFacts(old.number, better, extractor, rank=old.rank, shown=old.shown)
    return NumberFacts(
        str(value["number"]),
        better,
        extractor,
        str(value["label"]),
        str(value["unit"]),
        None if value["rank"] is None else int(value["rank"]),
        bool(value["shown"]),
    )


def facts_of_key(key: str) -> NumberFacts:
    """The facts that the key of one of genlab's own numbers tells.

    Example:
        >>> facts_of_key("fd_digits_2k").rank, facts_of_key("cs_digits_2k").better
        (1, 'higher')
    """
    number, _, rest = key.partition("_")
    return NumberFacts(
        number,
        "higher" if key.startswith(OLD_HIGHER) else "lower",
        rest.partition("_")[0],
        rank=next((rank for start, rank in OLD_RANKS.items() if key.startswith(start)), None),
        shown=number in OLD_SHOWN,
    )
