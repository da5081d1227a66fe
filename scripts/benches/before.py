"""The ratios that were measured before, and which of new ones are worse."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["WORSE", "Before"]

WORSE = 1.25
"""How many times worse than before a ratio may be."""

Key = tuple[str, str, str]


class Before:
    """The ratios of a file that ``--json`` wrote.

    Args:
        path: The file.

    Raises:
        ValueError: It is no such file.
    """

    def __init__(self, path: Path):
        try:
            found = json.loads(path.read_text())
            self.threads = found["machine"]["threads"]
            self.ratios = {key: ratio for b in found["benches"] for key, ratio in ratios_of(b)}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} holds no figures that --json wrote ({error})") from None

    def compared(self, results: list[dict[str, Any]]) -> int:
        """How many of the ratios were measured before, too."""
        return sum(key in self.ratios for result in results for key, _ in ratios_of(result))

    def worse(self, results: list[dict[str, Any]]) -> list[str]:
        """The ratios that are worse than they were, as lines."""
        return [
            f"{key[0]}: {key[1]} against {key[2]}: {ratio:.2f}, was {self.ratios[key]:.2f}"
            for result in results
            for key, ratio in ratios_of(result)
            if key in self.ratios and ratio * WORSE < self.ratios[key]
        ]


def ratios_of(result: dict[str, Any]) -> Iterator[tuple[Key, float]]:
    """A bench's ratios by the bench, the fast and the slow variant."""
    for ratio in result["ratios"]:
        yield (result["name"], ratio["fast"], ratio["slow"]), ratio["ratio"]
