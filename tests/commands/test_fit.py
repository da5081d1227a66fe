"""A model and data of different kinds: refused before anything is imported, with what would fit."""

import json

import pytest

TRAP = "raise SystemExit('imported')\n"
DATA = (
    TRAP
    + '''
from genlab.types import SequenceSpec, Spec


class Base:
    provides: type[Spec] = SequenceSpec


class Letters(Base):
    """Six letters, and again."""

    def __init__(self, length: int = 6): ...


def made(length: int = 6): ...
'''
)
MODEL = (
    TRAP
    + """
from genlab.models.base import GenerativeModel
from genlab.types import ImageSpec, LabelSpec, SequenceSpec


class Bigram(GenerativeModel):
    accepts = (SequenceSpec,)
    likelihood = "exact"

    def __init__(self, spec): ...


class Captioner(GenerativeModel):
    accepts = (SequenceSpec,)
    conditions = (ImageSpec, LabelSpec)

    def __init__(self, spec, conditional: bool = False): ...
"""
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Data and models of sequences of the user's own, which must not be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    for group in ("data", "model"):
        (tmp_path / "own" / group).mkdir(parents=True)
    (tmp_path / "own/letters.py").write_text(DATA)
    (tmp_path / "own/chars.py").write_text(MODEL)
    for name, target in (
        ("data/letters", "own.letters.Letters"),
        ("data/made", "own.letters.made"),
        ("model/bigram", "own.chars.Bigram"),
        ("model/captioner", "own.chars.Captioner"),
    ):
        (tmp_path / f"own/{name}.yaml").write_text(f"# A {name}.\n_target_: {target}\n")


OWN = ("--config-dir", "own", "trust=[own]")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("model=vae", "data=letters"),
            "model: VAE takes image data, and Letters is sequence data; take model=bigram, "
            "captioner",
        ),
        (
            ("model=bigram", "data=synthetic"),
            "model: Bigram takes sequence data, and Synthetic is image data; take model=ae, "
            "beta_vae, ",
        ),
    ],
)
def test_a_misfit_is_refused_before_anything_is_imported(folder, genlab, tmp_path, words, line):
    code, _, err = genlab("train", *OWN, *words)
    assert code == 2, err
    assert line in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_what_fits_is_not_refused_by_the_check(folder, genlab):
    for words in (("model=bigram", "data=letters"), ("model=vae", "data=made")):
        code, _, err = genlab("train", *OWN, *words)
        assert code == 1  # what the trap exits with
        assert "takes" not in err


def test_what_is_wrong_with_a_component_is_said_first(folder, genlab):
    code, _, err = genlab("train", *OWN, "model=vae", "data=letters", "model.latent=-1")
    assert code == 2
    assert "model.latent=-1" in err
    assert "takes image data" not in err


def test_the_list_says_what_a_model_takes_and_is_given(folder, genlab):
    found = json.loads(genlab("list", "models", "--config-dir", "own", "--json")[1])
    facts = {e["name"]: (e["family"]["accepts"], e["family"]["conditions"]) for e in found}
    assert facts["bigram"] == (["sequence"], [])
    assert facts["captioner"] == (["sequence"], ["image", "label"])
    assert facts["vae"] == (["image"], ["label"])
    assert facts["vq_vae"] == (["image"], [])
    _, out, _ = genlab("list", "models", "--config-dir", "own")
    head, *rows = out.splitlines()
    assert head.split()[:4] == ["model", "data", "given", "likelihood"]
    assert next(row for row in rows if row.startswith("captioner")).split()[1:4] == [
        "sequence", "image", "label",
    ]  # fmt: skip
