"""Blocks of rows whose numbers compare, the best first; and Pareto fronts."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genlab.comparison.leaderboard import ALIASES, FACTS, Leaderboard, RunRecord, shown_key
from genlab.errors import ConfigError, nearest

__all__ = [
    "Block",
    "better",
    "blocks",
    "choose_key",
    "front",
    "front_keys",
    "identity_of",
    "number",
]

Identity = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Block:
    """Rows that compare.

    Args:
        rows: The best first.
        ranked: Whether their order means something.
        reason: Why they do not compare with the first block; empty for the first.
    """

    rows: list[RunRecord]
    ranked: bool
    reason: str = ""


def number(row: RunRecord, key: str) -> float | None:
    """A row's number under a metric's key or a fact's, None where it has none."""
    if key in FACTS:
        return None if row.facts[key] is None else float(row.facts[key])
    return row.metrics[key].value if key in row.metrics else None


def better(board: Leaderboard, key: str) -> str | None:
    """The better direction: ``lower``, ``higher`` or None."""
    return FACTS[key] if key in FACTS else board.facts(key).better


def known_key(board: Leaderboard, asked: str, option: str) -> str:
    """A key as it is stored, from what was typed.

    Raises:
        ConfigError: No run has it.
    """
    key = ALIASES.get(asked, asked)
    if any(number(row, key) is not None for row in board.rows):
        return key
    known = [*board.keys, *(k for k in FACTS if any(r.facts[k] is not None for r in board.rows))]
    hint = nearest(asked, [*known, *ALIASES])
    raise ConfigError(f"{option} {asked}: no run has it{hint or ';'} there are {', '.join(known)}")


def choose_key(board: Leaderboard, asked: str | None) -> str:
    """The key to rank by.

    Raises:
        ConfigError: No run has the one that was asked for.
    """
    if asked is not None:
        return known_key(board, asked, "--sort")
    return min(board.keys, key=lambda key: board.facts(key).order, default="images_seen")


def identity_of(row: RunRecord, key: str) -> Identity | None:
    """The facts that a row's number must share with another to compare; None without a number."""
    if key in FACTS:
        return None if row.facts[key] is None else (("data", row.facts["fingerprint"]),)
    return row.metrics[key].identity if key in row.metrics else None


def blocks(board: Leaderboard, *keys: str) -> list[Block]:
    """The rows in blocks whose numbers under the keys compare, larger blocks first.

    They are ranked by the first key, NaN last. Rows that lack a number come last, in a block of
    their own, unranked.
    """
    found: dict[tuple[Identity, ...], list[RunRecord]] = {}
    without: list[RunRecord] = []
    # Rows that share all identities make a block.
    for row in board.rows:
        identities = [identity_of(row, key) for key in keys]
        if any(identity is None for identity in identities):
            without.append(row)
        else:
            found.setdefault(tuple(i for i in identities if i is not None), []).append(row)
    # The best come first in each, the largest block first of all.
    key, ranked = keys[0], []
    sign = -1.0 if better(board, key) == "higher" else 1.0
    groups = sorted(found.items(), key=lambda item: len(item[1]), reverse=True)
    for i, (identity, rows) in enumerate(groups):
        reason = f"other {differences(groups[0], (identity, rows))}" if i else ""
        rows = sorted(rows, key=lambda row: order(number(row, key), sign))
        ranked.append(Block(rows, better(board, key) is not None, reason))
    # What cannot be ranked comes last.
    if without:
        lacking = [k for k in keys if any(number(row, k) is None for row in without)]
        reason = f"without {', '.join(map(shown_key, lacking))}"
        ranked.append(Block(without, False, reason))
    return ranked


def order(value: float | None, sign: float) -> tuple[bool, float]:
    """A key to sort numbers by, NaN last."""
    missing = value is None or math.isnan(value)
    return missing, 0.0 if missing or value is None else sign * value


def differences(
    first: tuple[tuple[Identity, ...], list[RunRecord]],
    other: tuple[tuple[Identity, ...], list[RunRecord]],
) -> str:
    """The differences of two blocks: ``data (mnist_dyn, not mnist)``."""
    said: dict[str, str] = {}
    for here, there in zip(other[0], first[0], strict=True):
        before = dict(there)
        for name, value in here:
            if value == before[name]:
                continue
            pair = [value, before[name]]
            if name == "data":
                names = [str(rows[0].facts["data"]) for rows in (other[1], first[1])]
                pair = names if names[0] != names[1] else pair
            said[name] = f"{name} ({shown(pair[0])}, not {shown(pair[1])})"
    return " and ".join(said.values())


def shown(value: Any) -> str:
    """A count as it is, the beginning of a hash."""
    if isinstance(value, int):
        return f"{value:,}"
    text = str(value)
    return text[:8] if re.fullmatch("[0-9a-f]{32,}", text) else text or "none"


def front_keys(board: Leaderboard, asked: str) -> list[str]:
    """The keys of a Pareto front, from what was typed.

    Raises:
        ConfigError: Fewer than two, one that no run has, or one without a direction.
    """
    words = [word for word in asked.split(",") if word]
    keys = list(dict.fromkeys(known_key(board, word, "--pareto") for word in words))
    if len(keys) < 2:
        raise ConfigError(
            f"--pareto {asked}: names {len(keys)} metric; two or more are needed, such as "
            "fd_digits,seconds"
        )
    for key in keys:
        if better(board, key) is None:
            raise ConfigError(f"--pareto {key}: neither less nor more of it is better")
    return keys


def front(board: Leaderboard, keys: Sequence[str]) -> list[RunRecord]:
    """The rows that no comparable row beats: as good in every key and better in one."""
    signs = [-1.0 if better(board, key) == "higher" else 1.0 for key in keys]
    kept = []
    for block in blocks(board, *keys):
        if not block.ranked:
            continue
        points = {}
        for row in block.rows:
            values = [math.nan if (v := number(row, key)) is None else v for key in keys]
            if not any(map(math.isnan, values)):
                points[id(row)] = [sign * v for sign, v in zip(signs, values, strict=True)]
        for row in block.rows:
            mine = points.get(id(row))
            if mine is not None and not any(beats(o, mine) for o in points.values()):
                kept.append(row)
    return kept


def beats(one: Sequence[float], other: Sequence[float]) -> bool:
    """True if one dominates the other, less being better."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and list(one) != list(other)
