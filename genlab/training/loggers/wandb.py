"""Weights & Biases logger that never prompts, never hangs and never fails a run.

Left alone, wandb 0.31 raises without a key, waits 103 s for a silent server and then raises, and
continues the first run of a process in every later one. So genlab decides the mode, bounds every
wait, gives each run directory a run id of its own, and ends the run when the run is over.
"""

import contextlib
import html
import os
import secrets
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from pytorch_lightning.loggers import WandbLogger as LightningWandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from genlab.errors import ConfigError
from genlab.modalities.rendering import Pixels
from genlab.ranges import PositiveFloat
from genlab.system.patching import environment, replaced
from genlab.system.paths import shown
from genlab.system.secrets import redact
from genlab.system.terminal import notice
from genlab.training.loggers.context import Context
from genlab.training.loggers.wandb_mode import choose_mode

__all__ = ["WandbLogger"]

INIT_TIMEOUT = 7.0
"""Seconds that a server may take to accept a run; with the fall-back, under 15 in all, also where
the processor is shared and wandb's own process takes seconds to start."""


class WandbLogger(LightningWandbLogger):
    """Logs to Weights & Biases if there is a key and a server, else into the run directory.

    Its files lie in the run directory, or in the folder that WANDB_DIR names. Metrics stand against
    ``images_seen``. A resumed run keeps its id, from the run directory.

    Args:
        context: The run.
        project: Name of the W&B project.
        entity: User or team; the account's default if None.
        mode: ``auto`` is online with a key in ``WANDB_API_KEY`` or netrc, else offline;
            ``WANDB_MODE`` overrules it.
        log_model: Upload the checkpoints that are handed over as artifacts.
        timeout: Seconds that the rest of the upload may take when the run is over.
        notes: A longer description.
    """

    def __init__(
        self,
        context: Context,
        project: str = "genlab",
        entity: str | None = None,
        mode: Literal["auto", "online", "offline", "disabled"] = "auto",
        log_model: bool = False,
        timeout: PositiveFloat = 60.0,
        notes: str | None = None,
    ):
        # Must be set before the import: its default reports to the server even offline.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self.context, self.timeout = context, timeout
        # Absolute: W&B's own process may have been started by an earlier run, in another folder.
        path = wandb_folder(context.run.path)
        stored = context.run.read("run.json").get("wandb_id")
        self.url: str | None = None
        self.run_id = str(stored or os.environ.get("WANDB_RUN_ID") or secrets.token_hex(4))
        if stored is None:
            context.run.update("run.json", wandb_id=self.run_id)
        if path != context.run.path.resolve():
            context.run.update("run.json", wandb_dir=str(path))
        super().__init__(name=context.name, project=project, id=self.run_id, log_model=log_model)
        self._save_dir = str(path)
        self.folder = path
        with quiet_terminal():
            server = wandb.setup().settings.base_url
        self.mode, self.reason = choose_mode(mode, server)
        self.arguments: dict[str, Any] = {
            "project": project,
            "entity": entity,
            "name": context.name,
            "id": self.run_id,
            "resume": "allow",
            "dir": str(path),
            "config": redact(dict(context.config)),
            "group": context.group,
            "job_type": context.job_type,
            "tags": list(context.tags),
            "notes": redact(notes),
        }

    @property
    def experiment(self) -> Any:
        """The wandb run, started at the first call."""
        if getattr(rank_zero_only, "rank", 0) != 0:
            return super().experiment
        if self._experiment is None:
            self._experiment = self._start()
        return self._experiment

    def _start(self) -> Any:
        import wandb

        if wandb.run is not None:
            wandb.finish()  # of another job in this process; it must not get this one's metrics
        if self.mode == "online":
            run = self._start_online()
            if run is not None:
                self.url = run.url
                notice(f"W&B: {run.url}")
                return run
        run = self._init("offline" if self.mode == "online" else self.mode)
        if self.mode != "disabled":
            where = shown(Path(run.dir).parent)
            notice(
                f"W&B: {self.reason}, so logging offline; view with "
                f"`wandb leet {Path(where).parent}`, upload with `wandb sync {where}`"
            )
        return run

    def _start_online(self) -> Any:
        import wandb

        folders = self.folder / "wandb"
        before = set(folders.glob("run-*"))
        try:
            return self._init("online")
        except Exception as error:
            # The service still holds the run's id, and would refuse it to the offline run.
            wandb.teardown()
            for empty in set(folders.glob("run-*")) - before:
                shutil.rmtree(empty)
            what = " ".join(str(error).split())[:160]
            self.reason = f"no run could be started at the server ({what})"
            return None

    def _init(self, mode: Any) -> Any:
        import wandb

        wanted: dict[str, Any] = {
            "init_timeout": INIT_TIMEOUT,
            "login_timeout": 1.0,
            "finish_timeout": self.timeout,
            "finish_timeout_raises": True,
            "console": "off",  # a progress bar would fill output.log
            "x_save_requirements": False,  # environment.json has the versions
            "silent": True,
            "quiet": True,
        }
        known = wandb.Settings.model_fields
        settings = wandb.Settings(**{k: v for k, v in wanted.items() if k in known})
        with plain_arguments(), quiet_terminal():
            run = wandb.init(mode=mode, settings=settings, **self.arguments)
        run.define_metric("images_seen")
        run.define_metric("*", step_metric="images_seen", step_sync=True)
        return run

    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:
        """Adds to the configuration, without its secrets."""
        self.experiment.config.update(redact(_plain(params)), allow_val_change=True)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Logs a row at this number of images seen."""
        row: dict[str, Any] = {k: float(v) for k, v in metrics.items()}
        self.experiment.log(row if step is None else row | {"images_seen": int(step)})

    @rank_zero_only
    def log_image(
        self,
        key: str,
        images: list[Pixels],
        step: int | None = None,
        caption: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Logs images of one kind at this number of images seen, always as uint8."""
        import wandb

        pictures = [
            wandb.Image(image, caption=caption[i] if caption else None)
            for i, image in enumerate(images)
        ]
        row: dict[str, Any] = {key: pictures[0] if len(pictures) == 1 else pictures}
        self.experiment.log(row if step is None else row | {"images_seen": int(step)})

    @rank_zero_only
    def log_text(self, key: str, text: str, step: int) -> None:  # type: ignore[override]
        """Logs text of one kind at this number of images seen."""
        import wandb

        shown = wandb.Html(f"<pre>{html.escape(text)}</pre>")
        self.experiment.log({key: shown, "images_seen": int(step)})

    @rank_zero_only
    def log_checkpoint(self, path: Path, aliases: tuple[str, ...] = ("latest",)) -> None:
        """Keeps a checkpoint as an artifact, if checkpoints were asked for (``log_model``)."""
        import wandb

        if not self._log_model:
            return
        run = self.experiment
        artifact = wandb.Artifact(f"model-{self.run_id}", type="model")
        with self._staged_here():
            artifact.add_file(str(path))
            run.log_artifact(artifact, aliases=list(aliases))

    @rank_zero_only
    def log_table(  # type: ignore[override]
        self, key: str, columns: list[str], data: list[list[Any]], **kwargs: Any
    ) -> None:
        """Logs a table: a row of data has an entry for each column."""
        import wandb

        self.experiment.log({key: wandb.Table(columns=[*columns], data=data)})

    def link(self) -> str | None:
        """The run's page, None where it is logged offline."""
        return self.url

    @rank_zero_only
    def log_alert(self, title: str, text: str, step: int) -> None:
        """Sends a warning, which W&B shows with the run and mails to who wants that."""
        self.experiment.alert(title=title, text=f"after {step:,} images: {text}", level="WARN")

    def _staged_here(self) -> AbstractContextManager[None]:
        """Inside, what is to be uploaded is copied beside the run's files, not into the home."""
        named = os.environ.get("WANDB_DATA_DIR")
        return environment(WANDB_DATA_DIR=named or str(self.folder / "wandb"))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Ends the run, and with it W&B's part of this process; a later event resumes it."""
        with self._staged_here():
            super().finalize(status)
        run, self._experiment = self._experiment, None
        if run is not None:
            try:
                with quiet_terminal():
                    run.finish(exit_code=0 if status == "success" else 1)
            except TimeoutError:
                stop_service()
                notice(
                    f"W&B: the upload did not end within {self.timeout:g} s; "
                    f"`wandb sync {shown(Path(run.dir).parent)}` does the rest"
                )


def wandb_folder(run: Path) -> Path:
    """Folder of W&B's files of a run: in its directory, or where the user's WANDB_DIR says.

    Raises:
        ConfigError: That cannot be written to.
    """
    named = os.environ.get("WANDB_DIR")
    if not named:
        return run.resolve()
    folder = Path(os.path.expanduser(named)).resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"WANDB_DIR={named}: cannot be written to ({error.strerror})") from None
    return folder


def stop_service(patience: float = 5.0) -> None:
    """Ends wandb's own process, which else keeps this one from exiting while it tries again.

    What was not uploaded is in the run's file, from which ``wandb sync`` uploads it.
    """
    import wandb

    connection = getattr(wandb.setup(), "_connection", None)
    process = getattr(getattr(connection, "_proc", None), "_process", None)
    ending = threading.Thread(target=wandb.teardown, daemon=True)
    ending.start()
    ending.join(patience)
    if ending.is_alive() and process is not None:
        process.kill()
        ending.join(patience)


@contextlib.contextmanager
def plain_arguments() -> Iterator[None]:
    """Inside, the command line is without secrets: wandb records it."""
    with replaced(sys, "argv", redact(list(sys.argv))):
        yield


@contextlib.contextmanager
def quiet_terminal() -> Iterator[None]:
    """Inside, wandb prints nothing, not even what ``silent`` lets through."""
    with environment(WANDB_SILENT="true"):
        yield


def _plain(params: Any) -> dict[str, Any]:
    return dict(params) if isinstance(params, Mapping) else dict(vars(params))
