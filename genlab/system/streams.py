"""Text streams that write whatever they are given: what an encoding lacks is spelled in ASCII.

Output goes to log files and pipes of other encodings, too: cp1252 on Windows, ASCII in a container
without a locale. A number that was hours in the making must not be lost to its ± sign.
"""

import codecs
import sys
import unicodedata
from typing import TextIO

__all__ = ["forgiving", "spelled"]

NAME = "genlab.spelled"

ASCII = {
    "±": "+-",
    "\N{MULTIPLICATION SIGN}": "x",
    "·": "-",
    "\N{EN DASH}": "-",
    "—": "-",
    "…": "...",
    "≤": "<=",
    "≈": "~",
    "≥": ">=",
}
ASCII |= {"→": "->", "←": "<-", "↑": "^", "↓": "v", "★": "*"}

STRICT = ("strict", "surrogateescape", "backslashreplace")
"""Python's own choices for the standard streams; any other was made by the user."""


def spelled(text: str) -> str:
    """A text in ASCII: letters without their accents, signs as they are typed.

    Example:
        >>> spelled("Fréchet distance ↓ 1.5 ± 0.2 m²")
        'Frechet distance v 1.5 +- 0.2 m2'
    """
    parts = (ASCII.get(sign) or unicodedata.normalize("NFKD", sign) for sign in text)
    return "".join("".join(sign for sign in part if sign.isascii()) or "?" for part in parts)


def spell(error: UnicodeError) -> tuple[str, int]:
    """The error handler of codecs: writes `spelled` in the place of what cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return spelled(error.object[error.start : error.end]), error.end


codecs.register_error(NAME, spell)


def forgiving() -> None:
    """Makes the standard streams write what their encoding lacks in ASCII, from now on."""
    for stream in (sys.stdout, sys.stderr):
        make_forgiving(stream)


def make_forgiving(stream: TextIO) -> None:
    """Does so for one stream, unless somebody chose another way for it."""
    errors = getattr(stream, "errors", None)
    utf8 = codecs.lookup(stream.encoding).name == "utf-8" if errors else False
    if errors == "strict" or (errors in STRICT and not utf8):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=NAME)
