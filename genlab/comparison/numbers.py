"""Numbers of reports as their metrics describe them: direction, label, rank.

Reports of format 1 and histories without a report do not say it: there it is told from the key, by
the names of that time. No new metric belongs into these tables.
"""

from dataclasses import replace
from math import inf
from typing import Any

from genlab.metrics.base import Number

__all__ = ["number_of_key", "number_of_value", "order"]

OWN = 1
"""Rank of a number by the data's own extractor."""

OLD_RANKS = {"fid": 0, "fd_digits": OWN, "fd_fashion": OWN, "fd_": 2, "bpd": 3, "nll": 4}
OLD_SHOWN = ("fid", "fd", "prec", "recall")
OLD_HIGHER = ("cs_", "is_mean", "prec", "recall", "density", "coverage", "vendi", "modes")


def number_of_value(value: dict[str, Any]) -> Number:
    """The number of an entry of a report's ``values``."""
    if value.get("number"):
        return Number(**value["number"])
    better = value["better"] if value["better"] in ("lower", "higher") else None
    return replace(number_of_key(str(value["key"])), better=better)


def number_of_key(key: str) -> Number:
    """The number of a key, where it is one of genlab's.

    Example:
        >>> number_of_key("fd_digits_2k").rank, number_of_key("cs_digits_2k").better
        (1, 'higher')
    """
    name = key.partition("_")[0]
    return Number(
        name,
        "higher" if key.startswith(OLD_HIGHER) else "lower",
        rank=next((rank for start, rank in OLD_RANKS.items() if key.startswith(start)), None),
        shown=name in OLD_SHOWN,
    )


def order(number: Number, key: str) -> tuple[float, list[str]]:
    """A key to sort by, what should rank first; extractors of two data sets go by their names."""
    return inf if number.rank is None else number.rank, key.split("_")[1:2] * (number.rank == OWN)
