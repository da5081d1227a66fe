"""Markdown of values that somebody else chose: none of them is markup."""

import re
from collections.abc import Iterable
from typing import Any

__all__ = ["code", "plain", "printed", "row", "shown"]

MARKUP = re.compile(r"([\\`*_\[\]<>|#!&])")


def plain(value: Any) -> str:
    r"""A value as text on one line.

    Example:
        >>> plain("a|b\n<script>")
        'a\\|b \\<script\\>'
    """
    return MARKUP.sub(r"\\\1", printed(value))


def code(value: Any) -> str:
    """A value between backticks, in a table too.

    Example:
        >>> code("a`|b")
        "a'/b"
    """
    return printed(value).replace("`", "'").replace("|", "/")


def shown(value: Any) -> str:
    """A number for a person, or that it is not known; six digits.

    Example:
        >>> shown(1234567), shown(0.123456789), shown(None)
        ('1,234,567', '0.123457', 'not known')
    """
    if value is None:
        return "not known"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return plain(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def row(cells: Iterable[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def printed(value: Any) -> str:
    """A value on one line, without control characters."""
    words = " ".join(str("not known" if value is None else value).split())
    return "".join(letter for letter in words if letter.isprintable())
