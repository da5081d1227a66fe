"""CSV logger: a table of the metrics, for a spreadsheet."""

from collections.abc import Mapping
from typing import Any

from pytorch_lightning.loggers import CSVLogger as LightningCSVLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from genlab.training.loggers.context import Context

__all__ = ["CSVLogger"]


class CSVLogger(LightningCSVLogger):
    """Writes ``<run>/csv/version_<n>/metrics.csv``; its ``step`` is the number of images seen.

    Each session of a resumed run gets a version of its own: Lightning would delete the last one.

    Args:
        context: The run.
    """

    def __init__(self, context: Context):
        super().__init__(save_dir=context.run.path, name="csv")

    @rank_zero_only
    def log_hyperparams(self, params: Any = None) -> None:
        """Nothing: the configuration lies in the run directory's config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Adds a row."""
        super().log_metrics({k: float(v) for k, v in metrics.items()}, step)
        self.save()
