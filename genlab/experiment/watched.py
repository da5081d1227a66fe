"""The check of what callbacks, schedules and the guard watch: it must be measured, and in time."""

from collections.abc import Iterator, Sequence

import pytorch_lightning as pl

from genlab.config.schema import Train
from genlab.errors import ConfigError, nearest
from genlab.experiment.build import chunks_between_validations
from genlab.experiment.monitored import OURS, diagnosed, logs_what_it_likes, validation_keys
from genlab.experiment.monitored import quick_keys as keys_of_quick
from genlab.training.checkpoints import Checkpoints
from genlab.training.collapse import WATCHED
from genlab.training.evaluation import QuickMetrics
from genlab.training.evaluator import Evaluator
from genlab.training.generative_module import GenerativeModule
from genlab.training.intervals import images_of
from genlab.training.schedules import Plateau

__all__ = ["check_watched", "idle_guard"]

CHECKPOINTS = f"{Checkpoints.__module__}.{Checkpoints.__name__}"


def check_watched(
    config: Train,
    module: GenerativeModule,
    evaluator: Evaluator,
    callbacks: Sequence[pl.Callback],
    resumed: bool = False,
) -> None:
    """Refuses whatever waits for a metric that no validation will know, or knows too late.

    Args:
        config: The run's config.
        module: What validates.
        evaluator: What measures along the way; its data is set up.
        callbacks: All callbacks of the run.
        resumed: Whether a run is resumed: its checkpoints go on with the metric that they have.

    Raises:
        ConfigError: All that waits in vain, a line each.
    """
    watched = dict(watched_keys(config, resumed))
    errors = list(never_stopping(config))
    plateau = module.schedule if isinstance(module.schedule, Plateau) else None
    # What validations will know
    known: list[str] = []
    if len(evaluator.data.val.x) and (watched or plateau is not None):
        known += validation_keys(module)
        known += [f"val/{name}" for name in diagnosed(module, evaluator.data)]
    # The learning rate follows the validation alone
    if plateau is not None and plateau.monitor not in known:
        errors.append(absent("scheduler.monitor", plateau.monitor, known))
    # Callbacks may also follow the metrics along the way, and whatever one of the user's own logs
    quick = next((c for c in callbacks if isinstance(c, QuickMetrics)), None)
    names = keys_of_quick(evaluator, module) if quick is not None and watched else []
    along = [*(f"quick/{name}" for name in names), *(f"quick/floor_{name}" for name in names)]
    anything = any(logs_what_it_likes(callback) for callback in callbacks)
    for key, metric in watched.items():
        if metric in along and quick is not None and known:
            errors += too_late(config, module, evaluator, quick, key, metric)
        elif metric not in (*known, *along) and not anything:
            errors.append(absent(key, metric, [*known, *along]))
    if errors:
        raise ConfigError("\n".join(errors))


def watched_keys(config: Train, resumed: bool) -> Iterator[tuple[str, str]]:
    """The keys of callbacks that name a metric, and the metric."""
    for name, section in (config.callbacks or {}).items():
        if section is None or not str(section["_target_"]).startswith(OURS):
            continue
        metric = section.get("monitor")
        own = section["_target_"] == CHECKPOINTS  # which `check_monitor` has looked at
        if (
            metric is None
            or section.get("strict") is False
            or (own and (resumed or metric == "auto"))
        ):
            continue
        yield f"callbacks.{name}.monitor", str(metric)


def never_stopping(config: Train) -> Iterator[str]:
    """Callbacks that would act when Lightning's epoch ends: a run is one endless epoch."""
    for name, section in (config.callbacks or {}).items():
        if section is not None and section.get("check_on_train_epoch_end") is True:
            yield (
                f"callbacks.{name}.check_on_train_epoch_end=true: would never act, it is the "
                "validation that is waited for; leave it out"
            )


def absent(key: str, metric: str, known: Sequence[str]) -> str:
    """A line about a metric that will not be measured."""
    there = ", ".join(sorted(name for name in known if "floor_" not in name))
    return (
        f"{key}={metric}: will not be measured{nearest(metric, known) or ';'} there will be "
        f"{there or 'no metric (data.val_size=0 leaves nothing to validate with)'}"
    )


def too_late(
    config: Train,
    module: GenerativeModule,
    evaluator: Evaluator,
    quick: QuickMetrics,
    key: str,
    metric: str,
) -> Iterator[str]:
    """A line about a metric along the way that comes after the first validation."""
    data, trainer = evaluator.data, config.trainer
    chunk = trainer.chunk * trainer.accumulate * data.batch_size
    validated = chunks_between_validations(config, data) * chunk
    measured = images_of(quick.every, data.n_train, "callbacks: every")
    end = module.max_images
    if measured > validated and (end is None or end > validated):
        yield (
            f"{key}={metric}: is measured after {measured:,} images for the first time, and asked "
            f"for after {validated:,}; callbacks.evaluation.every={validated} measures it in time"
        )


def idle_guard(
    config: Train, evaluator: Evaluator, callbacks: Sequence[pl.Callback]
) -> Iterator[str]:
    """A line about a guard that is to act on metrics of which none is measured."""
    if config.guard.action == "warn":
        return
    measured: list[str] = []
    if any(isinstance(callback, QuickMetrics) for callback in callbacks):
        metrics = evaluator.suite.sample_metrics
        measured = [number.name for metric in metrics for number in metric.numbers]
    if not set(WATCHED) & set(measured):
        yield (
            f"guard.action={config.guard.action}: none of {', '.join(WATCHED)} is measured along "
            "the way (metrics=quick, callbacks=default), so it sees no collapse, only numbers that "
            "are not finite"
        )
