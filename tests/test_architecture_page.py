"""The architecture's page is true: its picture, its files, its functions and the order of calls."""

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest
import tower

from genlab.cli.entry import main

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
FILE = r"`((?:genlab|configs|scripts|tests|docs)/[\w./-]+)`"
LIVES = ("config", "run", "batch")

TINY = (
    "model=vae_mlp",
    "data=synthetic",
    "data.limit=16",
    "data.val_size=16",
    "data.batch_size=16",
    "trainer.max_images=16",
    "trainer.threads=1",
    "trainer.progress=false",
    "logger=none",
    "metrics.n_samples=16",
    "closing.n_samples=16",
    "closing.likelihood_images=16",
    "name=tiny",
)


def steps(text):
    """The files of a text with the names after them: ``[(file, name)]``."""
    return [
        (file, name)
        for file, names in re.findall(rf"{FILE}((?:\s·\s`[\w.]+`)*)", text)
        for name in re.findall(r"`([\w.]+)`", names)
    ]


def life(what):
    """The numbered list of a life."""
    return PAGE.partition(f"## The life of a {what}\n")[2].partition("\n## ")[0]


@cache
def defined(file):
    """The functions and classes of a file, by their qualified names."""

    def names(body, prefix):
        for node in body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from names(node.body, f"{prefix}{node.name}.")

    return set(names(ast.parse((ROOT / file).read_text()).body, ""))


def test_the_tower_is_drawn_from_the_imports_of_today():
    assert tower.TARGET.read_text() == tower.draw(), "draw it anew: python scripts/tower.py"


def test_the_tower_shows_a_new_import(monkeypatch):
    monkeypatch.setattr(tower, "edges", lambda: {("nn", "models")})
    assert tower.draw() != tower.TARGET.read_text()


@pytest.mark.parametrize("text", [PAGE, GLOSSARY], ids=["architecture", "glossary"])
def test_every_file_that_is_named_exists(text):
    files = re.findall(FILE, text)
    assert len(files) > 10
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("what", LIVES)
def test_every_function_that_is_named_is_defined(what):
    named = steps(life(what))
    assert len(named) > 15
    assert [(file, name) for file, name in named if name not in defined(file)] == []


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """The package's functions that a run of a single step called, in order, as file and name."""
    files = {str(ROOT / file): file for what in LIVES for file, _ in steps(life(what))}
    seen = []

    def note(frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_filename in files:
            seen.append((files[code.co_filename], code.co_qualname.removesuffix(".__init__")))

    # What an earlier test has had remembered would not be called again.
    for name, module in list(sys.modules.items()):
        if name.startswith("genlab."):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("lives"))
        sys.settrace(note)
        try:
            assert main(["train", *TINY]) == 0
        finally:
            sys.settrace(None)
    return seen


def out_of_order(listed, calls):
    """The first of the listed functions that is not called after the one before it."""
    left = iter(calls)
    return next((step for step in listed if step not in left), None)


@pytest.mark.parametrize("what", LIVES)
def test_a_life_is_lived_in_the_order_of_its_list(what, calls):
    assert out_of_order(steps(life(what)), calls) is None


def test_another_order_is_seen(calls):
    listed = steps(life("batch"))
    assert out_of_order(listed[::-1], calls) is not None
    assert out_of_order([listed[0], ("genlab/rng.py", "no_such")], calls) is not None
