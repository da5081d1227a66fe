"""Check of values from YAML against annotations, which are read from source: nothing is imported.

pydantic was tried in place of it: three adapters cost 80 ms of CPU time (`genlab --help` takes
30), a union answers with a line for each of its members, and the way from source to types stays.
"""

import ast
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from genlab.config.source import Definition, Module, Parameter, assigned, fields, resolve
from genlab.errors import nearest
from genlab.ranges import Range

__all__ = [
    "ANYTHING",
    "PART",
    "UNKNOWN",
    "PartType",
    "RecordType",
    "ValueType",
    "is_part",
    "problems",
    "record_problems",
    "shown",
    "unknown",
    "value_type_of",
]

UNKNOWN = object()
"""Stands for a value that is known only later, such as an interpolation of Hydra's run time."""


PART = "run:"
"""Stands before the name of a run whose trained model is the value."""

MODEL = "genlab.models.base.GenerativeModel"

MODULES = ("nn.Module", "torch.nn.Module")
"""The base class of all models as it is written; torch's own source is not read."""


@dataclass(frozen=True)
class PartType:
    """A trained model of another run, as an argument asks for one.

    Args:
        target: Dotted path of the class that it must be of; empty for any.
        same_data: Whether its data must be of the same spec as those of the model that takes it.
    """

    target: str = ""
    same_data: bool = False


@dataclass(frozen=True)
class ValueType:
    """A set of values.

    Args:
        text: What is needed, for the error: ``an integer >= 1``.
        accepts: Whether a value belongs to it.
        hint: What to add to the error for a value that does not.
        part: The models of other runs among the values, if any are.
    """

    text: str
    accepts: Callable[[Any], bool]
    hint: Callable[[Any], str] = lambda value: ""
    part: PartType | None = None


@dataclass(frozen=True)
class RecordType(ValueType):
    """A mapping whose keys are the fields of a dataclass."""

    definition: Definition | None = None


def is_int(value: object) -> bool:
    """True if it is an integer of at most 64 bits and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def is_number(value: object) -> bool:
    """True if it is a number and no truth value; NaN is none."""
    return is_int(value) or (isinstance(value, float) and not math.isnan(value))


def whole(value: object) -> str:
    """Tells who wrote 1e4 for an integer how to write it."""
    if isinstance(value, int) and not is_int(value) and not isinstance(value, bool):
        return ", of at most 64 bits"
    if isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}"
    return ""


ANYTHING = ValueType("anything", lambda value: True)
NONE = ValueType("null", lambda value: value is None)
SCALARS = {
    "int": ValueType("an integer", is_int, whole),
    "float": ValueType("a number", is_number),
    "bool": ValueType("true or false", lambda value: isinstance(value, bool)),
    "str": ValueType("text", lambda value: isinstance(value, str)),
    "None": NONE,
}
LISTS = {"list", "tuple", "Sequence", "Iterable", "set", "frozenset", "Collection"}
MAPPINGS = {"dict", "Mapping", "MutableMapping", "OrderedDict"}


def component(definition: Definition | None) -> ValueType:
    """A config that is instantiated."""
    return ValueType(
        f"a {definition.name} (a section with its _target_)" if definition else "a component",
        lambda value: isinstance(value, Mapping) and "_target_" in value,
        lambda value: "; choose one by its name, `genlab list` shows them",
    )


def is_part(value: object) -> bool:
    """True if a value is the trained model of another run, ``run:NAME``."""
    return isinstance(value, str) and value.startswith(PART) and len(value) > len(PART)


def model_of_run(name: str, target: str) -> ValueType:
    """A trained model of another run; a section that is instantiated does, too."""
    return ValueType(
        f"a {name} (run:NAME, the trained one of another run, or a section with its _target_)",
        lambda value: is_part(value) or (isinstance(value, Mapping) and "_target_" in value),
        part=PartType(target),
    )


def ranged(scalar: str, limits: Range) -> ValueType:
    """A number within limits."""
    kind = SCALARS[scalar]

    def accepts(value: Any) -> bool:
        return kind.accepts(value) and math.isfinite(value) and value in limits

    return ValueType(f"{kind.text} {limits}", accepts, kind.hint)


def one_of(values: tuple[Any, ...]) -> ValueType:
    """One of some words."""
    words = [str(value) for value in values if isinstance(value, str)]
    return ValueType(
        "one of " + ", ".join(str(value) for value in values),
        lambda value: any(value == v and type(value) is type(v) for v in values),
        lambda value: nearest(str(value), words),
    )


def either(kinds: list[ValueType]) -> ValueType:
    """A value of any of the kinds."""
    if ANYTHING in kinds:
        return ANYTHING
    records = [kind for kind in kinds if isinstance(kind, RecordType)]
    text = " or ".join(dict.fromkeys(kind.text for kind in kinds))

    def accepts(value: Any) -> bool:
        return any(kind.accepts(value) for kind in kinds)

    def hint(value: Any) -> str:
        return next((hint for kind in kinds if (hint := kind.hint(value))), "")

    part = next((kind.part for kind in kinds if kind.part), None)
    if records:
        return RecordType(text, accepts, hint, part, records[0].definition)
    return ValueType(text, accepts, hint, part)


def many(kinds: list[ValueType], length: int | None) -> ValueType:
    """A list: of any length with one kind of items, or of a fixed length with a kind for each."""
    kinds = [component(None) if kind.part else kind for kind in kinds]

    def accepts(value: Any) -> bool:
        if not isinstance(value, list | tuple) or (length is not None and len(value) != length):
            return False
        each = kinds if length is not None else kinds * len(value)
        return all(k.accepts(v) or v is UNKNOWN for k, v in zip(each, value, strict=True))

    items = ", ".join(dict.fromkeys(kind.text for kind in kinds if kind is not ANYTHING))
    count = "" if length is None else f" of {length} values"
    return ValueType(f"a list{count}" + (f" ({items})" if items else ""), accepts)


def mapping(value_kind: ValueType) -> ValueType:
    """A mapping of words to one kind of values."""
    value_kind = component(None) if value_kind.part else value_kind
    of = "" if value_kind is ANYTHING else f" ({value_kind.text} each)"
    return ValueType(
        f"a mapping{of}",
        lambda value: (
            isinstance(value, Mapping)
            and all(v is UNKNOWN or value_kind.accepts(v) for v in value.values())
        ),
    )


def value_type_of(annotation: ast.expr | None, module: Module) -> ValueType:
    """The values that an annotation in a module's source allows; what it cannot read, it allows."""
    if annotation is None:
        return ANYTHING
    if isinstance(annotation, ast.Constant):
        if isinstance(annotation.value, str):  # a forward reference
            return value_type_of(ast.parse(annotation.value, mode="eval").body, module)
        return NONE if annotation.value is None else ANYTHING
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return either(
            [value_type_of(annotation.left, module), value_type_of(annotation.right, module)]
        )
    if isinstance(annotation, ast.Subscript):
        return generic(annotation, module)
    if isinstance(annotation, ast.Name | ast.Attribute):
        return named(annotation, module)
    return ANYTHING


def generic(annotation: ast.Subscript, module: Module) -> ValueType:
    """The values of ``Name[...]``."""
    # Choices
    name = ast.unparse(annotation.value).rpartition(".")[2]
    inside = annotation.slice
    parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
    if name == "Literal":
        return one_of(tuple(ast.literal_eval(part) for part in parts))
    if name == "Optional":
        return either([value_type_of(parts[0], module), NONE])
    if name == "Union":
        return either([value_type_of(part, module) for part in parts])
    # Annotations: a range, a component, a model of another run
    if name == "Annotated":
        limits = [part for part in parts[1:] if ast.unparse(part).startswith("Range(")]
        scalar = ast.unparse(parts[0])
        if limits and isinstance(limits[0], ast.Call) and scalar in ("int", "float"):
            given = {k.arg: ast.literal_eval(k.value) for k in limits[0].keywords if k.arg}
            order = [ast.literal_eval(value) for value in limits[0].args]
            return ranged(scalar, Range(*order, **given))
        if any(isinstance(part, ast.Constant) and part.value == "component" for part in parts[1:]):
            return component(None)
        kind = value_type_of(parts[0], module)
        words = [part.value for part in parts[1:] if isinstance(part, ast.Constant)]
        if kind.part is not None and "same data" in words:
            return replace(kind, part=replace(kind.part, same_data=True))
        return kind
    # Containers
    if name in LISTS:
        if name == "tuple" and not (len(parts) == 2 and ast.unparse(parts[1]) == "..."):
            return many([value_type_of(part, module) for part in parts], len(parts))
        return many([value_type_of(parts[0], module)], None)
    if name in MAPPINGS:
        return mapping(value_type_of(parts[-1], module))
    return ANYTHING


def named(annotation: ast.Name | ast.Attribute, module: Module) -> ValueType:
    """The values of a type given by its name: a scalar, an alias, a dataclass, a class of ours."""
    name = ast.unparse(annotation).rpartition(".")[2]
    if isinstance(annotation, ast.Name) and name in SCALARS:
        return SCALARS[name]
    if name in LISTS:
        return many([ANYTHING], None)
    if name in MAPPINGS:
        return mapping(ANYTHING)
    if ast.unparse(annotation) in MODULES:
        return model_of_run("module", "")
    definition = resolve(annotation, module)
    if definition is None:
        return ANYTHING
    if isinstance(definition.node, ast.ClassDef):
        if definition.is_dataclass():
            return RecordType("a mapping", lambda v: isinstance(v, Mapping), definition=definition)
        if any(base.target == MODEL for base in definition.bases()):
            return model_of_run(definition.name, definition.target)
        ours = definition.module.name.partition(".")[0] in ("genlab", module.name.partition(".")[0])
        return component(definition) if ours and "Enum" not in bases(definition) else ANYTHING
    return value_type_of(assigned(definition.node), definition.module)


def bases(definition: Definition) -> str:
    """The bases as they are written."""
    return " ".join(ast.unparse(base) for base in getattr(definition.node, "bases", []))


def problems(path: str, value: Any, kind: ValueType) -> Iterator[str]:
    """Problems of a value, one line each; a record's fields are looked into.

    Example:
        >>> list(problems("data.batch_size", -4, ranged("int", Range(low=1))))
        ['data.batch_size=-4: an integer >= 1 is needed']
    """
    if value is UNKNOWN:
        return
    if not kind.accepts(value):
        yield f"{path}={shown(value)}: {kind.text} is needed{kind.hint(value)}"
    elif isinstance(kind, RecordType) and isinstance(value, Mapping) and "_target_" not in value:
        assert kind.definition is not None
        yield from record_problems(path, value, fields(kind.definition).values())


def record_problems(
    path: str, value: Mapping[str, Any], parameters: Iterable[Parameter]
) -> Iterator[str]:
    """Problems of a mapping whose keys are known."""
    known = {parameter.name: parameter for parameter in parameters}
    prefix = f"{path}." if path else ""
    for key, item in value.items():
        if key in known:
            parameter = known[key]
            yield from problems(
                prefix + key, item, value_type_of(parameter.annotation, parameter.module)
            )
        else:
            yield f"{prefix}{key}={shown(item)}: {unknown(str(key), known, path or 'the config')}"
    for name, parameter in known.items():
        if parameter.required and name not in value:
            kind = value_type_of(parameter.annotation, parameter.module)
            yield f"{prefix}{name}: no value, {kind.text} is needed"


def unknown(key: str, known: Iterable[str], where: str) -> str:
    """Answer to an unknown key: the nearest, and all that are known."""
    known = list(known)
    listed = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    meant = nearest(key, known) or ";"
    return f"unknown key {key!r}{meant} {where} takes {listed or 'no keys'}"


def shown(value: Any) -> str:
    """A value as a user would type it, short."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = "{...}" if isinstance(value, Mapping) else str(value).replace("\n", " ")
    return text if len(text) <= 60 else text[:57] + "..."
