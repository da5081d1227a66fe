"""The examples, as their headers say: each command is run, and what comes of it is looked at."""

import json
import os
import re
import shutil
import sys

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from pages import ROOT
from PIL import Image

EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(EXAMPLES.rglob("*.ipynb"))
SHORT = {
    "trainer.epochs=8": "trainer.epochs=1",
    "trainer.epochs=20": "trainer.epochs=8",
    "data.limit=6000": "data.limit=600",
}
"""Less training than the headers have: the test looks at everything but the pictures' beauty."""

FEW = ["closing.n_samples=500", "closing.likelihood_images=500"]
"""A quick closing evaluation, where its numbers are not looked at."""


@pytest.fixture
def copied(tmp_path):
    """A copy of the examples, and a way to run their commands in one of its folders."""
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("runs", "__pycache__"))
    return folder


@pytest.fixture
def run(warm):
    """Runs a command in a folder; returns what it prints."""
    places = os.pathsep.join([str(ROOT), *filter(None, sys.path)])

    def run(folder, *words):
        done = warm.run(*words, cwd=folder, environment={"PYTHONPATH": places})
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    return run


def commands(file):
    """The commands of an example's header."""
    found = re.findall(r"^    genlab (.*)$", file.read_text(), re.M)
    assert found, file
    return [[SHORT.get(word, word) for word in line.split()] for line in found]


def summary(folder, name):
    return json.loads((folder / "runs" / name / "summary.json").read_text())["metrics"]


def test_every_example_stands_in_the_table():
    table = (EXAMPLES / "README.md").read_text()
    files = [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*/*.py"), *NOTEBOOKS]
    assert len(files) >= 7
    for file in files:
        assert f"]({file.relative_to(EXAMPLES)})" in table


def test_load_and_sample(copied, run):
    said = run(copied, "load_and_sample.py")
    nats = dict(re.findall(r"log p of (\w+) \w+ +(-[\d.]+) nats", said))
    assert float(nats["real"]) > float(nats["random"]) + 50
    assert "64 images of" in said
    assert re.search(r"codes \(256, \d+\), [\d.]+ levels off", said)
    assert "| 1 |" in said  # a row of the leaderboard
    again = run(copied, "load_and_sample.py", "runs/last")
    assert dict(re.findall(r"log p of (\w+) \w+ +(-[\d.]+) nats", again)) == nats


def test_own_model(copied, run):
    folder = copied / "own_model"
    listed, *others = commands(folder / "neighbours.py")
    assert "neighbours" in run(folder, "-m", "genlab", *listed)
    for line in others:
        said = run(folder, "-m", "genlab", *line)
    assert "16 images of table" in said
    # Independent pixels have 206 nats, every other family here fewer than 100.
    assert 100 < summary(folder, "table")["nll_exact"] < 150
    picture = np.asarray(Image.open(next((folder / "runs/table/sample").glob("*.png"))))
    assert len(np.unique(picture)) > 2


def test_own_metric(copied, run):
    folder = copied / "own_metric"
    for line in commands(folder / "ink.py"):
        said = run(folder, "-m", "genlab", *line)
    metrics = summary(folder, "inked")
    assert 0 < metrics["ink"] < 1
    assert 0 <= metrics["floor_ink_gap"] < 0.02
    assert abs(metrics["ink_gap"]) < 0.2
    assert "ink_gap" in said
    assert "the floor" in said


def test_own_data(copied, run):
    folder = copied / "own_data"
    show, train, sample = commands(folder / "rings.py")
    assert "small" in run(folder, "-m", "genlab", *show)
    run(folder, "-m", "genlab", *train, *FEW)
    assert "16 images of rings" in run(folder, "-m", "genlab", *sample)
    sizes = {}
    for label in ("small", "large"):
        words = [word.replace("large", label) for word in sample]
        run(folder, "-m", "genlab", *words, f"out={label}.npz")
        with np.load(folder / f"{label}.npz") as file:
            sizes[label] = (file["images"] > 100).mean()
    assert sizes["large"] > 1.2 * sizes["small"]


def test_own_task(copied, run):
    folder = copied / "own_task"
    train, sample = commands(folder / "nearest.py")
    run(folder, "-m", "genlab", *train, *FEW)
    assert "40 images of seen" in run(folder, "-m", "genlab", *sample, "out=rows.npz")
    with np.load(folder / "rows.npz") as file:
        rows = file["images"].astype(float).reshape(8, 5, -1)
    distance = np.square(rows[:, 1:] - rows[:, :1]).sum(-1)
    assert (np.diff(distance, axis=1) >= 0).all()  # nearest first
    assert (distance > 0).all()


LONG = ("load_and_sample",)
"""Notebooks that do what a script beside them does, which is tested, too."""


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(file, id=file.stem, marks=[pytest.mark.slow] * (file.stem in LONG))
        for file in NOTEBOOKS
    ],
)
def test_a_notebook_runs_and_shows_what_it_is_kept_with(file, copied, monkeypatch):
    assert file.stat().st_size < 200_000
    kept = nbformat.read(file, as_version=4)
    shown = [set(out.data) for out in outputs(kept) if "data" in out]
    assert any("image/png" in one for one in shown)
    assert any("text/html" in one for one in shown)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    fresh = nbformat.read(file, as_version=4)
    for cell in fresh.cells:
        fewer = '", "'.join(["trainer.max_images=2000", *FEW])
        cell.source = cell.source.replace("trainer.max_images=100000", fewer)
        cell.source = cell.source.replace("test.x[:500]", "test.x[:100]")
    place = copied / file.parent.relative_to(EXAMPLES)
    NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(place)}}).execute()
    assert [set(out.data) for out in outputs(fresh) if "data" in out] == shown
    assert not [out for out in outputs(kept) if "ename" in out]


def outputs(notebook):
    """All outputs of its cells."""
    return [out for cell in notebook.cells for out in cell.get("outputs", ())]
