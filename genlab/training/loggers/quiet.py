"""Filter of the messages that Lightning prints at each start and nobody needs."""

import logging
import warnings

__all__ = ["quiet_lightning"]

LOGGERS = (
    "pytorch_lightning.utilities.rank_zero",
    "lightning_fabric.utilities.rank_zero",
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.rank_zero",
)


class _Quiet(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING


def quiet_lightning() -> None:
    """Drops what Lightning tells of itself (devices, intervals, restored states, advertisements),
    which the run's own header says better; warnings and errors stay.

    A second call does nothing.
    """
    # Lightning 2.6 on newer releases of torch; nothing that a user could fix.
    warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
    # A model of another run that this one's is given stays in evaluation mode.
    warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode at the start")
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(f, _Quiet) for f in logger.filters):
            logger.addFilter(_Quiet())
