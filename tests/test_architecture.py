"""Imports run one way, every module says what it is and exports, and no file grows too long."""

import ast

from layers import FORWARDS, LEVEL, MODULES, ROOT, TREES, imports, room, within

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

HEAVY = ("torch", "torchvision", "pytorch_lightning", "wandb", "trackio", "scipy", "hydra")
LIGHT = (
    "errors",
    "ranges",
    "system",
    "runs",
    "config",
    "comparison",
    "sweeps",
    "racing",
    "dashboard",
    "launch",
    "cli",
)
"""Rooms that import nothing heavy where they are imported themselves; in a function they may."""


HYDRA = ("hydra", "hydra.errors", "hydra.types", "hydra.utils")
"""Hydra's public modules: `instantiate`, the Compose API, errors; any other stays in launch."""


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
        and module not in FORWARDS.get(name, ())
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


def test_the_dashboard_alone_knows_trackio():
    users = {
        room(name)
        for name, tree in TREES.items()
        for module in imports(tree, name)
        if within(module, ["trackio"])
    }
    assert users == {"dashboard"}


def test_hydras_inside_is_touched_in_one_room():
    wrong = [
        f"{name} imports {module}"
        for name, tree in TREES.items()
        for module in imports(tree, name)
        if room(name) != "launch" and within(module, ["hydra"]) and module not in HYDRA
    ]
    assert sorted(wrong) == []


def test_hydras_private_parts_are_used_in_one_file():
    private = [
        name
        for name, tree in TREES.items()
        for module in imports(tree, name)
        if within(module, ["hydra._internal"])
    ]
    assert set(private) == {"genlab.launch.hydra_patches"}


def patches(tree, library):
    """The names imported of a library that a tree changes attributes of."""
    names = {
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if within(getattr(node, "module", None) or alias.name, [library])
    }
    changed = [
        node.args[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and node.args
        and ast.unparse(node.func) in ("replaced", "setattr", "delattr")
    ]
    changed += [
        target.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Attribute)
    ]
    return sorted({ast.unparse(node).partition(".")[0] for node in changed} & names)


def test_hydra_is_patched_in_one_file():
    found = {name: patches(tree, "hydra") for name, tree in TREES.items()}
    assert {name: names for name, names in found.items() if names} == {
        "genlab.launch.hydra_patches": ["Hydra", "ImportlibResourcesConfigSource", "Plugins"]
    }


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


SET_FROM_OUTSIDE = {
    "genlab.dashboard.server": ("self.server.should_exit",),  # how uvicorn is asked to end
    "genlab.launch.multirun": ("config.hydra.sweep.dir",),  # Hydra's own config, composed so far
    "genlab.nn.flows.spline": ("ctx.bins",),  # what torch's autograd hands to `backward`
    "genlab.training.budget": ("trainer.should_stop",),  # Lightning's documented way to end
    "genlab.training.generative_module": ("self.trainer.should_stop",),
    "genlab.training.guard": ("trainer.should_stop",),
    "genlab.training.step.chunks": ("trainer.validating", "trainer.training"),  # a validation
    # between two steps, which Lightning has no call for
}
"""Attributes of other objects that a function may set, and why."""


def set_from_outside(tree):
    """The attributes of parameters, and of what `self` holds, that are set outside `__init__`."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        given = {
            argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)
        }
        for node in ast.walk(function):
            targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
            if not isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
                continue
            for target in [part for t in targets for part in getattr(t, "elts", [t])]:
                path = ast.unparse(target) if isinstance(target, ast.Attribute) else ""
                owner, _, rest = path.partition(".")
                own = owner in ("self", "cls") and "." not in rest
                if rest and owner.isidentifier() and owner in given | {"self"} and not own:
                    yield path


def test_no_object_is_set_up_from_outside():
    found = {name: tuple(dict.fromkeys(set_from_outside(tree))) for name, tree in TREES.items()}
    assert {name: paths for name, paths in found.items() if paths} == SET_FROM_OUTSIDE


def test_setting_from_outside_is_seen():
    text = """
class A:
    def __init__(self, b):
        self.b = b
    def act(self, module, *, other):
        self.b = 1
        self.b.c, local.d = 2, 3
        module.x += 1
        other.y: int = 2
"""
    assert list(set_from_outside(ast.parse(text))) == ["self.b.c", "module.x", "other.y"]


def test_no_class_grows_too_long():
    lengths = {
        f"{name}.{node.name}": node.end_lineno - node.lineno + 1
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    assert {name: length for name, length in lengths.items() if length > 250} == {}
