"""Every recipe of CONTRIBUTING.md, done as it says in a copy of the project."""

import os
import re
import shlex
import shutil
import subprocess

import pytest
from pages import ROOT, apply, blocks, write_files

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = ("A model family", "A data set", "A metric", "A task", "A command")
PROGRAMS = {"genlab": ["genlab"], "pytest": ["pytest", "-W", "ignore:Module already imported"]}
"""What is typed, as python runs it: in a fork, a library with a plugin is imported already."""

LARGE = 100_000
"""Bytes above which a file is linked rather than copied: data and weights."""


def recipe(title):
    """The section of a recipe."""
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def take(source, target):
    """Copies a file, or links it where it is large."""
    if os.path.getsize(source) > LARGE:
        os.symlink(source, target)
    else:
        shutil.copy(source, target)


@pytest.fixture
def project(tmp_path, warm):
    """A copy of the project, in which `genlab` and `pytest` are the copy's."""
    unwanted = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("genlab", "configs", "tests", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=unwanted, copy_function=take)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "bin").mkdir()
    for name, words in PROGRAMS.items():
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {shlex.join(warm.command("-m", *words))} "$@"\n')
        program.chmod(0o755)
    return tmp_path


def run(project, block):
    """Runs a block of a page in a shell; the first command that fails ends it."""
    path = f"{project / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=project,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_works(title, project):
    text = recipe(title)
    write_files(text, project)
    apply(text, project)
    said = [run(project, block) for block in blocks(text)]
    assert len(said) >= 1
    assert any("passed" in output for output in said)


def test_every_recipe_is_tested():
    assert re.findall(r"^## (A .*)$", TEXT, re.M) == list(RECIPES)


def test_a_recipe_that_does_not_work_is_seen(project):
    with pytest.raises(AssertionError, match="no such command"):
        run(project, "genlab hello")
    with pytest.raises(AssertionError, match="has not once"):
        apply(recipe("A command").replace("doctor", "nurse"), project)


def test_every_command_of_the_table_has_its_target_or_file():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    named = re.findall(r"`make ([a-z -]+)`", TEXT)
    assert named
    assert [t for words in named for t in words.split() if t not in targets] == []
    files = re.findall(r"`pytest [^`]*?((?:tests|genlab)/[\w/.]+)", TEXT)
    assert len(files) >= 4
    assert [file for file in files if not (ROOT / file).exists()] == []
