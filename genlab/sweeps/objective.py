"""Objective of a sweep: numbers of a run's summary, by their keys."""

import math
from collections.abc import Sequence

from genlab.sweeps.jobs import Job

__all__ = ["COSTS", "Values", "keys_of", "values_of"]

Values = float | tuple[float, ...] | None

COSTS = ("seconds", "parameters", "images_seen")
"""Known of every run."""


def keys_of(objective: str | Sequence[str] | None) -> tuple[str, ...]:
    """The keys of an objective, none if there is none.

    Example:
        >>> keys_of("nll_elbo"), keys_of(["nll_elbo", "seconds"]), keys_of(None)
        (('nll_elbo',), ('nll_elbo', 'seconds'), ())
    """
    if objective is None:
        return ()
    return (objective,) if isinstance(objective, str) else tuple(objective)


def values_of(job: Job, objective: Sequence[str]) -> Values:
    """A job's values under the keys of the objective; None where it is not done.

    A sweeper that optimizes takes None for a failed trial, and so it does a value that is not
    finite.
    """
    if job.state != "done" or not objective:
        return None
    found = [job.metrics.get(key, math.nan) for key in objective]
    if not all(math.isfinite(value) for value in found):
        return None
    return found[0] if len(found) == 1 else tuple(found)
