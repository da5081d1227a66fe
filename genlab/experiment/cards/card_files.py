"""Files of a card: CARD.md and card.json, written together, and held against the run."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from genlab.errors import ConfigError
from genlab.experiment.cards.gathered import newest_grid
from genlab.experiment.cards.model_card import front_matter, model_card, number_rows
from genlab.runs.directory import Run
from genlab.system.paths import write_atomically

__all__ = ["GRID", "PAGE", "RECORD", "card_contents", "differences", "run_card", "write_card"]

PAGE = "CARD.md"
RECORD = "card.json"
GRID = "samples.png"
"""The grid of samples beside a card that lies outside of its run."""

HELD = ("numbers", "other_reports", "data", "model", "checkpoints", "images_seen", "train_seconds")
"""Facts of card.json that must be the run's."""


def card_contents(facts: Mapping[str, Any], page: str) -> dict[str, bytes]:
    """The two files of a card by their names; the JSON knows the page's digest."""
    text = page.encode()
    record = {**facts, "page_sha256": hashlib.sha256(text).hexdigest()}
    return {PAGE: text, RECORD: json.dumps(record, indent=2, default=str).encode() + b"\n"}


def run_card(run: Run, facts: Mapping[str, Any], inside: bool) -> dict[str, bytes]:
    """The files of a run's card; outside of the run with its grid of samples."""
    grid = newest_grid(run)
    if grid is None:
        return card_contents(facts, model_card(facts, None))
    if inside:
        return card_contents(facts, model_card(facts, grid.relative_to(run.path).as_posix()))
    return {**card_contents(facts, model_card(facts, GRID)), GRID: grid.read_bytes()}


def write_card(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Writes a card's files; a page that was edited by hand is not written over.

    Raises:
        ConfigError: It was, or the folder cannot be written to.
    """
    page, record = folder / PAGE, folder / RECORD
    if page.exists() and page.read_bytes() != contents[PAGE]:
        known = read_record(record) if record.exists() else {}
        if known.get("page_sha256") != hashlib.sha256(page.read_bytes()).hexdigest():
            raise ConfigError(
                f"{page}: was edited by hand and is not written over; move it away, choose another "
                "folder with out=DIR, or see what differs with --check"
            )
    try:
        for name, content in contents.items():
            write_atomically(folder / name, content)
    except OSError as error:
        raise ConfigError(f"out={folder}: cannot be written to ({error.strerror})") from None


def differences(folder: Path, facts: Mapping[str, Any]) -> list[str]:
    """What a card says otherwise than the run's files, a line each; its prose may be edited.

    Raises:
        ConfigError: There is no card, or a file of it is damaged.
    """
    page, record = folder / PAGE, folder / RECORD
    for file in (page, record):
        if not file.is_file():
            raise ConfigError(f"{file}: there is no card yet; genlab card writes it")
    told = read_record(record)
    fresh = json.loads(json.dumps(facts, default=str))
    found = [
        f"{RECORD}: {line}"
        for key in HELD
        for line in compared(key, by_key(told.get(key)), by_key(fresh.get(key)))
    ]
    text = page.read_text(encoding="utf-8", errors="replace")
    found += [f"{PAGE}: {line}" for line in page_differences(text, fresh)]
    return found


def page_differences(text: str, facts: Mapping[str, Any]) -> Iterator[str]:
    """What a page says otherwise: in the metadata, and in the table of numbers."""
    # The metadata
    head = text.split("---\n", 2)
    try:
        said = yaml.safe_load(head[1]) if len(head) == 3 and not head[0] else None
    except (yaml.YAMLError, RecursionError):
        said = None
    if not isinstance(said, dict):
        yield "has no metadata on top"
        said = {}
    key = "model-index"
    yield from compared(key, metrics(said.get(key)), metrics(front_matter(facts).get(key)))
    # The table
    rows: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            metric = line.split("`")[1]
            if metric in rows:
                yield f"table.{metric} is there twice"
            rows[metric] = line.strip()
    yield from compared("table", rows, number_rows(facts["numbers"]))


def metrics(index: Any) -> dict[str, Any]:
    """The values of a ``model-index`` by their keys."""
    try:
        return {one["type"]: one["value"] for r in index[0]["results"] for one in r["metrics"]}
    except (TypeError, KeyError, IndexError):
        return {}


def by_key(values: Any) -> Any:
    """A list of numbers as a dictionary by their keys; anything else as it is."""
    if isinstance(values, list) and all(isinstance(v, dict) and "metric" in v for v in values):
        return {str(v["metric"]): v for v in values}
    return values


def compared(where: str, told: Any, fresh: Any) -> Iterator[str]:
    """Differences of two trees of plain data."""
    if isinstance(told, dict) and isinstance(fresh, dict):
        for key in dict.fromkeys([*fresh, *told]):
            if key not in told:
                yield f"{where}.{key} is missing, which the run has"
            elif key not in fresh:
                yield f"{where}.{key} is there, and the run has none"
            else:
                yield from compared(f"{where}.{key}", told[key], fresh[key])
    elif told != fresh:
        yield f"{where} is {told}, and the run has {fresh}"


def read_record(path: Path) -> dict[str, Any]:
    """A card.json.

    Raises:
        ConfigError: It is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is damaged: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path} is damaged: a JSON object is expected")
    return content
