"""Objective of a race: a number of samples that an extractor sees, or a likelihood."""

from dataclasses import dataclass

from genlab.data.module import ImageDataModule
from genlab.errors import ConfigError, nearest
from genlab.metrics.base import Metric, Number
from genlab.metrics.extractors.base import Extractor
from genlab.metrics.extractors.selection import EXTRACTORS
from genlab.metrics.keys import metric_key
from genlab.metrics.likelihood import BITS, NATS
from genlab.metrics.suite import Suite
from genlab.training.evaluator import Evaluator

__all__ = ["Objective", "choose_objective"]

LIKELIHOODS = {"bpd": BITS, "nll": NATS}


@dataclass(frozen=True, eq=False)
class Objective:
    """What decides a race.

    Args:
        name: What is asked of a run: ``fd_digits``, ``bpd``.
        number: The number.
        metric: What measures it; None for a likelihood.
        extractor: What it sees samples by; None for the samples themselves.
    """

    name: str
    number: Number
    metric: Metric | None = None
    extractor: Extractor | None = None

    def key(self, samples: int) -> str:
        """The name with the number of samples, as reports have it."""
        if self.metric is None:
            return self.name
        return metric_key(
            self.number, self.extractor, samples, self.metric.count_for(self.extractor)
        )


def choose_objective(asked: str, data: ImageDataModule, device: str = "cpu") -> Objective:
    """The objective that a word means for this data.

    Args:
        asked: ``fd`` means the Fréchet distance under the data's usual extractor, ``fd_pixels``
            that under another one; ``bpd`` and ``nll`` are likelihoods.
        data: The data.
        device: Where the extractor is to run.

    Raises:
        ConfigError: The data cannot have it; says what it can have.
        WeightsMissing: The extractor's weights are not here.
    """
    if asked in LIKELIHOODS:
        return Objective(asked, LIKELIHOODS[asked])
    # Under an extractor that is named, or the usual ones
    named = next((name for name in EXTRACTORS if asked.endswith(f"_{name}")), None)
    suite = Suite(extractors="fast" if named is None else [named])
    found: dict[str, Objective] = {}
    for metric, by in suite.pairs(Evaluator(suite, data).extractors(device)):
        for number in metric.numbers:
            if number.better is not None:
                name = number.name if by is None else f"{number.name}_{by.name}"
                found[name] = Objective(name, number, metric, by)
                found.setdefault(number.name, found[name])
    if asked not in found:
        known = [*dict.fromkeys(objective.name for objective in found.values()), *LIKELIHOODS]
        raise ConfigError(
            f"objective={asked}: this data has {', '.join(known)}{nearest(asked, known)}"
        )
    return found[asked]
