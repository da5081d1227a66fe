"""A run that goes on: what was typed counts, and what the rate does is said."""

import hashlib
import json
import re

import pytest
import torch

from genlab.training.schedules import WarmupCosine

from .tiny import TINY


@pytest.fixture
def run(genlab, tmp_path):
    code, _, err = genlab("train", *TINY, "name=r")
    assert code == 0, err
    return tmp_path / "runs" / "r"


def seen(run):
    return json.loads((run / "run.json").read_text())["images_seen"]


def rates(run):
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line["train/lr"] for line in lines if "train/lr" in line]


def change(checkpoint, act):
    content = torch.load(checkpoint, weights_only=True)
    act(content)
    torch.save(content, checkpoint)
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    checkpoint.with_name(f"{checkpoint.name}.sha256").write_text(f"{digest}  {checkpoint.name}\n")


def test_epochs_that_were_typed_win_over_images_of_before(genlab, run):
    code, out, err = genlab("train", "run=r")
    assert code == 0, err
    advice = re.search(r"genlab (train .*)", out)[1]
    assert advice == "train run=runs/r trainer.max_images=128"
    assert genlab(*advice.split())[0] == 0
    assert seen(run) == 128
    code, out, err = genlab("train", "run=r", "trainer.epochs=2.5")
    assert code == 0, err
    assert "complete already" not in out
    assert seen(run) == 320  # 2.5 of 128
    code, _, err = genlab("train", "run=r", "trainer.epochs=1", "trainer.max_images=352")
    assert (code, seen(run)) == (0, 352), err


def test_epochs_that_were_typed_win_over_an_experiment(genlab, tmp_path):
    (tmp_path / "mine/experiment").mkdir(parents=True)
    (tmp_path / "mine/experiment/long.yaml").write_text(
        "# @package _global_\ntrainer:\n  max_images: 5000\n"
    )
    words = ["train", "--config-dir", "mine", "experiment=long"]
    _, out, _ = genlab(*words, "--cfg", "job", "-p", "trainer")
    assert "max_images: 5000" in out
    _, out, _ = genlab(*words, "trainer.epochs=2", "--cfg", "job", "-p", "trainer")
    assert "max_images: null" in out
    _, out, _ = genlab(*words, "trainer.epochs=null", "--cfg", "job", "-p", "trainer")
    assert "max_images: 5000" in out


def test_the_rate_of_another_length_is_said(genlab, run):
    before = rates(run)[-1]
    code, out, err = genlab("train", "run=r", "trainer.max_images=128", "trainer.log_every=16")
    assert code == 0, err
    said = re.search(
        r"learning rate: (\S+) at the checkpoint, (\S+) now, since .* (\d+) % are", out
    )
    peak = 1e-3
    assert float(said[1]) == pytest.approx(before, rel=0.1)
    assert float(said[2]) == pytest.approx(peak * WarmupCosine().factor(0.5), rel=0.1)
    assert said[3] == "50"
    after = rates(run)[2]
    assert after == pytest.approx(float(said[2]), rel=0.6)  # some steps on


@pytest.mark.parametrize(
    "words",
    [["trainer.max_images=64"], ["scheduler=constant"], ["scheduler=plateau"]],
    ids=["same length", "constant", "plateau"],
)
def test_a_rate_that_goes_on_is_not_mentioned(genlab, words):
    first = [word for word in words if word.startswith("scheduler")]
    assert genlab("train", *TINY, *first, "name=r")[0] == 0
    more = [] if not first else ["trainer.max_images=128"]
    code, out, err = genlab("train", "run=r", *more)
    assert code == 0, err
    assert "learning rate" not in out


@pytest.mark.parametrize("missing", ["steps", "seconds", "window", "ema", "schedule"])
def test_an_older_checkpoint_says_what_it_lacks(genlab, run, missing):
    for name in ("last", "best"):
        change(run / f"checkpoints/{name}.ckpt", lambda content: content["genlab"].pop(missing))
    code, _, err = genlab("train", "run=r", "trainer.max_images=128")
    assert code == 2
    assert f"another version of genlab: it lacks {missing}" in err
    assert "init_from=runs/r" in err
    assert "should not happen" not in err
    if missing != "ema":  # what is drawn from it does not depend on the rest
        code, _, err = genlab("sample", "run=r", "n=2")
        assert code == 0, err
        code, _, err = genlab("train", *TINY, "init_from=runs/r", "name=s")
        assert code == 0, err


@pytest.mark.parametrize(("callback", "key"), [("Checkpoints", "best"), ("Guard", "collapse")])
def test_an_older_callback_says_what_it_lacks(genlab, run, callback, key):
    change(run / "checkpoints/last.ckpt", lambda content: content["callbacks"][callback].pop(key))
    code, _, err = genlab("train", "run=r", "trainer.max_images=128")
    assert code == 2
    assert f"it lacks {callback}.{key}" in err


def test_what_older_checkpoints_lack_without_harm_is_read(genlab, run):
    def older(content):
        content["genlab"].pop("max_images")
        content["genlab"].pop("validation_due")
        for name in ("skipped", "in_a_row", "skipped_at"):
            content["callbacks"]["Guard"].pop(name)

    change(run / "checkpoints/last.ckpt", older)
    code, out, err = genlab("train", "run=r", "trainer.max_images=128")
    assert code == 0, err
    assert "learning rate" in out
    assert seen(run) == 128


def test_a_stopped_session_goes_on_to_the_end_that_was_typed(genlab, run, monkeypatch):
    """The run's own config has the first length: the command that is advised has the new one."""
    from genlab.training.step.running_means import RunningMeans

    collect = RunningMeans.collect

    def stop(self, loss, player):
        import os
        import signal

        os.kill(os.getpid(), signal.SIGTERM)
        monkeypatch.setattr(RunningMeans, "collect", collect)
        collect(self, loss, player)

    monkeypatch.setattr(RunningMeans, "collect", stop)
    code, out, _ = genlab("train", "run=r", "trainer.max_images=160", "notes=x")
    assert code == 143
    advice = re.search(r"genlab (train .*)", out)[1]
    assert advice == "train run=runs/r trainer.max_images=160"
    assert 64 < seen(run) < 160
    code, out, err = genlab(*advice.split())
    assert code == 0, err
    assert seen(run) == 160
