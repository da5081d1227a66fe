"""Sampling options: a plain mapping held against the record that a model's family declares."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from genlab.config.annotations import record_problems
from genlab.config.source import Definition, fields, locate
from genlab.errors import ConfigError

__all__ = ["build_options", "check_options", "ways"]

if TYPE_CHECKING:  # nothing heavy: it is imported before a command begins
    from genlab.types import SamplingOptions

Record = TypeVar("Record", bound="SamplingOptions")


def check_options(target: str, given: Mapping[str, Any]) -> None:
    """Refuses options that a family does not have, before it is imported.

    Args:
        target: The dotted path of the family's class.
        given: The options by their names.

    Raises:
        ConfigError: All that is wrong with them, a line each.

    Example:
        >>> check_options("genlab.models.vae.VAE", {"temprature": 1})
        Traceback (most recent call last):
        genlab.errors.ConfigError: sampling.temprature=1: unknown key 'temprature'; did you mean \
'temperature'? sampling takes temperature
    """
    family = locate(target)
    for record in family.classes("sampling_options") if family else ():
        refuse_problems(record, given)


def ways(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Ways of sampling: all combinations of options of which several values are given.

    Example:
        >>> ways({"steps": [2, 4], "sampler": "heun"})
        [{'steps': 2, 'sampler': 'heun'}, {'steps': 4, 'sampler': 'heun'}]
        >>> ways({})
        [{}]
    """
    values = [value if isinstance(value, list | tuple) else [value] for value in given.values()]
    return [dict(zip(given, way, strict=True)) for way in itertools.product(*values)]


def build_options(usual: Record, given: Mapping[str, Any]) -> Record:
    """A model's record of options from a plain mapping.

    Args:
        usual: `GenerativeModel.usual_sampling` of the model.
        given: The options by their names; the others stay as usual.

    Raises:
        ConfigError: All that is wrong with them, a line each.
    """
    record = type(usual)
    definition = locate(f"{record.__module__}.{record.__qualname__}")
    if definition is not None:
        refuse_problems(definition, given)
    return replace(usual, **given)


def refuse_problems(record: Definition, given: Mapping[str, Any]) -> None:
    """Raises what is wrong with a mapping whose keys are a record's fields."""
    if found := list(record_problems("sampling", given, fields(record).values())):
        raise ConfigError("\n".join(found))
