"""What waits for a metric that will not come, or comes too late, is told before training."""

import json

import pytest

from genlab.errors import ConfigError
from genlab.experiment import train_run as train_run_module
from genlab.training.checkpoints import Checkpoints
from genlab.training.collapse import Collapse, Reading

from .tiny import TINY

GAN = [word.replace("vae_mlp", "gan_mlp") for word in TINY]
STOPPING = "callbacks=early_stopping"
MEASURED = [word for word in TINY if word != "metrics=none"]
MEASURED += ["metrics=quick", "metrics.n_samples=16", "metrics.metrics=[frechet]"]
FD = "quick/fd_pixels_16"


def refused(genlab, tmp_path, *words):
    code, _, err = genlab("train", *words, "name=r")
    assert code == 2, err
    assert not (tmp_path / "runs").exists()
    return err


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ([*GAN, STOPPING], ["callbacks.early_stopping.monitor=val/loss", "val/real"]),
        (
            [*GAN, STOPPING, "callbacks.early_stopping.monitor=val/separatoin"],
            ["did you mean 'val/separation'"],
        ),
        ([*GAN, "scheduler=plateau"], ["scheduler.monitor=val/loss", "val/real"]),
        ([*TINY, "scheduler=plateau", f"scheduler.monitor={FD}"], ["scheduler.monitor=quick/fd"]),
        ([*TINY, STOPPING, f"callbacks.early_stopping.monitor={FD}"], ["will not be measured"]),
        (
            [*TINY, STOPPING, "+callbacks.early_stopping.check_on_train_epoch_end=true"],
            ["check_on_train_epoch_end=true", "never act"],
        ),
    ],
    ids=["gan", "typo", "plateau", "plateau of a quick one", "not along the way", "epoch's end"],
)
def test_a_metric_that_never_comes(genlab, tmp_path, words, parts):
    err = refused(genlab, tmp_path, *words)
    for part in parts:
        assert part in err


@pytest.mark.parametrize("name", ["early_stopping", "checkpoints"])
def test_a_metric_that_comes_after_the_first_validation(genlab, tmp_path, name):
    words = [*MEASURED, STOPPING, f"callbacks.{name}.monitor={FD}"]
    times = ["callbacks.evaluation.every=64", "trainer.validate_every=32"]
    err = refused(genlab, tmp_path, *words, *times)
    assert f"callbacks.{name}.monitor={FD}: is measured after 64 images" in err
    assert "for after 32" in err
    times[0] = "callbacks.evaluation.every=32"  # as it is advised
    code, _, err = genlab("train", *words, *times, "name=r")
    assert code == 0, err


def test_what_will_be_measured_trains(genlab):
    watched = ["callbacks.early_stopping.monitor=val/separation", "scheduler=plateau"]
    code, _, err = genlab("train", *GAN, STOPPING, *watched, "scheduler.monitor=val/real")
    assert code == 0, err
    code, _, err = genlab("train", *TINY, STOPPING, "scheduler=plateau")
    assert code == 0, err


@pytest.mark.parametrize("action", ["stop", "rollback"])
def test_a_guard_without_metrics_says_so(genlab, action):
    code, out, err = genlab("train", *TINY, f"guard.action={action}")
    assert code == 0, err
    assert f"guard.action={action}: none of fd, modes, class_kl is measured" in out
    code, out, err = genlab("train", *MEASURED, f"guard.action={action}")
    assert code == 0, err
    assert "guard.action" not in out


def test_the_distance_of_the_literature_is_one_too():
    """Under Inception its name is fid: neither the best checkpoint nor the guard may miss it."""
    assert Checkpoints().choose({"val/real": 1.0, "quick/fid_2k": 3.0}) == "quick/fid_2k"
    assert Checkpoints().choose({"quick/fid_2k": 3.0, "val/loss": 1.0}) == "val/loss"
    collapse = Collapse()
    assert collapse.judge(Reading(1, {"fid_2k": 10.0})) is None
    assert "fid_2k was 10" in str(collapse.judge(Reading(2, {"fid_2k": 100.0})))
    assert Reading(1, {"fid": 5.0}).find("fd") == ("fid", 5.0, None)


LEAST = {"frechet": 2, "score": 10, "frechet_infinity": 150, "kernel": 2, "manifold": 6, "mmd": 2}


@pytest.mark.parametrize("place", ["metrics", "closing"])
@pytest.mark.parametrize("name", LEAST)
def test_too_few_samples_are_told_before_training(genlab, tmp_path, monkeypatch, place, name):
    few = max(LEAST[name] - 1, 2 if place == "closing" else 1)  # closing.n_samples has 2 at least
    if few == LEAST[name]:
        pytest.skip("the schema refuses fewer")
    words = [word for word in TINY if not word.startswith(("metrics", "closing"))]
    words += ["metrics=quick", f"metrics.metrics=[{name}]", "metrics.extractors=[digits]"]
    words = [word.replace("synthetic", "mnist") for word in words]
    other = {"metrics": "closing", "closing": "metrics"}[place]
    counts = [f"{place}.n_samples={few}", f"{other}.n_samples=1000"]
    err = refused(genlab, tmp_path, *words, *counts)
    assert f"{place}.n_samples={few}: {name} needs at least {LEAST[name]} samples" in err

    def began(*args):
        raise ConfigError("far enough")

    monkeypatch.setattr(train_run_module, "own_directory", began)
    counts[0] = f"{place}.n_samples={LEAST[name]}"
    assert "far enough" in genlab("train", *words, *counts)[2]


def test_too_few_real_images_are_told_before_training(genlab, tmp_path):
    words = [word for word in TINY if not word.startswith(("metrics", "data.limit", "data.val"))]
    words = [w.replace("batch_size=16", "batch_size=4") for w in words]
    few = ["data.limit=5", "data.val_size=16", "metrics=quick", "metrics.metrics=[manifold]"]
    err = refused(genlab, tmp_path, *words, *few, "metrics.n_samples=20")
    assert "manifold needs at least 6 training images, and there are 5" in err


def test_an_evaluation_is_refused_before_it_draws(genlab, trained, monkeypatch):
    monkeypatch.setattr("genlab.metrics.suite.Suite._draw", lambda *args: pytest.fail("drew"))
    words = ["metrics=full", "metrics.n_samples=100"]
    code, _, err = genlab("evaluate", "run=tiny", *words)
    assert code == 2
    assert "metrics.n_samples=100: frechet_infinity needs at least 150 samples" in err
    assert json.loads((trained / "run.json").read_text())["status"] == "finished"
