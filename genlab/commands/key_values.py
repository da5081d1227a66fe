"""Words of a command as keys and values."""

from collections.abc import Sequence

from genlab.errors import ConfigError, nearest

__all__ = ["key_values"]


def key_values(words: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    """The words as keys and values; a word by itself is the run.

    Args:
        words: As typed.
        keys: Those that there are.

    Raises:
        ConfigError: A key is unknown, given twice, or has no value.

    Example:
        >>> key_values(["last", "out=model"], ("run", "out"))
        {'run': 'last', 'out': 'model'}
    """
    given: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        key, value = (key, value) if sign else ("run", word)
        if key not in keys:
            raise ConfigError(f"{word}: unknown key {key!r}{nearest(key, keys)}; {', '.join(keys)}")
        if key in given or not value:
            raise ConfigError(f"{word}: {key} needs one value")
        given[key] = value
    return given
