"""A run that was cut and goes on is the undisturbed run, bit by bit: each family, cut in five
places, with any number of workers. Where noise or position are not restored, it is not."""

import os
import signal

import pytest

from genlab.data.module import ImageDataModule
from genlab.experiment import train_run as train_command
from genlab.training import generative_module as training_module
from genlab.training.generative_module import GenerativeModule

from .tiny import FAMILIES, same, state, words

CUTS = ("step 1", "mid-epoch", "last batch", "epoch end", "after validation")
WORKERS = {"0": (0, 0), "2": (2, 2), "changed": (0, 2)}

QUICK = {
    ("vae_mlp", "mid-epoch", "changed"),
    ("gan_mlp", "after validation", "0"),
    ("flow_mlp", "last batch", "0"),
}
CASES = [
    pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow)
    for case in ((f, c, w) for f in FAMILIES for c in CUTS for w in WORKERS)
]


class Crash(Exception):
    """Stands for anything that ends a process without a word."""


def cut(patch, where):
    """Ends a run of 24 steps, 8 an epoch."""
    step, validate = GenerativeModule.step, GenerativeModule.validation_step
    at = {"step 1": 0, "mid-epoch": 96, "last batch": 120}

    def stepped(self, *args):
        if self.images_seen == at.get(where):
            os.kill(os.getpid(), signal.SIGTERM)
        if where == "after validation" and self.images_seen == 128:
            raise Crash  # the validation's checkpoint is all there is
        return step(self, *args)

    def validated(self, *args):
        if where == "epoch end" and self.images_seen == 128:
            os.kill(os.getpid(), signal.SIGTERM)  # it is given up, and comes first when it goes on
        return validate(self, *args)

    patch.setattr(GenerativeModule, "step", stepped)
    patch.setattr(GenerativeModule, "validation_step", validated)


@pytest.fixture(autouse=True)
def _no_closing_evaluation(monkeypatch):
    """It does not touch what is compared here, and takes as long as the run."""
    monkeypatch.setattr(train_command, "close_run", lambda *args: None)


WHOLE = {}


@pytest.fixture
def whole(tmp_path_factory):
    """A family's undisturbed run, made once."""

    def of(genlab, family):
        if family not in WHOLE:
            root = tmp_path_factory.mktemp(family)
            code, _, err = genlab("train", *words(family, f"root={root}", "name=whole"))
            assert code == 0, err
            WHOLE[family] = state(root / "whole")
        return WHOLE[family]

    return of


def begin(genlab, family, where, workers):
    with pytest.MonkeyPatch.context() as patch:
        cut(patch, where)
        code, _, err = genlab("train", *words(family, f"data.workers={workers}", "name=cut"))
    assert code == (1 if where == "after validation" else 143), err


@pytest.mark.parametrize(("family", "where", "workers"), CASES)
def test_a_run_that_was_cut_is_the_undisturbed_one(genlab, tmp_path, whole, family, where, workers):
    first, second = WORKERS[workers]
    begin(genlab, family, where, first)
    code, _, err = genlab("train", "run=cut", f"data.workers={second}")
    assert code == 0, err
    same(state(tmp_path / "runs" / "cut"), whole(genlab, family))


@pytest.mark.parametrize(
    "what", ["noise", *(pytest.param(w, marks=pytest.mark.slow) for w in ("order", "nothing"))]
)
def test_without_what_is_restored_it_is_another_run(genlab, tmp_path, whole, monkeypatch, what):
    """The negative control: the comparison above sees what it is there to see."""
    expected = whole(genlab, "vae_mlp")
    begin(genlab, "vae_mlp", "mid-epoch", 0)
    if what == "noise":
        seed_global = training_module.seed_global
        monkeypatch.setattr(
            training_module,
            "seed_global",
            lambda seed, purpose, seen, *rest: seed_global(seed, purpose, seen - 104, *rest),
        )
    elif what == "order":
        stream = ImageDataModule.train_stream
        monkeypatch.setattr(
            ImageDataModule,
            "train_stream",
            lambda self, **options: stream(self, **{**options, "position": 0}),
        )
    code, _, err = genlab("train", "run=cut")
    assert code == 0, err
    found = state(tmp_path / "runs" / "cut")
    if what == "nothing":
        same(found, expected)
    else:
        with pytest.raises(AssertionError):
            same(found, expected)
        assert found["counts"] == expected["counts"]
