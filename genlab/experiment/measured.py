"""Whether what a sweep is to optimize will be measured, known before its first job starts."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from genlab.errors import ConfigError, nearest
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
        known = measured_keys(cfg)
        for key in asked:
            if key not in known:
                raise ConfigError(
                    f"objective={key}: will not be measured{nearest(key, known) or ';'} "
                    f"there will be {', '.join(known)}"
                )


def measured_keys(cfg: DictConfig) -> list[str]:
    """The keys that the summary of a run of this config will have; no data is read.

    Raises:
        WeightsMissing: Weights that the config asks for by name are not here.
    """
    data = build_data(cfg)
    evaluator = build_evaluator(cfg, data).closing(cfg.closing.n_samples, 1, None)
    suite, extractors = evaluator.suite, evaluator.extractors()
    keys = ["best", monitored(cfg), *COSTS]
    model = build_model(cfg, data.spec)
    if model.likelihood != "none":
        k, images = cfg.closing.likelihood_samples, cfg.closing.likelihood_images
        total = images or 1  # the number stands in the key only where it is not all of the split
        keys += likelihood_keys(model.likelihood, k, total, 1 if images is None else 0)
    return list(dict.fromkeys([*keys, *suite.keys(extractors)]))


def monitored(cfg: DictConfig) -> str:
    """The name of the metric that makes the best checkpoint."""
    monitor = OmegaConf.select(cfg, "callbacks.checkpoints.monitor", default="auto")
    return "val/loss" if monitor in (None, "auto") else str(monitor)
