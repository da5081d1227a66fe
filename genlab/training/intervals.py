"""Intervals in images seen or epochs, and lengths of time, read from text."""

import re

from genlab.errors import ConfigError

__all__ = ["images_of", "seconds_of"]

EPOCHS = re.compile(r"\s*(\d+(?:\.\d+)?)\s*epochs?\s*")
TIME = re.compile(r"\s*(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?\s*")
CLOCK = re.compile(r"\d+(:\d+){1,3}")
UNITS = (1, 60, 3600, 86400)
"""Seconds in a second, a minute, an hour and a day."""


def images_of(interval: int | str, epoch: int, key: str = "interval") -> int:
    """An interval in images seen.

    Args:
        interval: A number of images, or ``"N epochs"``.
        epoch: Images in an epoch.
        key: The config key, for the error.

    Raises:
        ConfigError: It is neither.

    Example:
        >>> images_of("2 epochs", 55000), images_of(1000, 55000)
        (110000, 1000)
    """
    match = EPOCHS.fullmatch(interval) if isinstance(interval, str) else None
    if match is not None and float(match[1]) > 0:
        return max(1, round(float(match[1]) * epoch))
    if isinstance(interval, str) and interval.strip().isdigit():
        interval = int(interval)
    if isinstance(interval, int) and not isinstance(interval, bool) and interval > 0:
        return interval
    raise ConfigError(f"{key}={interval}: a number of images >= 1, or 'N epochs', is needed")


def seconds_of(time: float | str, key: str = "trainer.max_time") -> float:
    """A length of time in seconds.

    Raises:
        ConfigError: It cannot be read.

    Example:
        >>> seconds_of("1h30m"), seconds_of("90s"), seconds_of(2.5), seconds_of("00:03:00")
        (5400.0, 90.0, 2.5, 180.0)
    """
    seconds = 0.0
    if isinstance(time, int | float) and not isinstance(time, bool):
        seconds = float(time)
    elif isinstance(time, str) and CLOCK.fullmatch(time.strip()):
        parts = [float(part) for part in time.strip().split(":")]
        seconds = sum(p * u for p, u in zip(reversed(parts), UNITS, strict=False))
    elif isinstance(time, str) and (match := TIME.fullmatch(time)):
        parts = [float(part or 0) for part in match.groups()]
        seconds = sum(p * u for p, u in zip(reversed(parts), UNITS, strict=True))
    if seconds > 0:
        return seconds
    raise ConfigError(f"{key}={time}: seconds > 0, or a time such as 90s, 3m or 1h30m, is needed")
