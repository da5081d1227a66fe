"""The least numbers of samples and of training images with which metrics are defined."""

from collections.abc import Iterator, Sequence

from genlab.errors import DataError
from genlab.metrics.base import Metric
from genlab.metrics.extractors.base import Extractor

__all__ = ["refuse_too_few", "too_few"]


def too_few(
    pairs: Sequence[tuple[Metric, Extractor | None]],
    drawn: int,
    n_train: int,
    key: str = "metrics.n_samples",
) -> Iterator[str]:
    """Lines about metrics for which there are too few samples or training images.

    Args:
        pairs: The metrics with their extractors, see `Suite.pairs`.
        drawn: Samples that will be drawn.
        n_train: Training images of the reference.
        key: What says how many samples are drawn.
    """
    for metric, _extractor in pairs:
        name = metric.name or type(metric).__name__
        without = f", or leave {name} out of metrics.metrics"
        if drawn < metric.least:
            yield f"{key}={drawn}: {name} needs at least {metric.least} samples{without}"
        if n_train < metric.least_real:
            yield (
                f"metrics.metrics: {name} needs at least {metric.least_real} training images, "
                f"and there are {n_train}{without}"
            )


def refuse_too_few(
    pairs: Sequence[tuple[Metric, Extractor | None]], drawn: int, n_train: int
) -> None:
    """Refuses them before a sample is drawn.

    Raises:
        DataError: There are such.
    """
    if few := list(dict.fromkeys(too_few(pairs, drawn, n_train))):
        raise DataError("\n".join(few))
