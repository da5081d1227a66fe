"""The check of sample counts: metrics need some samples and real images, known before a run."""

from collections.abc import Sequence

import pytorch_lightning as pl

from genlab.config.schema import Train
from genlab.errors import ConfigError
from genlab.metrics.least import too_few
from genlab.training.evaluation import QuickMetrics
from genlab.training.evaluator import Evaluator

__all__ = ["check_counts"]


def check_counts(config: Train, evaluator: Evaluator, callbacks: Sequence[pl.Callback]) -> None:
    """Refuses a run whose samples are too few for the metrics along the way or at its end.

    Args:
        config: The run's config.
        evaluator: What measures along the way; its data is set up.
        callbacks: All callbacks of the run.

    Raises:
        ConfigError: They are; says how many are needed.
    """
    end = config.closing
    closing = evaluator.closing(end.n_samples, end.likelihood_samples, end.likelihood_images)
    asked = [("closing.n_samples", closing)]
    if any(isinstance(callback, QuickMetrics) for callback in callbacks):
        asked.insert(0, ("metrics.n_samples", evaluator))
    data = evaluator.data
    n_train = len(data.train.x) + (0 if data.limit is not None else len(data.val.x))
    errors: list[str] = []
    for key, each in asked:
        extractors = evaluator.extractors()
        pairs, drawn = each.suite.pairs(extractors), each.suite.count(extractors)
        errors += too_few(pairs, drawn, n_train, key)
    if errors:
        raise ConfigError("\n".join(dict.fromkeys(errors)))
