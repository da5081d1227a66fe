"""Loggers of a run, built from the ``logger`` group of the configuration; calls to all of them."""

import atexit
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from pytorch_lightning.loggers.logger import Logger

from genlab.modalities.rendering import Pixels, Rendering
from genlab.runs.directory import Run
from genlab.system.secrets import redact
from genlab.training.loggers.context import Context
from genlab.training.loggers.files import FilesLogger
from genlab.training.loggers.mirror import Mirror

__all__ = [
    "build_loggers",
    "close_loggers",
    "links",
    "log_alert",
    "log_checkpoint",
    "log_image",
    "log_metrics",
    "log_rendering",
    "rewind_loggers",
]

_open: list[Logger] = []
"""The loggers of this process's last run; a next run must not find them open."""


def build_loggers(
    chosen: Mapping[str, Any] | None,
    run: Run,
    config: Mapping[str, Any],
    *,
    group: str | None = None,
) -> list[Logger]:
    """The loggers of a run: its own files first, then each that the configuration names.

    Those of an earlier run in this process are closed first (jobs of a multirun may share one).

    Args:
        chosen: The ``logger`` group as plain data, a node with ``_target_`` under each name.
        run: The run directory.
        config: The whole resolved configuration as plain data; secrets are taken out here.
        group: The sweep that the run belongs to; by default the configuration's ``group``.

    Returns:
        A `FilesLogger`, then a `Mirror` for each other logger.

    Raises:
        ConfigError: A logger was asked for whose package is not installed.
    """
    close_loggers(_open)
    root = Path(config.get("root") or run.path.parent)
    known = redact(dict(config))
    context = Context(
        run=run,
        root=root if run.path.resolve().is_relative_to(root.resolve()) else run.path.parent,
        config=known,
        group=redact(group) or known.get("group"),
        tags=tuple(known.get("tags") or ()),
    )
    loggers: list[Logger] = [FilesLogger(run)]
    for name, node in (chosen or {}).items():
        if node is not None:
            loggers.append(Mirror(name, partial(_make, node, context)))
    _open[:] = loggers
    return loggers


def _make(node: Mapping[str, Any], context: Context) -> Logger:
    if str(node["_target_"]).startswith("genlab."):
        # A partial, since Hydra would turn a dataclass given as a keyword into a DictConfig.
        made: Logger = instantiate(node, _partial_=True)(context)
    else:
        made = instantiate(node)
    return made


def close_loggers(loggers: Iterable[Logger], status: str = "success") -> None:
    """Ends a run at all its loggers: the last call of a run, whatever happened.

    Args:
        loggers: What `build_loggers` returned.
        status: ``success``, or what happened instead.
    """
    for logger in list(loggers):
        if isinstance(logger, Mirror):
            logger.close(status)
        else:
            logger.finalize(status)
        if logger in _open:
            _open.remove(logger)


def rewind_loggers(loggers: Iterable[Logger], images_seen: int) -> None:
    """Drops from the history what lies beyond the checkpoint that a run is resumed from.

    W&B's, TensorBoard's and MLflow's histories can only grow: there the points between
    the checkpoint and the interruption stand twice, and equal.
    """
    _call(loggers, "rewind", images_seen)


def log_metrics(loggers: Iterable[Logger], metrics: Mapping[str, Any], step: int) -> None:
    """Logs numbers at this number of images seen, to every logger."""
    _call(loggers, "log_metrics", dict(metrics), step=step)


def log_image(
    loggers: Iterable[Logger],
    key: str,
    pixels: Pixels,
    step: int,
    caption: str | None = None,
) -> None:
    """Logs one picture to every logger that takes pictures, the same pixels to each.

    Args:
        loggers: The loggers.
        key: Its kind (``samples``, ``reconstructions``).
        pixels: uint8 of shape ``(H, W, 3)``, as `images.grid` makes it.
        step: Images seen.
        caption: A line below it, where a logger shows one.

    Raises:
        ValueError: The picture has another shape or type.
    """
    if not (isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8):
        raise ValueError(f"a picture must be a uint8 array, got {type(pixels).__name__}")
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"a picture must have shape (H, W, 3), got {pixels.shape}")
    extra: dict[str, Any] = {} if caption is None else {"caption": [caption]}
    _call(loggers, "log_image", key=key, images=[pixels], step=step, **extra)


def log_rendering(loggers: Iterable[Logger], key: str, rendering: Rendering, step: int) -> None:
    """Logs a picture, text, or both, to every logger that takes such.

    Args:
        loggers: The loggers.
        key: What kind of thing it is: ``samples``, ``reconstructions``.
        rendering: What a `Modality` made.
        step: Images seen.
    """
    if rendering.pixels is not None:
        log_image(loggers, key, rendering.pixels, step)
    if rendering.text is not None:
        _call(loggers, "log_text", key, rendering.text, step)


def log_alert(loggers: Iterable[Logger], title: str, text: str, step: int) -> None:
    """Logs a warning that a person should read, to every logger that shows such.

    Args:
        loggers: The loggers.
        title: Its subject, a word.
        text: One line.
        step: Images seen.
    """
    _call(loggers, "log_alert", title, text, step)


def log_checkpoint(loggers: Iterable[Logger], path: Path, *aliases: str) -> None:
    """Logs a checkpoint file, to every logger that keeps such files.

    Args:
        loggers: The loggers.
        path: The file; it is copied or uploaded before anything else may replace it.
        aliases: What the checkpoint is: ``best``, ``last``.
    """
    _call(loggers, "log_checkpoint", path, aliases or ("latest",))


def _call(loggers: Iterable[Logger], method: str, *args: Any, **kwargs: Any) -> None:
    """Calls a method of each logger that has it."""
    for logger in loggers:
        if hasattr(logger, method):
            getattr(logger, method)(*args, **kwargs)


def links(loggers: Iterable[Logger]) -> dict[str, str]:
    """The run's pages online, by the logger's name."""
    found = {one.title: one.link() for one in loggers if isinstance(one, Mirror)}
    return {title: link for title, link in found.items() if link is not None}


@atexit.register
def _close_at_exit() -> None:
    close_loggers(_open, "interrupted")
