"""weights=ema:WIDTH: the average of a width that was chosen after training, in every command."""

import json
import subprocess
import sys
import time
from functools import partial

import pytest
import torch

import genlab as lab
from genlab.training.saving.checkpoint_io import read_checkpoint

from .conftest import TINY

KEPT = ("callbacks=ema_snapshots", "callbacks.ema_snapshots.every=32", "callbacks.samples=null")


@pytest.fixture
def kept(genlab, tmp_path):
    """The directory of a tiny run with snapshots."""
    code, _, err = genlab("train", *TINY, *KEPT, "trainer.epochs=4", "name=tiny")
    assert code == 0, err
    return tmp_path / "runs" / "tiny"


def test_each_command_takes_another_width(genlab, kept):
    assert len(list((kept / "checkpoints" / "ema").glob("*.ckpt"))) == 8
    code, out, err = genlab("sample", "run=tiny", "n=4", "weights=ema:0.07", "out=a.npz")
    assert code == 0, err
    assert "ema:0.07 weights" in out
    code, _, err = genlab("reconstruct", "run=tiny", "n=4", "weights=ema:0.07", "out=r.png")
    assert code == 0, err
    few = ("metrics.extractors=[pixels]", "metrics.metrics=[frechet]", "metrics.n_samples=100")
    code, _, err = genlab("evaluate", "run=tiny", *few, "weights=ema:0.07")
    assert code == 0, err
    reports = [json.loads(p.read_text()) for p in (kept / "evaluation").glob("*.json")]
    assert [r["weights"] for r in reports if r["sampling"]] == ["ema:0.07"]
    assert [r["sampling"] for r in reports if r["sampling"]] == [{"weights": "ema:0.07"}]
    code, _, err = genlab("export", "run=tiny", "weights=ema:0.07", "out=exported")
    assert code == 0, err
    # Two widths are two files of samples.
    for width in ("0.07", "0.12"):
        assert genlab("sample", "run=tiny", "n=4", f"weights=ema:{width}")[0] == 0
    assert len(list((kept / "sample").glob("*-s0-ema_*"))) == 2


def test_a_width_that_was_kept_is_the_checkpoints_own(kept):
    model = lab.load(kept, checkpoint="last", weights="ema:0.10")
    assert model.loaded.weights == "ema:0.1"
    state = read_checkpoint(kept / "checkpoints" / "last.ckpt")["callbacks"]["EmaSnapshots"]
    for name, tensor in state["averages"][0.1].items():
        torch.testing.assert_close(model.model.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)
    raw = lab.load(kept, checkpoint="last", weights="raw").model.state_dict()
    assert any(not torch.equal(raw[name], model.model.state_dict()[name]) for name in raw)


def test_snapshots_change_nothing_of_the_run(genlab, kept, tmp_path):
    code, _, err = genlab("train", *TINY, "callbacks.samples=null", "trainer.epochs=4", "name=none")
    assert code == 0, err
    one, other = (
        read_checkpoint(tmp_path / "runs" / name / "checkpoints" / "last.ckpt")
        for name in ("tiny", "none")
    )
    torch.testing.assert_close(one["state_dict"], other["state_dict"], rtol=0, atol=0)
    assert "EmaSnapshots" not in other["callbacks"]
    assert not (tmp_path / "runs" / "none" / "checkpoints" / "ema").exists()


@pytest.mark.parametrize(
    ("weights", "answer"),
    [
        ("ema:0.5", "weights=ema:0.5: widths from 0.0"),
        ("ema:0", "weights=ema:0: widths from 0.0"),
        ("ema:-0.1", "weights=ema:-0.1: widths from 0.0"),
        ("ema:wide", "weights=ema:wide; auto, ema, raw and ema:WIDTH are allowed"),
        ("ema:nan", "weights=ema:nan; auto, ema, raw and ema:WIDTH are allowed"),
        ("rav", "weights=rav; did you mean 'raw'? auto, ema, raw and ema:WIDTH are allowed"),
        ("ema:", "weights=ema:; did you mean 'ema'? auto, ema, raw and ema:WIDTH are allowed"),
    ],
)
def test_what_cannot_be_is_answered_in_a_line(genlab, kept, weights, answer):
    for command in ("sample", "evaluate", "reconstruct", "export"):
        code, _, err = genlab(command, "run=tiny", f"weights={weights}")
        assert code == 2
        assert answer in err
        assert err.count("\n") == 1


def test_a_run_without_snapshots_says_how_to_have_them(genlab, trained):
    code, _, err = genlab("sample", "run=tiny", "weights=ema:0.10")
    assert code == 2
    assert "kept no snapshots of averages, callbacks=ema_snapshots keeps them" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("callbacks.ema_snapshots.widths=[0.05,0.4]", "a list (a number >= 0.01 and <= 0.28)"),
        ("callbacks.ema_snapshots.widths=[0.05,0.05]", "different relative widths are needed"),
        ("callbacks.ema_snapshots.every=often", "callbacks.ema_snapshots.every=often"),
        ("callbacks.ema_snapshots.steps=0", "an integer >= 1 is needed"),
    ],
)
def test_a_wrong_setting_is_answered_before_training(genlab, tmp_path, word, answer):
    code, _, err = genlab("train", *TINY, "callbacks=ema_snapshots", word)
    assert code == 2
    assert answer in err
    assert not list((tmp_path / "runs").glob("*"))


def test_it_is_what_a_run_that_follows_this_width_has(genlab, tmp_path):
    """The same run twice: once with snapshots of two widths, once with the third one followed."""
    few = ("trainer.epochs=40", "trainer.validate_every=20 epochs", "callbacks.evaluation=null")
    for name, widths in (("two", "[0.05,0.1]"), ("third", "[0.07]")):
        given = (f"callbacks.ema_snapshots.widths={widths}", "callbacks.ema_snapshots.steps=1")
        every = "callbacks.ema_snapshots.every=192"
        code, _, err = genlab("train", *TINY, *KEPT[::2], *given, every, *few, f"name={name}")
        assert code == 0, err
    load = partial(lab.load, root=tmp_path / "runs", checkpoint="last")
    made = load("two", weights="ema:0.07").model.state_dict()
    last = load("two", weights="raw").model.state_dict()
    path = tmp_path / "runs" / "third" / "checkpoints" / "last.ckpt"
    followed = read_checkpoint(path)["callbacks"]["EmaSnapshots"]["averages"][0.07]
    flat = [torch.cat([w[n].flatten() for n in followed]) for w in (made, followed, last)]
    assert (flat[0] - flat[1]).norm() < 0.01 * (flat[2] - flat[1]).norm()


@pytest.mark.slow
def test_a_killed_run_comes_to_the_same_snapshots(genlab, tmp_path):
    """kill -9 in the middle, and resumed: every file is that of a run that nobody killed."""
    every = "callbacks.ema_snapshots.every=64"
    words = [*TINY, *KEPT[::2], every, "callbacks.evaluation=null", "trainer.epochs=100"]
    words += ["trainer.validate_every=480", "trainer.progress=false"]
    whole, cut = (tmp_path / "runs" / name / "checkpoints" / "ema" for name in ("whole", "cut"))
    code, _, err = genlab("train", *words, "name=whole")
    assert code == 0, err
    process = subprocess.Popen([sys.executable, "-m", "genlab", "train", *words, "name=cut"])
    while len(list(cut.glob("*.ckpt"))) < 40 and process.poll() is None:
        time.sleep(0.05)
    process.kill()
    process.wait()
    left = len(list(cut.glob("*.ckpt")))
    code, _, err = genlab("train", "run=cut")
    assert code == 0, err
    files = sorted(path.name for path in whole.glob("*.ckpt"))
    assert 40 <= left < len(files)
    assert sorted(path.name for path in cut.glob("*.ckpt")) == files
    assert all((whole / name).read_bytes() == (cut / name).read_bytes() for name in files)
