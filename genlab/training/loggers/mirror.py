"""Mirror of a logger that may fail: all it is given is in the run directory, too."""

from collections.abc import Callable
from typing import Any

from pytorch_lightning.loggers.logger import DummyExperiment, Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from genlab.errors import GenlabError
from genlab.system.terminal import notice

__all__ = ["Mirror"]


class Mirror(Logger):
    """Forwards every call to another logger until that fails for the first time.

    One line reports the failure, and the run continues without that logger. Lightning finalizes
    its loggers at the end of each ``fit`` and ``test``, but a run is over only after its
    evaluation: so `finalize` just keeps the status, and `close` ends the run.

    Args:
        title: The logger's name in the configuration.
        factory: Makes the logger; called at once, in the first process only.

    Raises:
        GenlabError: As ``factory`` raises it: the user asked for something impossible.
    """

    def __init__(self, title: str, factory: Callable[[], Logger]):
        super().__init__()
        self.title = title
        self.inner: Logger | None = None
        self._status = "success"
        if getattr(rank_zero_only, "rank", 0) in (None, 0):
            try:
                self.inner = factory()
            except GenlabError:
                raise
            except Exception as error:
                self._drop("cannot start", error)

    def _drop(self, what: str, error: Exception) -> None:
        inner, self.inner = self.inner, None
        reason = " ".join(str(error).split())[:200] or "no reason given"
        notice(
            f"genlab: warning: logger={self.title} {what} ({type(error).__name__}: {reason}); "
            "the run goes on without it, its own directory has everything"
        )
        if inner is not None:
            # So that a next job of this process does not continue the broken one.
            self.inner = inner
            try:
                inner.finalize("failed")
            except Exception as again:
                notice(f"genlab: warning: logger={self.title} could not be closed either: {again}")
            self.inner = None

    def _forward(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if self.inner is None or not hasattr(self.inner, method):
            return None
        try:
            return getattr(self.inner, method)(*args, **kwargs)
        except Exception as error:
            self._drop(f"failed in {method}", error)
            return None

    @property
    def name(self) -> str | None:
        """The other logger's."""
        return self.inner.name if self.inner is not None else self.title

    @property
    def version(self) -> int | str | None:
        """The other logger's."""
        return self.inner.version if self.inner is not None else None

    @property
    def save_dir(self) -> str | None:
        """The other logger's."""
        return self.inner.save_dir if self.inner is not None else None

    @property
    def experiment(self) -> Any:
        """The other logger's, or something that takes every call and does nothing."""
        return getattr(self.inner, "experiment", None) or DummyExperiment()

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self._forward("log_hyperparams", params, *args, **kwargs)

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self._forward("log_metrics", metrics, step=step)

    def log_image(
        self, key: str, images: list[Any], step: int | None = None, **kwargs: Any
    ) -> None:
        """Forwards images, if the other logger takes any."""
        self._forward("log_image", key=key, images=images, step=step, **kwargs)

    def log_text(self, key: str, text: str, step: int) -> None:
        """Hands on text, if the other logger takes any."""
        self._forward("log_text", key, text, step)

    def log_checkpoint(self, path: Any, aliases: tuple[str, ...] = ("latest",)) -> None:
        """Forwards a checkpoint file, if the other logger keeps any."""
        self._forward("log_checkpoint", path, aliases)

    def log_alert(self, title: str, text: str, step: int) -> None:
        """Forwards a warning, if the other logger shows any."""
        self._forward("log_alert", title, text, step)

    def log_table(self, key: str, columns: list[str], data: list[list[Any]]) -> None:
        """Forwards a table, if the other logger takes any."""
        self._forward("log_table", key, columns, data)

    def link(self) -> str | None:
        """The run's page, if the other logger has one."""
        url: str | None = self._forward("link")
        return url

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        self._forward("after_save_checkpoint", checkpoint_callback)

    def save(self) -> None:
        self._forward("save")

    def finalize(self, status: str) -> None:
        """Keeps the status of a phase that ended otherwise than well."""
        if status != "success":
            self._status = status

    def close(self, status: str | None = None) -> None:
        """Ends the run at the other logger; a second call does nothing."""
        self._forward("finalize", status or self._status)
        self.inner = None
