"""Imports run one way, every module says what it is and exports, and no file grows too long."""

import ast
from pathlib import Path

from genlab.static import load

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "genlab").rglob("*.py"))

BOTTOM = {"genlab", "genlab.errors", "genlab.ranges", "genlab.rng", "genlab.runs", "genlab.types"}
BOTTOM |= {"genlab.redact", "genlab.scoped", "genlab.signals"}
"""May be imported from anywhere, and import nothing but each other."""

CONFIG = {
    "genlab.allow",
    "genlab.catalogue",
    "genlab.config",
    "genlab.guard",
    "genlab.messages",
    "genlab.overrides",
    "genlab.schema",
    "genlab.static",
    "genlab.suggest",
    "genlab.usage",
    "genlab.values",
}
"""The config check and what `genlab list` shows: they read source, and import no part of it."""

MAY_IMPORT = {
    "genlab.nn": ("genlab.nn",),
    "genlab.models": ("genlab.models", "genlab.nn"),
    "genlab.data": ("genlab.data",),
    "genlab.metrics": ("genlab.metrics",),
    "genlab.training": (
        "genlab.training",
        "genlab.models.base",
        "genlab.data",
        "genlab.metrics",
        "genlab.nn",
    ),
    "genlab.commands": ("genlab",),
    "genlab.comparison": (
        "genlab.comparison",
        "genlab.sweeps.manifest",
        "genlab.training.loggers.history",
    ),
    "genlab.sweeps": ("genlab.sweeps", *sorted(CONFIG)),
    "genlab.sweeps.child": ("genlab.cli",),
    "genlab.composition": ("genlab.commands.objective", "genlab.sweeps.rules", *sorted(CONFIG)),
    "genlab.hydra_app": (
        "genlab.commands",
        "genlab.composition",
        "genlab.sweeps",
        *sorted(CONFIG),
    ),
    "genlab.cli": ("genlab.commands", "genlab.hydra_app", *sorted(CONFIG)),
    "genlab.__main__": ("genlab.cli",),
    **{name: tuple(sorted(CONFIG)) for name in CONFIG},
    **dict.fromkeys(BOTTOM, ()),
}
"""Beside the bottom: what a module's own part of the tree may import of genlab."""

NEVER = {
    "genlab.nn": ("pytorch_lightning", "hydra", "omegaconf", "wandb", "trackio"),
    "genlab.models": ("pytorch_lightning", "hydra", "omegaconf", "wandb", "trackio"),
    "genlab.metrics": ("pytorch_lightning", "hydra", "omegaconf", "wandb", "trackio"),
    "genlab.data": ("hydra", "omegaconf", "wandb", "trackio"),
}
HEAVY = ("torch", "torchvision", "pytorch_lightning", "wandb", "trackio", "scipy", "hydra")
LIGHT_COMPARISON = {
    f"genlab.comparison.{file.stem}" for file in (ROOT / "genlab/comparison").glob("[!_]*.py")
}
LIGHT = {
    "genlab.__main__",
    "genlab.cli",
    "genlab.composition",
    "genlab.hydra_app",
    "genlab.commands.compare",
    "genlab.commands.completion",
    "genlab.commands.doctor",
    "genlab.commands.list",
    "genlab.commands.parser",
    "genlab.commands.show",
    "genlab.commands.sweep",
    "genlab.sweeps.child",
    "genlab.sweeps.engine",
    "genlab.sweeps.locks",
    "genlab.sweeps.manifest",
    "genlab.sweeps.objective",
    "genlab.sweeps.rules",
    "genlab.sweeps.share",
    "genlab.sweeps.supervise",
    *LIGHT_COMPARISON,
    *CONFIG,
    *(BOTTOM - {"genlab.rng", "genlab.types"}),
}
"""Import nothing heavy where they are imported themselves; inside a function they may."""


def name_of(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in FILES}
TREES = {name: ast.parse(file.read_text()) for name, file in MODULES.items()}


def imports(tree, package, top_only=False):
    """The modules that a tree imports, those of ``from package import module`` included."""
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


def within(module, parts):
    """Whether a module is one of the parts or lies below one."""
    return any(module == part or module.startswith(f"{part}.") for part in parts)


def rule(name, table):
    """The entry of the table for the closest part of the tree that a module belongs to."""
    while name and name not in table:
        name = name.rpartition(".")[0]
    return table.get(name, ())


def test_imports_run_one_way():
    wrong = [
        f"{name} imports {module}"
        for name, tree in TREES.items()
        for module in imports(tree, name)
        if within(module, ["genlab"])
        and module not in BOTTOM
        and not within(module, rule(name, MAY_IMPORT))
    ]
    assert wrong == []


def test_every_part_of_the_tree_has_a_rule():
    assert [name for name in MODULES if name not in BOTTOM and not rule(name, MAY_IMPORT)] == []
    assert [name for name in MAY_IMPORT if name not in MODULES] == []


def test_mathematics_knows_no_framework():
    wrong = [
        f"{name} imports {module}"
        for name, tree in TREES.items()
        for module in imports(tree, name)
        if within(module, rule(name, NEVER))
    ]
    assert wrong == []


def test_what_must_answer_at_once_imports_nothing_heavy():
    wrong = [
        f"{name} imports {module}"
        for name in LIGHT
        for module in imports(TREES[name], name, top_only=True)
        if within(module, HEAVY)
    ]
    assert wrong == []


def test_every_module_says_what_it_is():
    assert [name for name, tree in TREES.items() if not ast.get_docstring(tree)] == []


def test_every_module_says_what_it_exports():
    wrong = []
    for name, tree in TREES.items():
        if MODULES[name].name == "__init__.py" and len(tree.body) == 1:
            continue
        module = load(name)
        if module.exports is None:
            wrong.append(f"{name} has no __all__")
            continue
        wrong += [f"{name} lacks {word}" for word in module.exports if word not in module.names]
    assert wrong == []


def test_no_file_grows_too_long():
    lengths = {str(f.relative_to(ROOT)): len(f.read_text().splitlines()) for f in FILES}
    assert {file: length for file, length in lengths.items() if length > 350} == {}


def test_there_is_no_registry():
    """A new family is one .py and one YAML: no module names the families."""
    families = [n for n in MODULES if within(n, ["genlab.models"]) and n != "genlab.models.base"]
    families.remove("genlab.models")
    wrong = [
        f"{name} imports {module}"
        for name, tree in TREES.items()
        for module in imports(tree, name)
        if module in families and not within(name, ["genlab.models"])
    ]
    assert families
    assert wrong == []
