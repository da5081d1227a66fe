"""Configurations side by side: the keys in which runs differ, and conditions on them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from genlab.comparison.flat import ABSENT, OWN, shown_value
from genlab.comparison.leaderboard import Leaderboard, RunRecord
from genlab.errors import ConfigError, nearest

__all__ = ["differing", "where"]


def differing(rows: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """The keys under which configurations differ, each with a value a row (or `ABSENT`).

    The model's and the data's own come first, in the order of the files.
    """
    configs = [row.config for row in rows]
    keys = dict.fromkeys(key for config in configs for key in config)
    found = {}
    for key in keys:
        if key.split(".")[0] in OWN:
            continue
        values = [config.get(key, ABSENT) for config in configs]
        if any(repr(value) != repr(values[0]) for value in values):
            found[key] = values
    first = ("model", "data", "optimizer")
    order = {part: i for i, part in enumerate(first)}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0].split(".")[0], 9)))


def where(board: Leaderboard, conditions: Sequence[str]) -> Leaderboard:
    """The runs that meet all conditions.

    Args:
        board: All runs.
        conditions: ``key=value`` or ``key=value,value``; the key is ``model``, ``data``, ``seed``,
            ``status``, ``sweep`` or a dotted key of the configuration.

    Raises:
        ConfigError: No equals sign, a key that no run has, or a value that none has.
    """
    rows = list(board.rows)
    for condition in conditions:
        key, equals, wanted = condition.partition("=")
        if not equals or not key or not wanted:
            raise ConfigError(f"--where {condition}: KEY=VALUE is expected, such as model=vae")
        values = [_value(row, key) for row in board.rows]
        if all(value is ABSENT for value in values):
            known = [*NAMED, *dict.fromkeys(key for row in board.rows for key in row.config)]
            hint = nearest(key, known) or f"; there are {', '.join(NAMED)} and keys of the configs"
            raise ConfigError(f"--where {condition}: no run has the key {key}{hint}")
        chosen = [_plain(word) for word in re.split(r",(?![^\[]*\])", wanted)]
        there = {id(row): value for row, value in zip(board.rows, values, strict=True)}
        if not any(_plain(shown_value(value)) in chosen for value in values):
            some = list(dict.fromkeys(shown_value(v) for v in values if v is not ABSENT))
            more = f", ... ({len(some)} in all)" if len(some) > 12 else ""
            raise ConfigError(
                f"--where {condition}: no run has this value; there are "
                f"{', '.join(some[:12])}{more}"
            )
        rows = [row for row in rows if _plain(shown_value(there[id(row)])) in chosen]
    if not rows and conditions:
        raise ConfigError(f"--where {' '.join(conditions)}: no run meets all of it")
    return replace(board, rows=rows)


NAMED = ("model", "data", "seed", "status", "sweep")


def _value(row: RunRecord, key: str) -> Any:
    if key == "sweep":
        return row.sweep if row.sweep is not None else ABSENT
    if key in NAMED:
        value = row.facts.get(key)
        return ABSENT if value is None else value
    try:
        return row.config.get(key, ABSENT)
    except ConfigError:
        return ABSENT


def _plain(text: str) -> Any:
    """A value to compare by: 0.001 and 1e-3 are one number."""
    try:
        return float(text)
    except ValueError:
        return text
