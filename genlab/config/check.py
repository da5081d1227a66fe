"""Check of a composed config: keys, values, classes and their arguments.

`check` holds a whole config against the allow-list, the signatures of what it names and the schema,
and says all that is wrong at once. It reads source instead of importing it, so that a typo is
answered before torch is loaded, and before anything that the config names can run.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from genlab.config import schema
from genlab.config.allowlist import OPTIMIZER_RANGES, THIRD_PARTY, check_trust, refusal
from genlab.config.annotations import (
    ANYTHING,
    PART,
    SCALARS,
    UNKNOWN,
    ValueType,
    is_part,
    many,
    one_of,
    problems,
    record_problems,
    unknown,
    value_type_of,
)
from genlab.config.fit import misfits
from genlab.config.folders import config_dir
from genlab.config.source import Definition, Parameter, Signature, fields, load, locate, signature
from genlab.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["check", "trust_modules"]

DATA_MODULE = "genlab.data.module.ImageDataModule"
"""Takes the keys of `data` that the source named there does not."""

MODULE_SUPPLIED = ("source", "seed", "chunk", "curriculum")
"""Arguments that the program gives the data module."""

SUPPLIED = {
    "logger.*": ("context",),
    "modality": ("spec",),
    "model": ("spec",),
    "optimizer": ("params",),
    "optimizer.*": ("params",),
    "scheduler": ("optimizer",),
}
"""Arguments that the program gives, by the place of the component in the config."""

PARTS = re.compile(r"(parts\.[^.]+\.)+")
"""Leads to what a config says of the models of other runs, which are built as they are there."""

INSTANTIATE = {
    "_args_": many([ANYTHING], None),
    "_convert_": one_of(("none", "partial", "object", "all")),
    "_partial_": SCALARS["bool"],
    "_recursive_": SCALARS["bool"],
}
"""Hydra's own keys beside a ``_target_``."""

PATHS = ("dirpath", "filename", "log_dir", "root_dir", "save_dir")
"""Arguments of other libraries' classes that are paths to write to."""

trusted: tuple[str, ...] = ()


def trust_modules(names: Sequence[str]) -> None:
    """Lets configs name classes of these modules, for the rest of the process.

    Only what was typed on the command line belongs here: a config cannot vouch for itself.

    Raises:
        ConfigError: A name is not a module's, or a library's.
    """
    global trusted
    check_trust(names)
    trusted = tuple(names)


@overload
def check(
    cfg: "DictConfig", command: Literal["train"] = ..., trust: Sequence[str] | None = ...
) -> schema.Train: ...
@overload
def check(
    cfg: "DictConfig", command: Literal["evaluate"], trust: Sequence[str] | None = ...
) -> schema.Evaluate: ...
@overload
def check(
    cfg: "DictConfig", command: Literal["sample"], trust: Sequence[str] | None = ...
) -> schema.Sample: ...
@overload
def check(
    cfg: "DictConfig", command: Literal["reconstruct"], trust: Sequence[str] | None = ...
) -> schema.Reconstruct: ...
@overload
def check(
    cfg: "DictConfig", command: Literal["detect"], trust: Sequence[str] | None = ...
) -> schema.Detect: ...
@overload
def check(
    cfg: "DictConfig", command: Literal["compress"], trust: Sequence[str] | None = ...
) -> schema.Compress: ...
@overload
def check(
    cfg: "DictConfig", command: Literal["decompress"], trust: Sequence[str] | None = ...
) -> schema.Decompress: ...
@overload
def check(cfg: "DictConfig", command: str, trust: Sequence[str] | None = ...) -> schema.Record: ...
def check(
    cfg: "DictConfig", command: str = "train", trust: Sequence[str] | None = None
) -> schema.Record:
    """Refuses a config with anything wrong in it, before anything of it is built.

    Args:
        cfg: The whole config of a command, without Hydra's own section.
        command: The command whose schema it must fit.
        trust: Modules of the user's whose classes it may name; None takes those of
            `trust_modules`.

    Returns:
        The config as the command's typed record. What only Hydra's run time knows is `UNKNOWN` in
        it; when the job runs, nothing is.

    Raises:
        ConfigError: All that is wrong with it, a line each.
    """
    content, errors = resolved(cfg)
    for path, section in components(content, ""):
        errors += check_component(path, section, trusted if trust is None else trust)
    if not errors:
        errors += misfits(content, config_folders(cfg))
    kind = getattr(schema, command.capitalize(), None)
    assert kind is not None, f"no schema for {command}"
    definition = locate(f"{schema.__name__}.{kind.__name__}")
    assert definition is not None
    errors += record_problems("", content, fields(definition).values())
    if errors:
        raise ConfigError("\n".join(dict.fromkeys(errors)))
    record: schema.Record = kind.of(content)
    return record


def config_folders(cfg: "DictConfig") -> list[Path]:
    """The folders that a config was composed from; genlab's own for one that was read again."""
    from omegaconf import OmegaConf

    sources = OmegaConf.select(cfg, "hydra.runtime.config_sources") or ()
    return [Path(s.path) for s in sources if s.schema == "file"] or [config_dir()]


def wanted_there(section: Any, key: Any) -> str:
    """A word for the value that a key lacks: ``run:NAME`` where a trained model is asked for."""
    definition = locate(str(section.get("_target_"))) if hasattr(section, "get") else None
    for parameter in signature(definition).parameters if definition else ():
        if parameter.name == key and parameter.annotation is not None:
            part = value_type_of(parameter.annotation, parameter.module).part
            return "VALUE" if part is None else f"{PART}NAME, a run that was trained before"
    return "VALUE"


def resolved(cfg: "DictConfig") -> tuple[dict[str, Any], list[str]]:
    """The config as plain dictionaries and lists, and what could not be resolved.

    What only Hydra's run time knows (``${hydra:...}`` before the job starts) is `UNKNOWN`.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    errors: list[str] = []

    def value(node: Any, key: Any, path: str) -> Any:
        if OmegaConf.is_missing(node, key):
            errors.append(f"{path}: no value; give one with {path}={wanted_there(node, key)}")
            return UNKNOWN
        try:
            child = node[key]
        except OmegaConfBaseException as error:
            if "HydraConfig was not set" not in str(error):
                line = str(error).strip().splitlines()[0]
                errors.append(f"{path}: cannot be resolved: {line}")
            return UNKNOWN
        return descend(child, path)

    def descend(node: Any, path: str) -> Any:
        if OmegaConf.is_dict(node):
            prefix = f"{path}." if path else ""
            keys = [
                key for key in node if path or key != "hydra"
            ]  # which `genlab.config.hydra_section` checks
            return {key: value(node, key, f"{prefix}{key}") for key in keys}
        if OmegaConf.is_list(node):
            return [value(node, i, f"{path}.{i}") for i in range(len(node))]
        return node

    return descend(cfg, ""), errors


def components(value: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All sections with a ``_target_``, however deep, with their paths."""
    items: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield path, value
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    for key, item in items:
        yield from components(item, f"{path}.{key}" if path else str(key))


def arguments_of(place: str, definition: Definition) -> Signature:
    """What a component of this place takes; beside a data set's own keys those of its module."""
    taken = signature(definition)
    if place != "data":
        return taken
    module = locate(DATA_MODULE)
    assert module is not None, f"{DATA_MODULE} is not there"
    own = (p for p in signature(module).parameters if p.name not in MODULE_SUPPLIED)
    return Signature((*taken.parameters, *own), taken.extra)


def check_component(path: str, section: Mapping[str, Any], trust: Sequence[str]) -> Iterator[str]:
    """Problems of a section that names a class: the name, the arguments, their values."""
    # The class, which must be allowed
    target = section["_target_"]
    prefix = f"{path}." if path else ""
    reason = "its value is not known" if target is UNKNOWN else refusal(target, trust)
    if reason is not None:
        yield f"{prefix}_target_={target if target is not UNKNOWN else '?'}: {reason}"
        return
    definition = locate(target)
    assert definition is not None, f"{target} was allowed, but is not there"
    # What it takes, and what the program gives it
    place = path[match.end() :] if (match := PARTS.match(path)) else path
    taken = arguments_of(place, definition)
    supplied = {
        name for where, names in SUPPLIED.items() if fnmatch(place, where) for name in names
    }
    if place == "data":
        supplied |= {name for name in MODULE_SUPPLIED if taken[name] is None}
    # What the config gives it, by name or by position
    given = {key: value for key, value in section.items() if key != "_target_"}
    args = given.get("_args_", [])
    by_position = [p.name for p in taken.parameters if p.positional and p.name not in supplied]
    if isinstance(args, list):
        given |= dict(zip(by_position, args, strict=False))
        if len(args) > len(by_position) and not taken.extra:
            yield f"{prefix}_args_: at most {len(by_position)} values, {definition.name} takes"
    # Each value
    for key, value in given.items():
        where = f"{prefix}{key}"
        if key in INSTANTIATE:
            yield from problems(where, value, INSTANTIATE[key])
        elif key in supplied:
            yield f"{where}: is given by the program; leave it out"
        elif key in PATHS and target in THIRD_PARTY and leads_out(str(value)):
            yield f"{where}={value}: a path below the working directory is needed, without .."
        elif is_part(value) and not takes_part(place, key in section, taken[key]):
            known = [f"model.{p.name}" for p in taken.parameters if value_type_of_parameter(p).part]
            listed = f"as {', '.join(known)}" if known and place == "model" else "nowhere"
            yield (
                f"{where}={value}: {definition.name} takes models of other runs {listed}; "
                "an argument of the model's that is annotated as a GenerativeModel takes one"
            )
        elif parameter := taken[key]:
            yield from problems(
                where, value, value_type_of_argument(definition, target, key, taken)
            )
        elif not taken.extra:
            names = [name for name in taken.names if name not in supplied]
            yield f"{where}: {unknown(str(key), names, definition.name)}"
    # Values that are missing
    if section.get("_partial_") is not True:
        for parameter in taken.parameters:
            if parameter.required and parameter.name not in {*given, *supplied}:
                needs = f"{definition.name} needs {value_type_of_parameter(parameter).text}"
                yield f"{prefix}{parameter.name}: no value, {needs}"


def takes_part(place: str, by_name: bool, parameter: Parameter | None) -> bool:
    """True if ``run:NAME`` may be an argument's value: as a model of another run, or as text.

    Args:
        place: Where the component lies in the config.
        by_name: Whether the argument is given by its name.
        parameter: The argument, if it is known.
    """
    kind = ANYTHING if parameter is None else value_type_of_parameter(parameter)
    if kind.part is not None:
        return place == "model" and by_name
    return kind is not ANYTHING or not place.startswith("model")


def value_type_of_parameter(parameter: Parameter) -> ValueType:
    """Values that a parameter's annotation allows."""
    return value_type_of(parameter.annotation, parameter.module)


def leads_out(text: str) -> bool:
    """True if a path is absolute, someone's home, or climbs."""
    return text.startswith(("/", "~")) or "://" in text or ".." in Path(text).parts


def value_type_of_argument(
    definition: Definition, target: str, name: str, taken: Signature
) -> ValueType:
    """Values that an argument takes; torch's optimizers are held to narrower ranges."""
    if target.startswith("torch.optim.") and name in OPTIMIZER_RANGES:
        ranges = load("genlab.ranges")
        assert ranges is not None
        return value_type_of(ast.parse(OPTIMIZER_RANGES[name], mode="eval").body, ranges)
    parameter = taken[name]
    assert parameter is not None
    return value_type_of_parameter(parameter)
