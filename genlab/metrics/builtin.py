"""The metrics that come with genlab, by the names that ``metrics.metrics`` lists."""

from collections.abc import Sequence

from genlab.errors import ConfigError, nearest
from genlab.metrics.base import Metric
from genlab.metrics.diversity import Modes, Quality, Vendi
from genlab.metrics.frechet import Frechet, FrechetInfinity
from genlab.metrics.inception_score import ClassScore
from genlab.metrics.kernel import KernelDistance, Mmd
from genlab.metrics.manifold import ManifoldScores
from genlab.metrics.memorization import Memorization
from genlab.metrics.wasserstein import SlicedWasserstein, Wasserstein

__all__ = ["BUILT_IN", "LIKELIHOOD", "choose_metrics"]

LIKELIHOOD = "likelihood"
"""The one name in ``metrics.metrics`` that is measured of the model and not of its samples."""

ORDER = (
    Frechet(),
    FrechetInfinity(),
    ClassScore(),
    KernelDistance(),
    ManifoldScores(),
    SlicedWasserstein(),
    Wasserstein(),
    Mmd(),
    Vendi(),
    Modes(),
    Quality(),
    Memorization(),
)

BUILT_IN: dict[str, Metric] = {metric.name: metric for metric in ORDER}
"""All of them, in the order of a full report."""


def choose_metrics(asked: Sequence[str | Metric]) -> list[Metric]:
    """The metrics of samples among what was asked for: by name, or as objects.

    Raises:
        ConfigError: One does not exist, or two have one name.
    """
    known = (*BUILT_IN, LIKELIHOOD)
    found: list[Metric] = []
    for metric in asked:
        if metric == LIKELIHOOD:
            continue
        if isinstance(metric, str) and metric not in known:
            raise ConfigError(
                f"metrics.metrics={metric}: allowed are {', '.join(known)}{nearest(metric, known)}"
            )
        chosen = BUILT_IN[metric] if isinstance(metric, str) else metric
        if not isinstance(chosen, Metric) or not chosen.name or not chosen.numbers:
            raise ConfigError(
                f"metrics.metrics: {type(chosen).__name__} is no genlab.metrics.base.Metric with a "
                "name and numbers"
            )
        if chosen not in found:
            found.append(chosen)
    names = [metric.name for metric in found]
    numbers = [number.name for metric in found for number in metric.numbers]
    for name in (*names, *numbers):
        if names.count(name) > 1 or numbers.count(name) > 1:
            raise ConfigError(f"metrics.metrics: two are called {name!r}")
    return found
