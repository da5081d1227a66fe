"""Keys and choices that belong to something else: one line each, with what is allowed."""

import sys

import pytest

from genlab.cli.entry import main

DATA = """
from genlab.data.images import ImageData


class Noise(ImageData):
    def __init__(self, amount: int = 100):
        self.amount = amount
"""
MODALITY = """
from genlab.modalities.images.modality import ImageModality


class Ascii(ImageModality):
    def __init__(self, spec, columns: int = 3):
        self.columns = columns
"""


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Runs ``genlab train`` where a user has data and a modality; gives its only line."""
    for group, name, target, code, options in (
        ("data", "noise", "Noise", DATA, "amount: 100\nbatch_size: 16\n"),
        ("modality", "ascii", "Ascii", MODALITY, "columns: 3\n"),
    ):
        (tmp_path / f"foreign_{name}.py").write_text(code)
        (tmp_path / "conf" / group).mkdir(parents=True)
        text = f"# Somebody's own.\n_target_: foreign_{name}.{target}\n{options}"
        (tmp_path / "conf" / group / f"{name}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # --config-dir appends to it

    def run(*words, code=2):
        mine = ("--config-dir", "conf", "trust=[foreign_noise,foreign_ascii]")
        assert main(["train", *mine, *words]) == code
        out, err = capsys.readouterr()
        if code == 0:
            return out
        (line,) = err.splitlines()
        return line.removeprefix("genlab: error: ")

    return run


def test_a_key_that_users_data_leaves_out_is_added(refused):
    """`limit` is of the data module, which takes what the data itself does not."""
    said = "data.limit=64: its YAML leaves limit at the default; add it: +data.limit=64"
    assert refused("data=noise", "data.limit=64") == said
    assert "limit: 64" in refused("data=noise", "+data.limit=64", "--cfg", "job", code=0)
    typo = refused("data=noise", "data.limti=64")
    assert typo.startswith("data.limti=64: unknown key 'limti'; did you mean 'limit'? Noise takes")
    assert "amount, batch_size" in typo


@pytest.mark.parametrize(
    ("words", "line"),
    [
        # of data
        ("data=mnist data.points=8", "data.points=8: unknown key 'points'; Mnist takes batch_size"),
        ("data=noise data.classes=8", "data.classes=8: unknown key 'classes'; Noise takes amount"),
        ("data=mnist +data.seed=8", "data.seed: is given by the program; leave it out"),
        # of a modality
        ("modality=ascii modality.fps=8", "modality.fps=8: unknown key 'fps'; Ascii takes columns"),
        ("modality=ascii +modality.fps=8", "modality.fps: unknown key 'fps'; Ascii takes columns"),
        (
            "modality.columns=8",
            "modality.columns=8: no modality is chosen here; choose it first: modality=NAME",
        ),
        # of a condition
        (
            "data=synthetic data.classes=0 model=cvae",
            "model.conditional=true needs labels, and this data set has none",
        ),
        (
            "data=mnist model=ae +model.conditional=true",
            "model.conditional: unknown key 'conditional'; Autoencoder takes network",
        ),
    ],
)
def test_what_belongs_to_something_else_is_one_line(refused, words, line):
    assert refused(*words.split()).startswith(line)
