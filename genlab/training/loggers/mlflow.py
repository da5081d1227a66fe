"""MLflow logger: a local database under the run root, or a tracking server."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from pytorch_lightning.loggers import MLFlowLogger as LightningMLFlowLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from genlab.comparison.flat import table_values
from genlab.errors import ConfigError
from genlab.modalities.rendering import Pixels
from genlab.training.loggers.context import Context

__all__ = ["MLFlowLogger"]

MAX_LENGTH = 500
"""Characters of a parameter's value that MLflow stores."""


class MLFlowLogger(LightningMLFlowLogger):
    """Logs to MLflow; a resumed run continues under its id, from the run directory.

    Args:
        context: The run.
        experiment: Name of the experiment.
        uri: Tracking server; None keeps everything under the run root: a database in
            ``mlflow.db``, pictures in ``mlflow/``.

    Raises:
        ConfigError: mlflow is not installed.
    """

    def __init__(self, context: Context, experiment: str = "genlab", uri: str | None = None):
        try:
            for package in ("mlflow", "sqlalchemy", "alembic"):
                import_module(package)
        except ImportError:
            raise ConfigError(
                "logger=mlflow: a package is missing; pip install 'genlab[mlflow]'"
            ) from None
        root = context.root.resolve()
        super().__init__(
            experiment_name=experiment,
            run_name=context.name,
            tracking_uri=uri or f"sqlite:///{root / 'mlflow.db'}",
            artifact_location=None if uri else (root / "mlflow").as_uri(),
            tags={
                "job_type": context.job_type,
                "group": context.group or "",
                "tags": ",".join(context.tags),
            },
            run_id=context.run.read("run.json").get("mlflow_id"),
        )
        self.context = context

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the context holds the configuration, logged when the run begins."""

    @property
    def experiment(self) -> Any:
        """The client; the first call begins the run and logs the configuration."""
        client = super().experiment
        if self._run_id is not None and self.context.run.read("run.json").get("mlflow_id") is None:
            self.context.run.update("run.json", mlflow_id=self._run_id)
            for name, value in table_values(self.context.config).items():
                client.log_param(self._run_id, name, str(value)[:MAX_LENGTH])
        return client

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Logs values at this number of images seen."""
        _ = self.experiment
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
        client = self.experiment
        for i, image in enumerate(images):
            name = key if len(images) == 1 else f"{key}_{i}"
            client.log_image(self._run_id, image, key=name, step=step or 0)

    @rank_zero_only
    def log_text(self, key: str, text: str, step: int) -> None:
        """Logs text of one kind at this number of images seen."""
        self.experiment.log_text(self._run_id, text, f"{key}/{step:09d}.txt")

    @rank_zero_only
    def finalize(self, status: str = "success") -> None:
        """Ends the run; a later event continues it."""
        if self._initialized:
            super().finalize(status if status in ("success", "failed") else "KILLED")
