"""Quotes around values that Hydra's grammar has no place for: a path such as ``Bilder (ü)``.

A shell has taken its own quotes away before Hydra reads a word, and Hydra's unquoted values are of
ASCII letters, digits, blanks and a few signs.
"""

import re
from collections.abc import Sequence

__all__ = ["quote_overrides"]

PLAIN = re.compile(r"[\w \t/\\.$%*@?|:+~-]*", re.ASCII)
"""What the grammar reads without quotes."""

STRUCTURE = re.compile(r"\s*(['\"\[{]|\w+\(.*\)\s*$|\$\{)", re.DOTALL)
"""Start of a value that is quoted, a list, a mapping, a function's or an interpolation."""

TEXTS: tuple[str, ...] = (
    "name",
    "run",
    "group",
    "notes",
    "tags",
    "init_from",
    "root",
    "out",
    "images",
)
TEXTS += ("data.path", "data.root", "places.path", "places.root")
"""Keys whose values are text, also where they look like a number or a truth value."""

OTHER = re.compile(
    r"[+-]?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)(e[+-]?\d+)?|nan|[+-]?inf|true|false", re.IGNORECASE
)
"""What the grammar reads as a number or a truth value; ``null`` stays what it is."""

LIST = re.compile(r"\[([^\[\]{}()'\"]*)\]", re.DOTALL)
"""A list of nothing but words."""


def quote_overrides(overrides: Sequence[str]) -> list[str]:
    """Overrides with quotes around the values that cannot be meant otherwise.

    Commas stay what they are, the signs between the values of a sweep.

    Example:
        >>> quote_overrides(["data.path=Bilder (ü)", "root=my runs", "trust=[a,b]", "~callbacks"])
        ["data.path='Bilder (ü)'", 'root=my runs', 'trust=[a,b]', '~callbacks']
        >>> quote_overrides(["label=größe,b", "notes=it's", "seed=range(3)"])
        ["label='größe',b", 'notes="it\\'s"', 'seed=range(3)']
        >>> quote_overrides(["run=[läufe/a,b]", "data.path=split=train"])
        ["run=['läufe/a',b]", "data.path='split=train'"]
        >>> quote_overrides(["name=2026", "label=[yes,true,3]", "seed=3"])
        ["name='2026'", "label=[yes,'true',3]", 'seed=3']
    """
    return [quoted(text) for text in overrides]


def quoted(text: str) -> str:
    """One override."""
    key, sign, value = text.partition("=")
    if sign and (words := LIST.fullmatch(value)):
        return f"{key}=[{by_comma(key, words[1])}]"
    if not sign or STRUCTURE.match(value):
        return text
    return f"{key}={by_comma(key, value)}"


def by_comma(key: str, value: str) -> str:
    """Words between commas, those in quotes that need them."""
    return ",".join(in_quotes(w) if needs_quotes(key, w) else w for w in value.split(","))


def needs_quotes(key: str, word: str) -> bool:
    """True for a word that the grammar cannot read, or would read as no text where it is text."""
    if not PLAIN.fullmatch(word):
        return True
    name, word = key.lstrip("+"), word.strip()
    if name == "label":  # a class by its number, or by its name
        return not word.isdecimal() and bool(OTHER.fullmatch(word))
    return name in TEXTS and bool(OTHER.fullmatch(word))


def in_quotes(value: str) -> str:
    """The value in the kind of quotes that it does not have; unchanged where it has both."""
    end = "\\" * (len(value) - len(value.rstrip("\\")))  # or the last would hide the quote
    if "'" not in value:
        return f"'{value}{end}'"
    return f'"{value}{end}"' if value.count("'") == 1 and '"' not in value else value
