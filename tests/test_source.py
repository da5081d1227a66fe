"""What is read from source is what importing would have told."""

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

from genlab.config.allowlist import OPTIMIZER_RANGES, THIRD_PARTY, refusal
from genlab.config.catalog import entries
from genlab.config.folders import config_dir
from genlab.config.hydra_section import PLUGINS
from genlab.config.overrides import groups
from genlab.config.source import find, load, locate, signature

OURS = sorted(
    {
        entry.target
        for group in groups([config_dir()])
        for entry in entries(group, [config_dir()])
        if entry.target
    }
)


def imported(target):
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)


@pytest.mark.parametrize("target", sorted({*THIRD_PARTY, *OURS}))
def test_signatures_are_those_of_the_imported_class(target):
    if target.endswith("MLFlowLogger"):
        pytest.importorskip("mlflow")
    if target.endswith("TensorBoardLogger"):
        pytest.importorskip("tensorboard")
    if target in PLUGINS:  # of the extras joblib, slurm, ray and optuna
        pytest.importorskip(target.rpartition(".")[0])
    static = signature(locate(target))
    real = inspect.signature(imported(target))
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    expected = {
        name: parameter.default is inspect.Parameter.empty
        for name, parameter in real.parameters.items()
        if parameter.kind not in variable
    }
    assert {p.name: p.required for p in static.parameters} == expected
    takes_more = any(p.kind == variable[0] for p in real.parameters.values())
    assert static.extra == takes_more


def test_all_our_configs_name_something_allowed():
    assert len(OURS) >= 10
    assert [target for target in OURS if refusal(target) and target not in PLUGINS] == []


def test_the_ranges_of_optimizers_are_for_arguments_that_exist():
    taken = {
        name
        for target in THIRD_PARTY
        if target.count(".") == 2 and target.startswith("torch.optim.")
        for name in signature(locate(target)).names
    }
    assert set(OPTIMIZER_RANGES) <= taken


def write(folder, **files):
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that must never be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    trap = "raise SystemExit('imported')\n"
    write(
        tmp_path,
        statpkg__init=trap,
        statpkg__base=f"{trap}class Base:\n kind = 'b'\n def __init__(self, a, *, b=1): ...\n",
        statpkg__deep=f"{trap}from .base import Base as B\nclass Deep(B):\n    def go(self): ...\n",
        statpkg__alias=f"{trap}import statpkg.deep as d\nclass Last(d.Deep): ...\nLIMIT = 3\n",
        statpkg__loop=f"{trap}from .loop import X\n",
        statpkg__data=(
            f"{trap}from dataclasses import dataclass\nfrom typing import ClassVar, NamedTuple\n"
            "@dataclass\nclass P:\n    a: int\n    n: ClassVar[int] = 1\n    b: int = 2\n"
            "@dataclass(frozen=True)\nclass Q(P):\n    c: int = 3\n"
            "class T(NamedTuple):\n    x: int\n    y: int = 0\n"
        ),
        statpkg__odd=(
            f"{trap}from nowhere import Gone\nclass Odd(Gone): ...\n"
            "try:\n    import fast\nexcept ImportError:\n    pass\n"
            "if True:\n    class Inside:\n        def __init__(self, z, /, w, **rest): ...\n"
        ),
        statpkg__broken="def (:\n",
    )
    (tmp_path / "statpkg" / "init.py").rename(tmp_path / "statpkg" / "__init__.py")
    yield "statpkg"
    for name in [name for name in sys.modules if name.startswith("statpkg")]:
        raise AssertionError(f"{name} was imported")


def test_names_are_followed_through_imports_and_bases(package):
    last = locate(f"{package}.alias.Last")
    assert [base.name for base in last.bases()] == ["Last", "Deep", "Base"]
    assert signature(last).names == ["a", "b"]
    assert [p.required for p in signature(last).parameters] == [True, False]
    assert last.attribute("kind") == "b"
    assert last.member("go")[0].name == "Deep"
    assert last.member("stay") is None
    assert locate(f"{package}.deep.B").target == f"{package}.base.Base"


def test_records_have_their_fields(package):
    assert signature(locate(f"{package}.data.Q")).names == ["a", "b", "c"]
    assert [p.required for p in signature(locate(f"{package}.data.T")).parameters] == [True, False]


def test_what_cannot_be_seen_is_not_guessed(package):
    assert signature(locate(f"{package}.odd.Odd")).extra
    inside = signature(locate(f"{package}.odd.Inside"))
    assert (inside.names, inside.extra) == (["z", "w"], True)
    for gone in ("loop.X", "broken.X", "nothing.X", "odd.Gone", "base.Missing"):
        assert locate(f"{package}.{gone}") is None
    assert load("") is None
    assert find("a..b") is None


def test_reading_a_class_imports_nothing():
    code = (
        "import sys\nfrom genlab.config.source import locate, signature\n"
        "assert signature(locate('torch.optim.Adam')).names[:2] == ['params', 'lr']\n"
        "assert signature(locate('genlab.models.vae.VAE')).names[0] == 'spec'\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('torch', 'pytorch_lightning')]\n"
        "assert not bad and 'genlab.models' not in sys.modules, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
