"""The check of the monitored metric: it must be measured, which is known before a run begins."""

from collections.abc import Iterable

import pytorch_lightning as pl
from pytorch_lightning.callbacks import LearningRateMonitor

from genlab.data.feed.eval_loader import EvalLoader
from genlab.data.module import ImageDataModule
from genlab.errors import ConfigError, nearest
from genlab.metrics.builtin import LIKELIHOOD
from genlab.metrics.likelihood import likelihood_keys
from genlab.rng import isolated
from genlab.training.checkpoints import Checkpoints
from genlab.training.evaluation import QuickMetrics
from genlab.training.evaluator import Evaluator
from genlab.training.generative_module import GenerativeModule
from genlab.types import Batch

__all__ = ["check_monitor"]

LOOK = 64
"""Validation images that are shown to the family, to learn what it says about them."""

OURS = ("genlab.", "pytorch_lightning.")
"""Whose callbacks log nothing that could be monitored, but for what is listed here."""


def check_monitor(
    checkpoints: Checkpoints,
    module: GenerativeModule,
    evaluator: Evaluator,
    callbacks: Iterable[pl.Callback],
) -> None:
    """Refuses a monitor that no validation will know.

    A callback of the user's own may log what it likes: then the first validation has to tell.

    Args:
        checkpoints: What monitors.
        module: What validates.
        evaluator: What measures along the way; its data is set up.
        callbacks: All callbacks of the run.

    Raises:
        ConfigError: There will be no such metric; says which there will be.
    """
    asked, callbacks = checkpoints.monitor, list(callbacks)
    if asked == "auto" or any(logs_what_it_likes(callback) for callback in callbacks):
        return
    known = validation_keys(module)
    floors: list[str] = []
    for callback in callbacks:
        if isinstance(callback, QuickMetrics):
            quick = quick_keys(evaluator, module)
            known += [f"quick/{key}" for key in quick]
            floors += [f"quick/floor_{key}" for key in quick]
    if asked in (*known, *floors):
        return
    known += [f"val/{name}" for name in diagnosed(module, evaluator.data)]
    if asked not in known:
        raise ConfigError(
            f"callbacks.checkpoints.monitor={asked}: will not be measured"
            f"{nearest(asked, [*known, *floors]) or ';'} there will be "
            f"{', '.join(sorted(known)) or 'no metric'}"
        )


def logs_what_it_likes(callback: pl.Callback) -> bool:
    """True if metrics may come of a callback that are not known before."""
    ours = type(callback).__module__.startswith(OURS)
    return not ours or isinstance(callback, LearningRateMonitor)


def validation_keys(module: GenerativeModule) -> list[str]:
    """Keys of a family's validation, without its diagnostics."""
    if module.model.can("log_prob"):
        return ["val/nll", "val/loss", "val/bpd"]
    return ["val/loss"] if len(module.model.players) == 1 else []


def diagnosed(module: GenerativeModule, data: ImageDataModule) -> list[str]:
    """The names of the family's diagnostics, which only it knows: it is asked for some."""
    model = module.eval_model
    if not len(data.val.x):
        return []
    batch = next(iter(EvalLoader(data.val, min(LOOK, len(data.val.x)))))
    with isolated(module.seed, "val", 0), model.evaluating():
        return list(model.diagnostics(batch if model.conditional else Batch(batch.x)))


def quick_keys(evaluator: Evaluator, module: GenerativeModule) -> list[str]:
    """Keys of the metrics along the way; some are not defined of some images."""
    suite = evaluator.suite
    if not suite.sample_metrics:
        return []
    keys = suite.keys(evaluator.extractors())
    if LIKELIHOOD in suite.asked and module.model.likelihood != "none":
        total = len(getattr(evaluator.data, evaluator.split).x)
        n = min(suite.likelihood_images or total, total)
        keys += likelihood_keys(
            module.model.likelihood, suite.likelihood_samples, n, total, module.model.bound_name
        )
    return keys
