"""A sweep that is only shown: the config of its first job, and what the others vary."""

from collections.abc import Sequence

from genlab.errors import ConfigError
from genlab.launch.hydra_patches import parse_overrides

__all__ = ["first_job"]


def first_job(words: Sequence[str]) -> tuple[list[str], str]:
    """The overrides of a sweep's first job, and a line about the sweep.

    Args:
        words: The overrides of the command line.

    Raises:
        ConfigError: Values that only a sweeper can list.
    """
    from hydra.errors import HydraException

    first, varied, jobs = [], [], 1
    for override in parse_overrides(words):
        text = override.input_line
        if not override.is_sweep_override():
            first.append(text)
            continue
        varied.append(text)
        key = override.get_key_element()
        if override.is_interval_sweep():
            first.append(f"{key}={override.value().start}")
            continue
        try:
            values = list(override.sweep_string_iterator())
        except (AssertionError, ValueError, HydraException):  # a glob asks for a config loader
            raise ConfigError(f"{text}: cannot be shown; name the values, {key}=A,B") from None
        if not values:
            raise ConfigError(f"{text}: the sweep is empty, it has no values")
        first.append(f"{key}={values[0]}")
        jobs *= len(values)
    what = f"varies {' '.join(varied)} ({jobs} combinations)" if varied else "is of one job"
    return first, f"# the first job's config; the sweep {what}"
