"""Pretrained parts: trained models of other runs that a model is given, as ``run:NAME``.

What a run found under the name is recorded in its config, under ``parts``: which checkpoint, its
SHA-256, and how to build the model anew. Its weights are kept in the run's own checkpoints.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.config.annotations import PART, PartType, is_part, value_type_of
from genlab.config.source import locate, signature
from genlab.errors import ConfigError, DataError
from genlab.runs.directory import find_run

if TYPE_CHECKING:
    from genlab.config.schema import Train
    from genlab.models.base import GenerativeModel

__all__ = ["PROVENANCE", "check_names", "check_record", "rebuild", "wanted"]

PROVENANCE = ("run", "checkpoint", "sha256", "images_seen", "weights")
"""What of a record says where a part comes from."""

ARCHITECTURE = ("seed", "model", "data", "spec", "parts")
"""The rest, which says how to build it anew."""


def wanted(section: Mapping[str, Any]) -> dict[str, tuple[str, PartType]]:
    """The parts that a model's section asks for: their runs and types, by the argument."""
    definition = locate(str(section["_target_"]))
    if definition is None:
        return {}
    found = {}
    for parameter in signature(definition).parameters:
        value = section.get(parameter.name)
        if is_part(value) and parameter.annotation is not None:
            kind = value_type_of(parameter.annotation, parameter.module)
            if kind.part is not None:
                found[parameter.name] = (str(value).removeprefix(PART), kind.part)
    return found


def check_names(cfg: Mapping[str, Any]) -> None:
    """Refuses parts of runs that do not exist, before anything is read.

    Args:
        cfg: A checked config of a training run that is to begin.

    Raises:
        ConfigError: All names that are wrong, a line each, with the nearest.
    """
    errors = ["parts: is written by the program; leave it out"] if cfg.get("parts") else []
    for name, (run, _) in wanted(cfg["model"]).items():
        try:
            find_run(run, Path(cfg["root"]))
        except ConfigError as error:
            errors.append(f"model.{name}={PART}{run}: {error}")
    if errors:
        raise ConfigError("\n".join(errors))


def check_record(name: str, record: Mapping[str, Any]) -> None:
    """Refuses a record that something is missing of, by its name.

    Raises:
        DataError: It lacks a key.
    """
    if missing := [key for key in (*PROVENANCE, *ARCHITECTURE) if key not in record]:
        raise DataError(f"config.yaml: parts.{name} lacks {', '.join(missing)}")


def rebuild(config: "Train") -> "dict[str, GenerativeModel]":
    """The parts of a run's model, frozen; their weights come with the run's own.

    Raises:
        DataError: The run's config has no record of one.
    """
    records = config.parts or {}
    for name in wanted(config.model):
        if name not in records:
            raise DataError(f"config.yaml: parts.{name} is missing, which model.{name} needs")
    return rebuild_recorded(records)


def rebuild_recorded(records: Mapping[str, Any]) -> "dict[str, GenerativeModel]":
    """The models of records, frozen, with initial weights."""
    from genlab.experiment.build import build_data, build_model
    from genlab.experiment.spec_record import recorded_spec

    found = {}
    for name, record in records.items():
        check_record(name, record)
        spec = recorded_spec(record["spec"]) or build_data(record["data"]).spec
        inner = rebuild_recorded(record["parts"] or {})
        model = build_model(record["model"], spec, record["seed"], inner)
        model.begin_step(record["images_seen"], 0)
        found[name] = model.eval().requires_grad_(False)
    return found
