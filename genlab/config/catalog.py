"""Catalog of the config files, and of what their headers and classes say."""

import ast
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genlab.config.overrides import groups, options
from genlab.config.source import Definition, assigned, fields, locate, signature
from genlab.errors import ConfigError, nearest

__all__ = [
    "Entry",
    "Family",
    "entries",
    "family",
    "find_group",
    "kinds_of_data",
    "promise",
    "read_yaml",
]

BASE = "genlab.models.base.GenerativeModel"
HEADER = re.compile(r"^# *([a-z][\w ]*): *(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Family:
    """Declarations of a model class, read from its source.

    Args:
        likelihood: ``exact``, ``bound`` or ``none``.
        players: The parts with an optimizer each.
        capabilities: The optional methods that it implements.
        accepts: The kinds of data that it models, ``image`` for one of an `ImageSpec`.
        conditions: The kinds of condition that it can model its data given.
        sampling: The options of its sampling.
    """

    likelihood: str
    players: tuple[str, ...]
    capabilities: tuple[str, ...]
    accepts: tuple[str, ...]
    conditions: tuple[str, ...]
    sampling: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """A config file of a group.

    Args:
        name: What chooses it.
        path: The file.
        promise: Its first comment.
        header: The other ``# key: value`` lines of its header.
        target: The class that it names, through the configs that it builds on; may be empty.
        family: Of a model.
    """

    name: str
    path: Path
    promise: str
    header: dict[str, str]
    target: str
    family: Family | None

    def plain(self) -> dict[str, Any]:
        """Plain data that JSON can hold."""
        return {**asdict(self), "path": str(self.path)}


def find_group(word: str, folders: Sequence[Path]) -> str:
    """The group that a user means: ``models`` is ``model``.

    Raises:
        ConfigError: There is none.
    """
    known = groups(folders)
    for name in (word, word.removesuffix("s"), f"{word}s"):
        if name in known:
            return name
    raise ConfigError(
        f"{word}: no such group{nearest(word, known) or ';'} there are {', '.join(known)}"
    )


def entries(group: str, folders: Sequence[Path]) -> list[Entry]:
    """The configs of a group; where two folders have one of the same name, the last folder's."""
    return [entry(group, name, folders) for name in options(folders, group)]


def entry(group: str, name: str, folders: Sequence[Path]) -> Entry:
    """Reads a config file."""
    path = next(p for f in reversed(folders) if (p := f / group / f"{name}.yaml").is_file())
    text = path.read_text(encoding="utf-8")
    comments = "".join(re.match(r"(?:#.*\n|\s*\n)*", text)[0])  # type: ignore[index]
    target = target_of(group, name, folders)
    definition = locate(target) if target else None
    return Entry(
        name=name,
        path=path,
        promise=promise(text),
        header=dict(HEADER.findall(comments)),
        target=target,
        family=family(definition) if group == "model" and definition else None,
    )


def target_of(group: str, name: str, folders: Sequence[Path], depth: int = 8) -> str:
    """The ``_target_`` of a config, its own or that of a config of its group that it builds on."""
    files = [p for f in reversed(folders) if (p := f / group / f"{name}.yaml").is_file()]
    if not files or not depth:
        return ""
    content = read_yaml(files[0])
    if isinstance(content.get("_target_"), str):
        return str(content["_target_"])
    for default in reversed(content.get("defaults") or []):
        if not isinstance(default, str) or default == "_self_":
            continue
        if found := target_of(group, default.rpartition("/")[2], folders, depth - 1):
            return found
    return ""


def read_yaml(path: Path) -> dict[str, Any]:
    """A config file as it is written, nothing composed or resolved.

    Raises:
        ConfigError: It is no YAML mapping.
    """
    import yaml

    try:
        content = yaml.load(
            path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"{path}{line}: not valid YAML: {problem}") from None
    if content is not None and not isinstance(content, dict):
        raise ConfigError(f"{path}: a mapping of keys to values is expected")
    return content or {}


def family(definition: Definition) -> Family | None:
    """Declarations of a model class; None for a class that is no `GenerativeModel`."""
    # Whether it is one
    base = locate(BASE)
    optional = locate(f"{BASE.rpartition('.')[0]}.OPTIONAL")
    assert base is not None
    assert optional is not None
    ancestors = list(definition.bases())
    if base.target not in [ancestor.target for ancestor in ancestors]:
        return None
    own = [a for a in ancestors if a.target != base.target]
    # What it can do beyond training
    methods = tuple(
        name
        for name in literal(optional)
        if any(found[0].target != base.target for found in [definition.member(name)] if found)
    )
    if "reconstruct" not in methods and {"encode", "decode"} <= set(methods):
        methods += ("reconstruct",)
    assert own
    # Of a class that says nothing: its constructor tells whether it can be conditional at all.
    declared = definition.member("conditions")
    conditional = "conditional" in signature(definition).names or (
        declared is not None and declared[0].target != base.target
    )
    return Family(
        likelihood=str(definition.attribute("likelihood") or "by argument"),
        players=tuple(definition.attribute("players") or ()),
        capabilities=methods,
        accepts=tuple(map(kind, definition.classes("accepts"))),
        conditions=tuple(map(kind, definition.classes("conditions"))) if conditional else (),
        sampling=tuple(n for r in definition.classes("sampling_options") for n in fields(r)),
    )


def kinds_of_data(source: Definition) -> tuple[str, ...]:
    """The kind of data that a data source gives, and what that is derived from; () if unknown."""
    return tuple(kind(base) for spec in source.classes("provides") for base in spec.bases())


def kind(spec: Definition) -> str:
    """The kind of data of a class derived from `genlab.types.Spec`, as its `kind` says it."""
    return spec.name.removesuffix("Spec").lower()


def literal(definition: Definition) -> tuple[str, ...]:
    """The value of a constant."""
    value = assigned(definition.node)
    assert value is not None
    return tuple(ast.literal_eval(value))


def promise(text: str) -> str:
    """The one-line promise of a config: its first comment that is no directive.

    Example:
        >>> promise("# @package _global_\\n# Trains fast.\\na: 1\\n")
        'Trains fast.'
    """
    for line in text.splitlines():
        if line.startswith("#") and not line.startswith("# @package"):
            return line.lstrip("# ").rstrip()
        if line.strip() and not line.startswith("#"):
            break
    return ""
