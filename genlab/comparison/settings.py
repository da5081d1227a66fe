"""Configurations side by side: which runs share one, where others differ, which are asked for."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.errors import ConfigError, nearest
from genlab.redact import redact

if TYPE_CHECKING:
    from genlab.comparison.board import Board, Row

__all__ = ["ABSENT", "differing", "flat_config", "setting_hash", "shown_value", "where"]

OWN = (
    "seed",
    "name",
    "run",
    "root",
    "group",
    "notes",
    "tags",
    "trust",
    "logger",
    "hydra",
    "objective",
)
"""Sections of a config that may differ between runs of one setting: they change no result."""

ABSENT = object()
"""The value of a key that a configuration lacks."""


def setting_hash(text: str) -> str:
    """What runs of one setting share: the hash of the config less the seed and the names.

    The lines are compared, not parsed: configs are written in one form, and parsing is slow.

    Example:
        >>> setting_hash("seed: 0\\nlr: 1\\n") == setting_hash("seed: 1\\nlr: 1\\n")
        True
        >>> setting_hash("lr: 1\\n") == setting_hash("lr: 2\\n")
        False
    """
    kept, own = [], False
    for line in text.splitlines():
        if line[:1] not in (" ", "-"):
            own = line.split(":")[0] in OWN
        if not own:
            kept.append(line)
    return hashlib.sha256("\n".join(kept).encode()).hexdigest() if text else ""


def flat_config(text: str, path: Path) -> dict[str, Any]:
    """A config.yaml by dotted keys, without secrets.

    Raises:
        ConfigError: It is damaged.
    """
    import yaml

    try:
        content = _parse(text)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"{path / 'config.yaml'} is damaged: {' '.join(str(error).split())}"
        ) from None
    if content is not None and not isinstance(content, dict):
        raise ConfigError(f"{path / 'config.yaml'} is damaged: a mapping is expected")
    return dict(_flatten(redact(content or {})))


@cache
def _parse(text: str) -> Any:
    import yaml

    # ten times as fast, where PyYAML was built with it
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _flatten(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def shown_value(value: Any) -> str:
    """A configuration's value as a person would type it.

    Example:
        >>> shown_value(None), shown_value(True), shown_value([1, 2]), shown_value(1e-3)
        ('null', 'true', '[1,2]', '0.001')
        >>> shown_value("genlab.models.vae.VAE"), shown_value(0.00231551737)
        ('genlab.models.vae.VAE', '0.002316')
    """
    if value is ABSENT:
        return "-"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return f"[{','.join(map(shown_value, value))}]"
    return str(value)


def differing(rows: Sequence["Row"]) -> dict[str, list[Any]]:
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


def where(board: "Board", conditions: Sequence[str]) -> "Board":
    """The runs that meet all conditions.

    Args:
        board: All runs.
        conditions: ``key=value`` or ``key=value,value``; the key is ``model``, ``data``, ``seed``,
            ``status``, ``sweep`` or a dotted key of the configuration.

    Raises:
        ConfigError: No equals sign, a key that no run has, or a value that none has.
    """
    from dataclasses import replace

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


def _value(row: "Row", key: str) -> Any:
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
