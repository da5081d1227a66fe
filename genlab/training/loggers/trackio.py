"""The local dashboard's logger: an SQLite file and PNGs under the run root, no account, no network.

Trackio stays in the process and is written to by a thread of its own, twice a second; a call of
`log_metrics` only puts a row into a queue.
"""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from genlab.modalities.rendering import Pixels
from genlab.training.loggers import store
from genlab.training.loggers.context import Context

__all__ = ["TrackioLogger"]


class TrackioLogger(Logger):
    """Logs into the store that ``genlab dashboard`` shows.

    The run appears there under its path below the run root. A resumed run continues under the
    same name; what it had logged beyond the checkpoint it resumes from is dropped.

    Args:
        context: The run.
        project: Name of the project in the store.
    """

    def __init__(self, context: Context, project: str = store.PROJECT):
        super().__init__()
        self.context = context
        self.project = project
        self._store = store.bind(context.root)
        self._run: Any = None
        # Asked now, before the first line of this session is written there.
        self._fresh = not context.run.metrics_file.exists()

    @property
    def name(self) -> str:
        """The project."""
        return self.project

    @property
    def version(self) -> str:
        """The run's name."""
        return self.context.name

    @property
    def save_dir(self) -> str:
        """The store."""
        return str(self._store)

    @property
    def experiment(self) -> Any:
        """The trackio run, begun at the first call."""
        if self._run is None:
            self._run = store.begin(
                self.context.root,
                self.project,
                self.context.name,
                config=store.flat(self.context.config),
                group=self.context.group,
                fresh=self._fresh,
            )
            self._fresh = False
        return self._run

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the context holds the configuration, which trackio wants before a run begins."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Queues a row at this number of images seen."""
        self.experiment.log({k: float(v) for k, v in metrics.items()}, step=step)

    @rank_zero_only
    def log_image(
        self,
        key: str,
        images: Sequence[Pixels],
        step: int | None = None,
        caption: Sequence[str] | None = None,
    ) -> None:
        """Saves images into the store, at this number of images seen."""
        import trackio

        run = self.experiment
        for i, image in enumerate(images):
            name = key if len(images) == 1 else f"{key}/{i}"
            run.log(
                {name: trackio.Image(image, caption=caption[i] if caption else None)}, step=step
            )

    @rank_zero_only
    def log_alert(self, title: str, text: str, step: int) -> None:
        """Shows a warning in the dashboard's list of alerts."""
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what was said already
            self.experiment.alert(title, text, step=step)

    @rank_zero_only
    def rewind(self, images_seen: int) -> None:
        """Drops what the store has beyond the images seen: the run is imported anew.

        The run directory's history must be rewound before.
        """
        self.finalize("success")
        context = self.context
        store.rewind(
            context.root,
            self.project,
            context.run,
            context.name,
            images_seen,
            config=context.config,
            group=context.group,
        )

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Waits until everything is written; a later event continues the run."""
        run, self._run = self._run, None
        if run is not None:
            store.end(run)
