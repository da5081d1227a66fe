"""Imports run one way, every module says what it is and exports, and no file grows too long."""

import ast

from layers import LEVEL, MODULES, ROOT, TREES, imports, room, within

from genlab.commands.help import HYDRA_COMMANDS
from genlab.config.source import load

FILES = sorted(MODULES.values())

NEVER = {
    "nn": ("pytorch_lightning", "hydra", "omegaconf", "wandb"),
    "models": ("pytorch_lightning", "hydra", "omegaconf", "wandb"),
    "metrics": ("pytorch_lightning", "hydra", "omegaconf", "wandb"),
    "modalities": ("pytorch_lightning", "hydra", "omegaconf", "wandb"),
    "tasks": ("pytorch_lightning", "hydra", "omegaconf", "wandb"),
    "data": ("hydra", "omegaconf", "wandb"),
}
"""Frameworks that a room does not know."""

HEAVY = ("torch", "torchvision", "pytorch_lightning", "wandb", "scipy", "hydra")
LIGHT = ("errors", "ranges", "system", "runs", "config", "comparison", "sweeps", "launch", "cli")
"""Rooms that import nothing heavy where they are imported themselves; in a function they may."""


def test_every_room_has_its_layer():
    assert sorted({room(name) for name in MODULES} - set(LEVEL)) == []
    assert sorted(set(LEVEL) - {room(name) for name in MODULES}) == []


def test_imports_run_down_the_tower():
    wrong = [
        f"{name} imports {module}"
        for name, tree in TREES.items()
        for module in imports(tree, name)
        if within(module, ["genlab"])
        and room(module) not in ("", room(name))
        and not allowed(room(name), room(module))
    ]
    assert wrong == []


def allowed(upper, lower):
    """Whether a room may know another: one of a lower layer, or its neighbour on the ground."""
    return LEVEL[lower] < LEVEL[upper] or (LEVEL[lower] == LEVEL[upper] == 0)


def test_no_module_imports_itself_by_way_of_others():
    graph = {
        name: sorted(module for module in imports(tree, name, top_only=True) if module in MODULES)
        for name, tree in TREES.items()
    }
    assert list(circles(graph)) == []


def circles(graph):
    """The first circle of a depth-first walk over a graph, if there is one."""
    done, path = set(), []

    def visit(node):
        if node in path:
            yield [*path[path.index(node) :], node]
        elif node not in done:
            path.append(node)
            for following in graph[node]:
                yield from visit(following)
            path.pop()
            done.add(node)

    for start in graph:
        yield from visit(start)


def test_circles_are_seen():
    assert list(circles({"a": ["b"], "b": ["c"], "c": ["b"]})) == [["b", "c", "b"]]


def test_no_name_stands_for_two_modules():
    names = [file.stem for file in FILES if file.stem not in ("base", "__init__")]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_mathematics_knows_no_framework():
    wrong = [
        f"{name} imports {module}"
        for name, tree in TREES.items()
        for module in imports(tree, name)
        if within(module, NEVER.get(room(name), ()))
    ]
    assert wrong == []


def is_light(name):
    """Whether a module must answer at once: a light room's, or a command that needs no Hydra."""
    if room(name) == "commands":
        return name.removeprefix("genlab.commands.") not in HYDRA_COMMANDS
    return room(name) in LIGHT


def reached(name):
    """All modules of genlab that importing one imports, itself included, with their packages."""
    found, waiting = set(), [name]
    while waiting:
        module = waiting.pop()
        if module in MODULES and module not in found:
            found.add(module)
            waiting += [module.rpartition(".")[0], *imports(TREES[module], module, top_only=True)]
    return found


def test_what_must_answer_at_once_imports_nothing_heavy():
    wrong = {
        f"{name} reaches {module}, which imports {heavy}"
        for name in MODULES
        if is_light(name)
        for module in reached(name)
        for heavy in imports(TREES[module], module, top_only=True)
        if within(heavy, HEAVY)
    }
    assert sorted(wrong) == []


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
