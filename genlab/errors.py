"""Errors that a user sees without a traceback: one clear line and an exit code."""

import difflib
from collections.abc import Iterable
from typing import ClassVar

__all__ = [
    "ConfigError",
    "DataError",
    "GenlabError",
    "NonFiniteError",
    "StorageError",
    "Unsupported",
    "nearest",
]


class GenlabError(Exception):
    """An error whose message is for the user: it is printed, and ``exit_code`` is the exit code."""

    exit_code: ClassVar[int] = 1


class ConfigError(GenlabError):
    """Invalid input of the user's: names the key, the value and what is allowed."""

    exit_code = 2


class DataError(GenlabError):
    """A data file is missing, damaged or not what its name says: names the path and the repair."""

    exit_code = 2


class Unsupported(GenlabError, NotImplementedError):
    """The model family cannot do what was asked for; says which can."""

    exit_code = 2


class NonFiniteError(GenlabError):
    """A loss or a gradient is NaN or infinite; training stopped before anything of it was saved."""

    exit_code = 3


class StorageError(GenlabError):
    """A file of a run could not be written: a full disk, say; what was kept before is whole."""

    exit_code = 4


def nearest(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'latent'?"`` for a near miss of one of the known words, else ``""``.

    Example:
        >>> nearest("latnet", ["latent", "hidden"])
        "; did you mean 'latent'?"
        >>> nearest("zzz", ["latent", "hidden"])
        ''
    """
    others = [other for other in known if other != word]  # no hint: the word is what was given
    match = difflib.get_close_matches(word, others, n=1, cutoff=0.6)
    return f"; did you mean {match[0]!r}?" if match else ""
