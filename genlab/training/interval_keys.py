"""Check of the config's intervals, before anything of it is built."""

from collections.abc import Mapping

from genlab.errors import ConfigError
from genlab.training.intervals import images_of, seconds_of

__all__ = ["check_intervals"]


def check_intervals(intervals: Mapping[str, int | str], max_time: float | str | None) -> None:
    """Refuses intervals and a length of time that cannot be read, whatever an epoch's images.

    Args:
        intervals: The intervals by their keys.
        max_time: The key ``trainer.max_time``.

    Raises:
        ConfigError: All that are wrong, a line each.
    """
    errors = []
    for key, value in intervals.items():
        try:
            images_of(value, 1, key)
        except ConfigError as error:
            errors.append(str(error))
    try:
        if max_time is not None:
            seconds_of(max_time)
    except ConfigError as error:
        errors.append(str(error))
    if errors:
        raise ConfigError("\n".join(errors))
