"""The check of a sweep's objective: it must be measured, which is known before its first job."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from genlab.config.check import check
from genlab.config.schema import Train
from genlab.errors import ConfigError, nearest
from genlab.experiment.borrowing import borrow
from genlab.experiment.build import build_data, build_evaluator, build_model
from genlab.metrics.likelihood import likelihood_keys
from genlab.sweeps.objective import COSTS, keys_of

__all__ = ["check_objective", "measured_keys"]

DECIDES = ("model", "data", "metrics", "closing", "callbacks", "objective")
"""The parts of a config that decide what is measured."""


def check_objective(jobs: Sequence[DictConfig]) -> None:
    """Refuses an objective that a job would not measure.

    Args:
        jobs: Configs of the jobs; of those that measure the same, one is looked at.

    Raises:
        ConfigError: A key that is not measured; says which are.
        WeightsMissing: The weights that it needs are not here.
    """
    seen = set()
    for cfg in jobs:
        parts = OmegaConf.masked_copy(cfg, [key for key in DECIDES if key in cfg])
        text = OmegaConf.to_yaml(parts)
        if text in seen:
            continue
        seen.add(text)
        asked = keys_of(cfg.objective)
        if set(asked) <= {"best", *COSTS}:
            continue
        known = measured_keys(check(cfg, "train"))
        for key in asked:
            if key not in known:
                raise ConfigError(
                    f"objective={key}: will not be measured{nearest(key, known) or ';'} "
                    f"there will be {', '.join(known)}"
                )


def measured_keys(config: Train) -> list[str]:
    """The keys that the summary of a run of this config will have; no data is read.

    Raises:
        WeightsMissing: Weights that the config asks for by name are not here.
    """
    data, closing = build_data(config.data), config.closing
    evaluator = build_evaluator(config.metrics, data).closing(closing.n_samples, 1, None)
    suite, extractors = evaluator.suite, evaluator.extractors()
    keys = ["best", monitored(config), *COSTS]
    model = build_model(config.model, data.spec, config.seed, borrow(config, data.spec)[1])
    if model.likelihood != "none":
        k, images = closing.likelihood_samples, closing.likelihood_images
        total = images or 1  # the number stands in the key only where it is not all of the split
        keys += likelihood_keys(
            model.likelihood, k, total, 1 if images is None else 0, model.bound_name
        )
    return list(dict.fromkeys([*keys, *suite.keys(extractors)]))


def monitored(config: Train) -> str:
    """The name of the metric that makes the best checkpoint."""
    checkpoints = (config.callbacks or {}).get("checkpoints")
    monitor = checkpoints.get("monitor") if checkpoints else None
    return "val/loss" if monitor in (None, "auto") else str(monitor)
