"""Reads classes from their source without importing them.

`genlab list` and the config check must know what a class takes, is and can do, and importing one
means importing torch. So the source is parsed: names are followed through imports and base classes
from file to file, and nothing is ever executed.
"""

import ast
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

__all__ = ["Definition", "Module", "Parameter", "Signature", "load", "locate", "signature"]

HOPS = 20  # imports followed before a name counts as unknown; a cycle ends here, too


@dataclass(frozen=True, eq=False)
class Module:
    """The parsed source of a module.

    Args:
        name: Dotted name.
        path: The source file.
        names: Its top-level definitions, assignments and imports by name.
    """

    name: str
    path: Path
    names: dict[str, ast.stmt] = field(repr=False)

    @property
    def package(self) -> str:
        """Package that a relative import starts from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    @property
    def exports(self) -> list[str] | None:
        """``__all__``, or None where it is absent or no literal list."""
        value = assigned(self.names.get("__all__"))
        try:
            return [str(name) for name in ast.literal_eval(value)] if value else None
        except ValueError:
            return None

    def lookup(self, name: str, hops: int = HOPS) -> "Definition | None":
        """Definition of a top-level name, through imports; None if it cannot be seen."""
        node = self.names.get(name)
        if isinstance(node, ast.ImportFrom) and hops:
            origin = next(a.name for a in node.names if (a.asname or a.name) == name)
            source = "." * node.level + (node.module or "")
            if node.level:
                source = importlib.util.resolve_name(source, self.package)
            module = load(source)
            return module.lookup(origin, hops - 1) if module else None
        if node is None or isinstance(node, ast.Import | ast.ImportFrom):
            return None
        return Definition(name, self, node)


@dataclass(frozen=True)
class Definition:
    """A class, a function or an assignment, and the module it stands in."""

    name: str
    module: Module
    node: ast.stmt = field(repr=False)

    @property
    def target(self) -> str:
        """The dotted path."""
        return f"{self.module.name}.{self.name}"

    @property
    def docstring(self) -> str:
        """The docstring's first line."""
        if not isinstance(self.node, ast.ClassDef | ast.FunctionDef):
            return ""
        return (ast.get_docstring(self.node) or "").partition("\n")[0]

    def bases(self) -> "Iterator[Definition]":
        """The class itself, then its bases depth first, as far as their source can be found."""
        yield self
        if isinstance(self.node, ast.ClassDef):
            for expression in self.node.bases:
                if base := resolve(expression, self.module):
                    yield from base.bases()

    def member(self, name: str) -> "tuple[Definition, ast.stmt] | None":
        """The nearest base's definition of a method or class attribute."""
        for base in self.bases():
            if isinstance(base.node, ast.ClassDef):
                for statement in base.node.body:
                    if name in bound(statement):
                        return base, statement
        return None

    def attribute(self, name: str) -> Any:
        """The value of a class attribute that is a literal, else None."""
        found = self.member(name)
        value = assigned(found[1]) if found else None
        try:
            return ast.literal_eval(value) if value else None
        except ValueError:
            return None

    def classes(self, name: str) -> "tuple[Definition, ...]":
        """The classes that a class attribute holds, one or a tuple, as far as they are found."""
        found = self.member(name)
        value = assigned(found[1]) if found else None
        if found is None or value is None:
            return ()
        items = value.elts if isinstance(value, ast.Tuple) else [value]
        return tuple(d for item in items if (d := resolve(item, found[0].module)))

    def is_dataclass(self) -> bool:
        """True if the class is decorated as a dataclass."""
        decorators = getattr(self.node, "decorator_list", [])
        return any("dataclass" in ast.unparse(decorator) for decorator in decorators)


@dataclass(frozen=True)
class Parameter:
    """A parameter as it is written.

    Args:
        name: Its name.
        annotation: Its annotation, if it has one.
        required: Whether it has no default.
        positional: Whether it may be given by position.
        module: The module in whose names the annotation is to be read.
    """

    name: str
    annotation: ast.expr | None
    required: bool
    positional: bool
    module: Module


@dataclass(frozen=True)
class Signature:
    """Signature of a class or a function.

    Args:
        parameters: The parameters, without ``self``.
        extra: Whether it takes keywords beyond them, or more than can be seen.
    """

    parameters: tuple[Parameter, ...] = ()
    extra: bool = False

    def __getitem__(self, name: str) -> Parameter | None:
        return next((p for p in self.parameters if p.name == name), None)

    @property
    def names(self) -> list[str]:
        """The parameters' names."""
        return [p.name for p in self.parameters]


@cache
def load(name: str) -> Module | None:
    """Parses a module, or gives None where there is none with a source that can be read."""
    spec = find(name)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    path = Path(spec.origin)
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    names = {name: node for node in statements(tree.body) for name in bound(node)}
    return Module(name, path, names)


def find(name: str) -> ModuleSpec | None:
    """Finds a module; unlike `importlib.util.find_spec`, imports no parent package for it."""
    first, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(first)
        for i in range(len(rest)):
            if spec is None or spec.submodule_search_locations is None:
                return None
            locations = list(spec.submodule_search_locations)
            spec = PathFinder.find_spec(".".join([first, *rest[: i + 1]]), locations)
    except (ImportError, ValueError):  # a module without a spec, such as __main__, or a bad name
        return None
    return spec


def locate(target: str) -> Definition | None:
    """The class or function of a dotted path ``package.module.Name``, defined there or imported."""
    module, _, name = target.rpartition(".")
    found = load(module) if module else None
    return found.lookup(name) if found else None


def resolve(expression: ast.expr, module: Module) -> Definition | None:
    """Definition that a name or dotted name in a module's source refers to."""
    if isinstance(expression, ast.Subscript):  # Generic[T]
        return resolve(expression.value, module)
    if isinstance(expression, ast.Name):
        return module.lookup(expression.id)
    if isinstance(expression, ast.Attribute) and isinstance(expression.value, ast.Name):
        node = module.names.get(expression.value.id)
        if isinstance(node, ast.Import | ast.ImportFrom):
            alias = next(a for a in node.names if expression.value.id in bound_by(a))
            prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            imported = load(prefix + alias.name)
            return imported.lookup(expression.attr) if imported else None
    return None


@cache
def signature(definition: Definition) -> Signature:
    """Signature of a class or a function, that of its bases for one without ``__init__``."""
    if isinstance(definition.node, ast.FunctionDef):
        return arguments(definition.node.args, definition.module)
    if not isinstance(definition.node, ast.ClassDef):
        return Signature(extra=True)
    if definition.is_dataclass():
        return Signature(tuple(fields(definition).values()))
    for statement in definition.node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return arguments(statement.args, definition.module, skip=1)
    for expression in definition.node.bases:
        if ast.unparse(expression) == "NamedTuple":
            return Signature(tuple(fields(definition).values()))
        base = resolve(expression, definition.module)
        if base is None and ast.unparse(expression) not in ("object", "ABC", "Protocol"):
            return Signature(extra=True)
        if base and (taken := signature(base)) != Signature():
            return taken
    return Signature()


def arguments(args: ast.arguments, module: Module, skip: int = 0) -> Signature:
    """The parameters of a function, without the first ``skip``."""
    positional = [*args.posonlyargs, *args.args]
    required = len(positional) - len(args.defaults)
    found = [
        Parameter(a.arg, a.annotation, i < required, True, module) for i, a in enumerate(positional)
    ][skip:]
    for a, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        found.append(Parameter(a.arg, a.annotation, default is None, False, module))
    return Signature(tuple(found), extra=args.kwarg is not None)


def fields(definition: Definition) -> dict[str, Parameter]:
    """The fields of a dataclass or a named tuple, its bases' first."""
    found: dict[str, Parameter] = {}
    for base in reversed(list(definition.bases())):
        for statement in getattr(base.node, "body", []):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                name, annotation = statement.target.id, statement.annotation
                if not ast.unparse(annotation).startswith("ClassVar"):
                    required = statement.value is None
                    found[name] = Parameter(name, annotation, required, True, base.module)
    return found


def statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The top-level statements, with those inside ``if`` and ``try``."""
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from statements(node.body)
            yield from statements(node.orelse)
        else:
            yield node


def bound(node: ast.stmt) -> list[str]:
    """The names that a statement binds."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [name for alias in node.names for name in bound_by(alias)]
    return []


def bound_by(alias: ast.alias) -> list[str]:
    """The name that one clause of an import binds: ``import a.b`` binds ``a``."""
    return [alias.asname or alias.name.partition(".")[0]]


def assigned(node: ast.stmt | None) -> ast.expr | None:
    """The right-hand side of an assignment."""
    return node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
