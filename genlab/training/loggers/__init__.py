"""Where a run is written down: the run directory first, every other logger is its mirror.

Names are looked up when they are used, so that what only reads a history (``genlab compare``,
``genlab dashboard``) imports neither torch nor Lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genlab.training.loggers.build import (
        build_loggers,
        close_loggers,
        links,
        log_alert,
        log_checkpoint,
        log_image,
        log_metrics,
        rewind_loggers,
    )
    from genlab.training.loggers.history import read_metrics
    from genlab.training.loggers.images import compare, grid, save_png, show
    from genlab.training.loggers.progress import Progress
    from genlab.training.loggers.quiet import quiet_lightning

__all__ = [
    "Progress",
    "build_loggers",
    "close_loggers",
    "compare",
    "grid",
    "links",
    "log_alert",
    "log_checkpoint",
    "log_image",
    "log_metrics",
    "quiet_lightning",
    "read_metrics",
    "rewind_loggers",
    "save_png",
    "show",
]

_HOMES = {
    "build": (
        "build_loggers",
        "close_loggers",
        "links",
        "log_alert",
        "log_checkpoint",
        "log_image",
        "log_metrics",
        "rewind_loggers",
    ),
    "history": ("read_metrics",),
    "images": ("compare", "grid", "save_png", "show"),
    "progress": ("Progress",),
    "quiet": ("quiet_lightning",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
