"""TensorBoard logger: event files in the run directory, and a row of the HParams tab."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger as LightningTensorBoardLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from genlab.comparison.flat import table_values
from genlab.errors import ConfigError
from genlab.modalities.rendering import Pixels
from genlab.training.loggers.context import Context

__all__ = ["TensorBoardLogger"]


class TensorBoardLogger(LightningTensorBoardLogger):
    """Logs into ``<run>/tensorboard``; show all runs with ``tensorboard --logdir runs``.

    Args:
        context: The run.
        hparams: Write the configuration for the HParams tab (parallel coordinates, scatter
            plots), beside the last value of each metric.

    Raises:
        ConfigError: tensorboard is not installed.
    """

    def __init__(self, context: Context, hparams: bool = True):
        try:
            import_module("tensorboard")
        except ImportError:
            raise ConfigError(
                "logger=tensorboard: the package is missing; pip install 'genlab[tensorboard]'"
            ) from None
        super().__init__(
            save_dir=context.run.path, name="tensorboard", version="", default_hp_metric=False
        )
        self.context = context
        self.write_hparams = hparams
        self.metric_names: dict[str, None] = {}

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the configuration is written when it is known which metrics there are."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Logs scalars at this number of images seen."""
        self.metric_names.update(dict.fromkeys(metrics))
        super().log_metrics({k: float(v) for k, v in metrics.items()}, step)

    @rank_zero_only
    def log_image(
        self,
        key: str,
        images: Sequence[Pixels],
        step: int | None = None,
        caption: Sequence[str] | None = None,
    ) -> None:
        """Logs images of one kind at this number of images seen."""
        for i, image in enumerate(images):
            name = key if len(images) == 1 else f"{key}/{i}"
            self.experiment.add_image(name, image, global_step=step, dataformats="HWC")

    @rank_zero_only
    def log_text(self, key: str, text: str, step: int) -> None:
        """Logs text of one kind at this number of images seen."""
        self.experiment.add_text(key, text, global_step=step)

    @rank_zero_only
    def log_alert(self, title: str, text: str, step: int) -> None:
        """Shows a warning among the texts."""
        self.experiment.add_text(f"alerts/{title}", text, global_step=step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Writes the configuration into the run's own event file, and closes that.

        ``SummaryWriter.add_hparams`` would make a second run of it.
        """
        if self._experiment is None:
            return
        if self.write_hparams and self.metric_names:
            from torch.utils.tensorboard.summary import hparams

            values = {
                k: v if isinstance(v, bool | int | float | str) else str(v)
                for k, v in table_values(self.context.config).items()
            }
            for summary in hparams(values, dict.fromkeys(self.metric_names, 0.0)):
                writer = self.experiment._get_file_writer()
                assert writer is not None
                writer.add_summary(summary)
        super().finalize(status)
        self._experiment = None
