"""Logger of the run directory: metrics.jsonl, alerts.jsonl and PNGs, always on and first."""

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from genlab.modalities.provenance import Kind, marked
from genlab.modalities.rendering import Pixels, Rendering, save_png, save_rendering
from genlab.runs import history
from genlab.runs.directory import Run

__all__ = ["FilesLogger", "image_path"]

KINDS: dict[str, tuple[Kind, ...]] = {
    "samples": ("synthetic",),
    "interpolations": ("synthetic",),
    "reconstructions": ("real", "synthetic"),
}
"""What genlab's own pictures of a run show, by their key; see `Outcome.kinds`."""


class FilesLogger(Logger):
    """Appends each event to metrics.jsonl as it happens, and saves images as PNG files.

    A line holds ``images_seen``, ``seconds`` (of logging, over all sessions of the run), ``time``
    (of the day, Unix seconds) and then the metrics; it is on disk when `log_metrics` returns.
    Images are ``<kind>/<images seen, nine digits>.png``.

    Args:
        run: The run directory.
    """

    def __init__(self, run: Run):
        super().__init__()
        self.run = run
        self._session = time.monotonic()
        self._start: float | None = None

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.name

    @property
    def version(self) -> str:
        """Empty: a run directory is one version."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run directory."""
        return str(self.run.path)

    @property
    def path(self) -> Path:
        """The history."""
        return self.run.metrics_file

    def _started(self) -> float:
        """Start of this session, had the run never been interrupted."""
        if self._start is None:
            history.repair(self.path)
            rows = history.read_metrics(self.path).rows if self.path.exists() else []
            before = max((float(row.get("seconds", 0.0)) for row in rows), default=0.0)
            self._start = self._session - before
        return self._start

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the configuration lies beside the history, in config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Appends a line.

        Args:
            metrics: Numbers, also as tensors of one element. ``seconds`` and ``time`` among them
                take the place of this logger's own.
            step: Images seen.

        Raises:
            ValueError: No step was given.
        """
        if step is None:
            raise ValueError("metrics are logged at a number of images seen, and there is none")
        started = self._started()
        row = {
            "images_seen": int(step),
            "seconds": round(time.monotonic() - started, 3),
            "time": round(time.time(), 3),
        }
        line = history.encode(row | {k: _number(v) for k, v in metrics.items()})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line)

    @rank_zero_only
    def log_image(
        self,
        key: str,
        images: Sequence[Pixels],
        step: int | None = None,
        caption: Sequence[str] | None = None,
    ) -> None:
        """Saves images of one kind; several at once are numbered."""
        if step is None:
            raise ValueError("images are logged at a number of images seen, and there is none")
        for i, image in enumerate(images):
            path = image_path(self.run, key, int(step), i if len(images) > 1 else None)
            save_png(path, image, self.note(key, int(step)))

    @rank_zero_only
    def log_text(self, key: str, text: str, step: int) -> None:
        """Saves text of one kind, beside the pictures."""
        path = image_path(self.run, key, int(step)).with_suffix(".txt")
        save_rendering(path, Rendering(text=text), self.note(key, int(step)))

    def note(self, key: str, images_seen: int) -> dict[str, Any] | None:
        """Where a picture of a kind comes from; None of a kind that is not known to be a model's.

        Pictures of training have the run's own seed, and no checkpoint yet.
        """
        if key not in KINDS:
            return None
        seed = self.run.read("run.json").get("seed")
        made = {"run": self.run.name, "images_seen": images_seen, "seed": seed}
        return marked(made, KINDS[key])

    @rank_zero_only
    def log_alert(self, title: str, text: str, step: int) -> None:
        """Appends a warning to alerts.jsonl."""
        row = {"images_seen": int(step), "time": round(time.time(), 3), title: text}
        with self.run.alerts_file.open("a", encoding="utf-8") as file:
            file.write(history.encode(row))

    @rank_zero_only
    def rewind(self, images_seen: int) -> None:
        """Drops what lies beyond the images seen, which a resumed run logs again."""
        for path in (self.path, self.run.alerts_file):
            history.rewind(path, images_seen)
        self._session, self._start = time.monotonic(), None


def image_path(run: Run, key: str, images_seen: int, index: int | None = None) -> Path:
    """The path of an image.

    Example:
        >>> str(image_path(Run(Path("runs/a")), "samples", 60000))
        'runs/a/samples/000060000.png'
    """
    kind = re.sub(r"[^A-Za-z0-9_-]+", "_", key)
    number = "" if index is None else f"_{index}"
    return run.path / kind / f"{images_seen:09d}{number}.png"


def _number(value: Any) -> int | float:
    if isinstance(value, bool | int):
        return int(value)
    return float(value)
