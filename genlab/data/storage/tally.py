"""Counts of pictures in a line of text."""

from collections.abc import Mapping

__all__ = ["tally"]


def tally(title: str, counts: Mapping[str, int]) -> list[str]:
    """Counts in a line, the largest first; none where there is nothing to count.

    Example:
        >>> tally("left out", {".txt": 2, ".heic": 1000})
        ['left out: 1,000 .heic, 2 .txt']
    """
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [f"{title}: {', '.join(f'{n:,} {words}' for words, n in ranked)}"] if ranked else []
