"""The columns of a leaderboard and the text of their cells, the same in terminal, file and page."""

from collections.abc import Callable
from dataclasses import dataclass

from genlab.comparison.leaderboard import FACTS, Leaderboard, Measured, RunRecord, shown_key
from genlab.comparison.numbers import order

__all__ = ["Column", "columns", "filled", "legend", "number_text"]


@dataclass(frozen=True)
class Column:
    """A column.

    Args:
        title: Its head.
        text: A row's cell, empty where there is nothing.
        value: What a page sorts by.
        right: Whether it is a number.
        need: The higher, the sooner it is left out where there is no room; 0 never is.
        key: The metric's or the fact's key.
        note: What it is, in words.
    """

    title: str
    text: Callable[[RunRecord], str]
    value: Callable[[RunRecord], float | str | None]
    right: bool = True
    need: int = 0
    key: str = ""
    note: str = ""


def number_text(value: float) -> str:
    """A number in four digits.

    Example:
        >>> number_text(784.6894), number_text(0.00012345), number_text(12345.6)
        ('784.7', '0.0001234', '12350')
    """
    text = f"{value:.4g}"
    return f"{float(text):.0f}" if "e+" in text and abs(value) < 1e9 else text


def measured_text(found: Measured | None, runs: int) -> str:
    """Value, spread and floor: ``22.1 ± 0.31 (0.07)``; a bound after ``≤``, an estimate ``≈``."""
    if found is None:
        return ""
    text = number_text(found.value)
    if found.kind and found.kind != "exact":
        text = f"{'≈' if found.kind.startswith('ais') else '≤'} {text}"
    if found.std is not None:
        text += f" ± {found.std:.2g}"
    if found.runs < runs:
        text += f" of {found.runs}"
    if found.floor is not None:
        text += f" ({found.floor:.3g})"
    return text if not found.kind else f"{text} {found.kind}"


def metric_column(board: Leaderboard, key: str, need: int) -> Column:
    """The column of a metric."""

    def text(row: RunRecord) -> str:
        return measured_text(row.metrics.get(key), len(row.runs))

    def value(row: RunRecord) -> float | None:
        return row.metrics[key].value if key in row.metrics else None

    return Column(shown_key(key), text, value, True, need, key, board.number(key).text)


def fact_column(key: str, title: str, need: int, digits: int = 0) -> Column:
    """The column of a fact that is a number."""

    def text(row: RunRecord) -> str:
        value = row.facts[key]
        return "" if value is None else f"{value:,.{digits}f}"

    return Column(title, text, lambda row: row.facts[key], True, need, key)


def word_column(key: str, title: str, need: int) -> Column:
    """The column of a fact that is a word."""

    def text(row: RunRecord) -> str:
        return "" if row.facts[key] is None else str(row.facts[key])

    return Column(title, text, text, False, need)


def seeds_column(need: int) -> Column:
    """The number of seeds; of a single run, which."""

    def text(row: RunRecord) -> str:
        seed = row.facts["seed"]
        if len(row.runs) > 1:
            return f"{len(row.runs)} ({seed})" if len(str(seed)) < 12 else str(len(row.runs))
        return "" if seed is None else f"1 ({seed})"

    return Column("seeds", text, lambda row: len(row.runs), True, need)


def shown_keys(board: Leaderboard, key: str) -> list[str]:
    """The metrics of the leaderboard: the one that ranks, then one key of each number shown."""
    numbers: dict[str, list[str]] = {}
    for name in board.keys:
        if (number := board.number(name)).shown:
            numbers.setdefault(number.name, []).append(name)
    found = [] if key in FACTS else [key]
    suffix = key.partition("_")[2]  # the extractor of the metric that ranks, and its count
    first = {name: order(board.number(same[0]), same[0]) for name, same in numbers.items()}
    for _, same in sorted(numbers.items(), key=lambda item: (first[item[0]], item)):
        same.sort(key=lambda name: name.partition("_")[2] != suffix)
        found += [name for name in same[:1] if name not in found]
    return found


def columns(board: Leaderboard, key: str) -> list[Column]:
    """All columns but the rank, the most needed first."""
    name = Column("configuration", lambda row: row.name, lambda row: row.name, False)
    first, *others = shown_keys(board, key) or [""]
    fact = {
        "images_seen": fact_column("best_images", "best @ images", 5),
        "train_seconds": fact_column("train_seconds", "seconds", 2),
        "parameters": fact_column("parameters", "parameters", 4),
        "samples_per_second": fact_column("samples_per_second", "samples/s", 6),
        "nfe": fact_column("nfe", "nfe", 5),
    }
    words = [
        word_column(word, word, 3)
        for word in ("model", "data")
        if not all(f"{word}={row.facts[word]}" in row.name.split() for row in board.rows)
    ]  # a sweep's jobs may be called by them
    found = [name, *words, seeds_column(1)]
    if first:
        found.append(metric_column(board, first, 0))
    found += [metric_column(board, other, 3 + i) for i, other in enumerate(others)]
    if key == "images_seen":
        found.append(fact_column("images_seen", "images", 0))
    found += list(fact.values())
    return [*found, word_column("device", "device", 7)]


def filled(board: Leaderboard, key: str) -> tuple[list[Column], dict[str, str]]:
    """The columns that have something to show, and the words that are the same in all rows: these
    are said once, above the table."""
    candidates, same = columns(board, key), {}
    for column in candidates:
        if column.title not in ("model", "data", "device") or len(board.rows) < 2:
            continue
        texts = {column.text(row) for row in board.rows}
        if len(texts) == 1:
            same[column.title] = texts.pop()
    kept = [c for c in candidates if c.title not in same and any(c.text(row) for row in board.rows)]
    return kept, {title: text for title, text in same.items() if text}


def legend(board: Leaderboard, floor: str) -> list[str]:
    """The meanings of the marks in the cells, as far as there are any."""
    found = [measured for row in board.rows for measured in row.metrics.values()]
    said = {
        f"{floor}real images against real ones": any(m.floor is not None for m in found),
        "± standard deviation over seeds": any(m.std is not None for m in found),
        "≤ a bound": any(
            m.kind not in ("", "exact") and not m.kind.startswith("ais") for m in found
        ),
        "≈ an estimate, which may be too good": any(m.kind.startswith("ais") for m in found),
    }
    return [line for line, wanted in said.items() if wanted]
