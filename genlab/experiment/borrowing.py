"""Loading of pretrained parts from the runs that they are of, when a run is trained or resumed."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from genlab.config.annotations import PART, PartType
from genlab.config.schema import Train
from genlab.errors import ConfigError, DataError, GenlabError
from genlab.experiment.pretrained import PROVENANCE, check_record, wanted
from genlab.experiment.spec_record import spec_record
from genlab.experiment.trained import Loaded, load_run
from genlab.models.base import GenerativeModel
from genlab.runs.directory import Run, find_run
from genlab.types import Spec

__all__ = ["borrow", "provenance"]


def borrow(config: Train, spec: Spec) -> tuple[Train, dict[str, GenerativeModel]]:
    """Loads the parts that a config asks for, frozen.

    Args:
        config: The config of a run. A record that it has of a part must still be true.
        spec: Of the run's own data.

    Returns:
        The config with what was found recorded in it, and the models by their arguments.

    Raises:
        ConfigError: There is no such run, or its model is none that the argument takes.
        DataError: The checkpoint is missing, damaged or not the recorded one.
    """
    records, models, section = {}, {}, dict(config.model)
    for name, (text, kind) in wanted(config.model).items():
        # Find it
        where, known = f"model.{name}={PART}{text}", (config.parts or {}).get(name)
        if known is not None:
            check_record(name, known)
        try:
            loaded, digest = find(text, Path(config.root), known)
        except GenlabError as error:
            raise type(error)(f"{where}: {error}") from None
        check_type(where, loaded.model, kind, spec)
        # Record what was found
        path, root = loaded.run.path.resolve(), Path(config.root).resolve()
        run = loaded.run.name_below(root) if root in path.parents else str(path)
        records[name] = {
            "run": run,
            "checkpoint": loaded.checkpoint.stem,
            "sha256": digest,
            "images_seen": loaded.images_seen,
            "weights": loaded.weights,
            "seed": loaded.config.seed,
            "model": loaded.config.model,
            "data": loaded.config.data,
            "spec": spec_record(loaded.model.spec),
            "parts": loaded.config.parts,
        }
        models[name], section[name] = loaded.model, f"{PART}{run}"
    return replace(config, model=section, parts=records or None), models


def find(text: str, root: Path, known: Mapping[str, Any] | None) -> tuple[Loaded, str]:
    """The model of a run, and the SHA-256 of its checkpoint: the best, or the last if it has none.

    Args:
        text: The run, as for ``run=``.
        root: Where runs lie.
        known: What is recorded of it.

    Raises:
        ConfigError: There is no such run.
        DataError: The checkpoint is missing, damaged or not the recorded one.
    """
    run = find_run(known["run"] if known else text, root)
    best = run.checkpoint("best").is_file()
    which = str(known["checkpoint"]) if known else "best" if best else "last"
    digest = sha256(run, which)
    if known and digest != known["sha256"]:
        raise DataError(
            f"{run.checkpoint(which)} is not the one that this run was trained with (SHA-256 "
            f"{digest[:12]}... instead of {known['sha256'][:12]}...)"
        )
    loaded = load_run(run, which, str(known["weights"]) if known else "auto")
    if loaded.checkpoint != run.checkpoint(which):
        raise DataError(f"{run.checkpoint(which)} is damaged")
    return loaded, digest


def sha256(run: Run, which: str) -> str:
    """The SHA-256 of a checkpoint.

    Raises:
        DataError: It is missing.
    """
    try:
        with run.checkpoint(which).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{run.checkpoint(which)} cannot be read ({error.strerror})") from None


def check_type(where: str, model: GenerativeModel, kind: PartType, spec: Spec) -> None:
    """Refuses a model of another class or of other data than an argument asks for."""
    classes = [f"{one.__module__}.{one.__qualname__}" for one in type(model).__mro__]
    if kind.target and kind.target not in classes:
        raise ConfigError(
            f"{where}: is a {type(model).__name__}, and a {kind.target.rpartition('.')[2]} is "
            "needed"
        )
    if kind.same_data and model.spec != spec:
        raise ConfigError(
            f"{where}: models {model.spec}, and these data are {spec}; a run of the same kind of "
            "data is needed"
        )


def provenance(config: Train) -> dict[str, Any]:
    """Origins of a run's parts, for its run.json: empty without any."""
    records = {
        name: {key: record[key] for key in PROVENANCE}
        for name, record in (config.parts or {}).items()
    }
    return {"parts": records} if records else {}
