"""Facts of a model card, gathered from the files of a run alone."""

import hashlib
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.config.saved import load_config
from genlab.errors import DataError
from genlab.runs.directory import Run
from genlab.system.secrets import redact

if TYPE_CHECKING:
    from genlab.data.images import ImageData

__all__ = ["FORMAT", "gather", "newest_grid", "terms"]

FORMAT = "genlab-card-1"

NUMBER = ("value", "better", "floor", "n", "floor_n", "split", "std", "low", "high")
"""What a card keeps of a `Value`."""

GENERAL = ("checkpoint", "images_seen", "weights", "seed", "seeds")
"""What it keeps of the report that a number is from."""


def terms(source: "ImageData") -> dict[str, str]:
    """Name, licence and attribution of a run's data."""
    return {
        "name": source.name,
        "licence": source.terms.licence,
        "attribution": source.terms.attribution,
    }


def gather(run: Run, source: "ImageData") -> dict[str, Any]:
    """Facts about a trained run, as JSON can hold them, without secrets.

    Args:
        run: The run.
        source: Its data, which know their terms.

    Raises:
        ConfigError: A file of the run is damaged.
        DataError: Its config or a report of it is.
    """
    identity, summary = run.read("run.json"), run.read("summary.json")
    machine = run.read("environment.json")
    model = load_config(run.config_file).get("model") or {}
    numbers, others = measured(run)
    command = [str(word) for word in identity.get("command") or ()][1:]
    facts: dict[str, Any] = redact(
        {
            "format": FORMAT,
            "run": run.name,
            "created": identity.get("created"),
            "status": identity.get("status"),
            "seed": identity.get("seed"),
            "model": {
                "config": identity.get("model"),
                "class": model.get("_target_"),
                "parameters": summary.get("parameters"),
            },
            "data": {
                **terms(source),
                "config": identity.get("data"),
                "fingerprint": identity.get("fingerprint"),
                "images": identity.get("images") or {},
                "spec": identity.get("spec") or {},
                "classes": identity.get("classes") or [],
            },
            "images_seen": summary.get("images_seen"),
            "numbers": numbers,
            "other_reports": others,
            "command": f"genlab {shlex.join(command)}" if command else None,
            "versions": {
                "genlab": machine.get("genlab"),
                "commit": machine.get("commit"),
                "python": machine.get("python"),
                **(machine.get("packages") or {}),
            },
            "hardware": {
                "device": summary.get("device"),
                "gpu": machine.get("gpu") or [],
                "cpu_cores": machine.get("cpu_cores"),
                "threads": machine.get("threads"),
            },
            "train_seconds": summary.get("train_seconds"),
            "energy": None,  # nothing here measures it
            "checkpoints": dict(checkpoints(run)),
            "warnings": [str(one.get("text")) for one in summary.get("warnings") or ()],
        }
    )
    return facts


def measured(run: Run) -> tuple[list[dict[str, Any]], list[str]]:
    """The newest number of each key with the report that it is from, and the other reports.

    The others are of samples that were not drawn as the family does by default.

    Raises:
        DataError: A report cannot be read.
    """
    reports, others = [], []
    for file in sorted((run.path / "evaluation").glob("*.json")):
        try:
            report = json.loads(file.read_text(encoding="utf-8"))
            told = (str(report.get("created", "")), file.name, report)
            values = list(report["values"])
        except (ValueError, OSError, AttributeError, KeyError, TypeError, RecursionError):
            raise DataError(
                f"{file}: is no report; genlab evaluate run={run.name} writes it anew"
            ) from None
        if report.get("sampling"):
            others.append(file.name)
        elif values:
            reports.append(told)
    found: dict[str, dict[str, Any]] = {}
    for _, name, report in sorted(reports, key=lambda told: told[:2]):
        general = {key: report.get(key) for key in GENERAL}
        for value in report["values"]:
            label = (value.get("number") or {}).get("label", "")
            kept = {key: value.get(key) for key in NUMBER}
            named = {"metric": str(value["key"]), "label": label}  # "key" would be a secret's name
            found[named["metric"]] = {**named, **kept, "report": name, **general}
    return list(found.values()), others


def checkpoints(run: Run) -> Iterator[tuple[str, str]]:
    """Name and SHA-256 of the best and the last checkpoint, as far as they are there."""
    for which in ("best", "last"):
        file = run.checkpoint(which)
        if file.is_file():
            with file.open("rb") as opened:
                yield file.name, hashlib.file_digest(opened, "sha256").hexdigest()


def newest_grid(run: Run) -> Path | None:
    """The newest grid of samples, None where there is none."""
    return max((f for f in run.path.glob("samples/*.png") if f.stem.isdecimal()), default=None)
