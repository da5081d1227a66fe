"""Where reports go: the run's evaluation folder, its summary, and the loggers of its training."""

import time
from typing import Any

from genlab.commands.build import Loaded
from genlab.metrics.report import Report
from genlab.runs import write_json

__all__ = ["keep_report"]


def keep_report(report: Report, loaded: Loaded, name: str) -> None:
    """Writes a report into the run directory, and its numbers into the run's summary.

    Args:
        report: The report.
        loaded: The model that it is of.
        name: What asked for it: ``closing``, or the name of a metrics config.
    """
    provenance: dict[str, Any] = {
        "name": name,
        "checkpoint": loaded.checkpoint.stem,
        "images_seen": loaded.images_seen,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    file = loaded.run.path / "evaluation" / f"{name}-{loaded.images_seen:09d}.json"
    write_json(file, provenance | report.to_dict())
    summary = loaded.run.read("summary.json")
    loaded.run.update(
        "summary.json",
        metrics=summary.get("metrics", {}) | report.scalars(),
        evaluated_images_seen=loaded.images_seen,
        weights=loaded.weights,
    )
