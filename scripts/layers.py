"""Layers of the package: which room may import which, and what each module imports by its source.

Nothing is imported: `tests/test_architecture.py` holds the package to these layers, and
`scripts/tower.py` draws them.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

__all__ = ["LAYERS", "LEVEL", "MODULES", "ROOT", "TREES", "imports", "room", "within"]

ROOT = Path(__file__).parent.parent

LAYERS = (
    ("", "types", "errors", "ranges", "rng", "row_streams"),
    ("system",),
    ("runs", "config", "modalities", "nn"),
    ("models", "data", "metrics", "sweeps", "racing"),
    ("tasks", "comparison", "applications"),
    ("training", "dashboard"),
    ("experiment",),
    ("launch",),
    ("api",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
"""The tower, from the ground up: a room knows itself and the layers below it, and no neighbour."""

FORWARDS = {"genlab": ("genlab.api", "genlab.system.lean_imports")}
"""What a module hands on from above when it is asked for, and imports at no other time; and what
the package's first line needs: it is imported before anything else can import torchmetrics."""

LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def modules() -> Iterator[tuple[str, Path]]:
    """The package's modules, and their files."""
    for file in sorted((ROOT / "genlab").rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


MODULES = dict(modules())
TREES = {name: ast.parse(file.read_text()) for name, file in MODULES.items()}


def room(name: str) -> str:
    """The room that a module lies in: the first word after ``genlab``."""
    return name.split(".")[1] if "." in name else ""


def within(module: str, parts: tuple[str, ...] | list[str]) -> bool:
    """Whether a module is one of the parts or lies below one."""
    return any(module == part or module.startswith(f"{part}.") for part in parts)


def imports(tree: ast.Module, package: str, top_only: bool = False) -> set[str]:
    """The modules that a tree imports, those of ``from package import module`` included.

    Args:
        tree: The parsed source.
        package: The module's name, from which relative imports start.
        top_only: Leave out what functions import when they are called.
    """
    found = set()
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    nodes = tree.body if top_only else ast.walk(tree)
    for node in nodes:
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: -node.level or None]) if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                found.add(inner if inner in MODULES else source)
    return found
