"""Reports in the run's evaluation folder, its summary, and the loggers of its training."""

import hashlib
import json
from typing import Any

from genlab.experiment.trained import Loaded
from genlab.metrics.report import Report
from genlab.modalities.images.grid import grid
from genlab.modalities.provenance import Kind, marked
from genlab.modalities.rendering import save_png
from genlab.system.clock import now
from genlab.system.paths import write_json
from genlab.training.loggers.setup import build_loggers, close_loggers, log_metrics

__all__ = ["keep_report", "log_report"]


def keep_report(report: Report, loaded: Loaded, name: str) -> None:
    """Writes a report into the run directory, and its numbers into the run's summary.

    One of samples that were not drawn as the family does by default is a file of its own, and the
    summary keeps the numbers of those that were.

    Args:
        report: The report.
        loaded: The model that it is of.
        name: What asked for it: ``closing``, or the name of a metrics config.
    """
    # The file
    provenance: dict[str, Any] = {
        "name": name,
        "checkpoint": loaded.checkpoint.stem,
        "images_seen": loaded.images_seen,
        "created": now(),
        "classes": loaded.run.read("run.json").get("classes", []),
    }
    stem = f"{name}-{loaded.images_seen:09d}"
    if report.sampling:
        sampling = json.dumps(report.sampling, sort_keys=True)
        stem += f"-{hashlib.sha256(sampling.encode()).hexdigest()[:8]}"
    file = loaded.run.path / "evaluation" / f"{stem}.json"
    write_json(file, provenance | report.to_dict())
    if report.panel is not None:
        # Samples beside their nearest training images: what a copy would look like.
        note = {"run": loaded.run.name, "checkpoint": loaded.checkpoint.stem, "seed": report.seed}
        note |= {"weights": loaded.weights, "images_seen": loaded.images_seen}
        picture = grid(report.panel.picture[None], columns=1)
        neighbours: list[Kind] = ["real"] * report.panel.neighbours.shape[1]
        save_png(file.with_suffix(".png"), picture, marked(note, ("synthetic", *neighbours)))
    # The summary
    if report.sampling:
        return
    summary = loaded.run.read("summary.json")
    loaded.run.update(
        "summary.json",
        metrics=summary.get("metrics", {}) | report.scalars(),
        evaluated_images_seen=loaded.images_seen,
        weights=loaded.weights,
        **(
            {}
            if report.samples_per_second is None
            else {"samples_per_second": report.samples_per_second}
        ),
    )


def log_report(report: Report, loaded: Loaded) -> None:
    """Writes a later evaluation into the history that training wrote, at the images seen then.

    The run's own loggers go on under the same identity: the same W&B run, the same dashboard row.
    """
    loggers = build_loggers(loaded.config.logger, loaded.run, loaded.config.content)
    try:
        scalars = {f"test/{key}": value for key, value in report.scalars().items()}
        log_metrics(loggers, scalars, loaded.images_seen)
    finally:
        close_loggers(loggers)
