"""Other ways of training: sweeps, debug configs, curricula, two processes, other families."""

import json
import os
import subprocess
import sys

import pytest
import torch
from omegaconf import OmegaConf

from genlab.training.saving.checkpoint_io import read_checkpoint

from .conftest import TINY


@pytest.mark.usefixtures("forked_jobs")
def test_a_multirun_is_runs_of_their_own(genlab, tmp_path):
    words = [w for w in TINY if not w.startswith(("model", "logger"))]
    words += ["trainer.epochs=1", "logger=wandb", "model.hidden=16", "model.latent=4"]
    code, _, err = genlab("train", "-m", *words, "model=vae_mlp", "seed=0,1")
    assert code == 0, err
    marks = sorted((tmp_path / "runs").rglob("run.json"))
    assert {json.loads(mark.read_text())["seed"] for mark in marks} == {0, 1}
    assert {json.loads(mark.read_text())["status"] for mark in marks} == {"finished"}
    offline = [sorted(mark.parent.rglob("offline-run-*/*.wandb")) for mark in marks]
    assert all(len(files) >= 1 for files in offline)
    names = [{file.stem for file in files} for files in offline]
    assert not names[0] & names[1]
    groups = [OmegaConf.load(mark.parent / "config.yaml").group for mark in marks]
    assert groups == [marks[0].parent.parent.name] * 2
    assert all(groups[0].encode() in file.read_bytes() for files in offline for file in files)


def test_the_best_checkpoint_is_by_the_metric_that_was_asked_for(genlab, tmp_path):
    words = ["callbacks.checkpoints.monitor=quick/fd_pixels_100", "trainer.epochs=4", "name=best"]
    every = ["callbacks.evaluation.every=1 epoch"]
    code, _, err = genlab("train", *TINY, *words, *every)
    assert code == 0, err
    run = tmp_path / "runs" / "best"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    measured = {
        line["images_seen"]: line["quick/fd_pixels_100"]
        for line in lines
        if "quick/fd_pixels_100" in line
    }
    summary = json.loads((run / "summary.json").read_text())
    assert summary["best_metric"] == "quick/fd_pixels_100"
    assert summary["best"] == pytest.approx(min(measured.values()), rel=1e-5)
    assert measured[summary["best_images"]] == min(measured.values())
    best = read_checkpoint(run / "checkpoints" / "best.ckpt")
    assert best["genlab"]["images_seen"] == summary["best_images"]
    code, _, err = genlab("train", *TINY, "callbacks.checkpoints.monitor=val/los", "name=worse")
    assert code == 2
    assert "callbacks.checkpoints.monitor=val/los" in err


@pytest.mark.parametrize("name", ["fast", "limit", "profiler"])
def test_debug_configs_run(genlab, name):
    model = ["model=vae_mlp", "model.hidden=16", "data=synthetic", "trainer.threads=1"]
    code, out, err = genlab(
        "train", *model, f"debug={name}", "closing.n_samples=64", "metrics.n_samples=64",
        "logger=none", *(["data.limit=256"] if name == "profiler" else []),
    )  # fmt: skip
    assert code == 0, err
    if name == "profiler":
        assert "Action" in out + err


def test_one_batch_can_be_learnt_by_heart(genlab, tmp_path):
    code, _, err = genlab(
        "train", "model=ae", "model.distance=mse", "data=synthetic", "debug=overfit", "name=heart",
        "data.limit=16", "data.batch_size=16", "data.val_size=16", "trainer.epochs=300",
        "trainer.threads=1", "optimizer.lr=3e-3", "closing.n_samples=16", "metrics.n_samples=16",
    )  # fmt: skip
    assert code == 0, err
    lines = (tmp_path / "runs" / "heart" / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["train/loss"] for line in lines if "train/loss" in line]
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize(
    "words",
    [
        ["curriculum=resolution", "curriculum.sizes=[2,4]", "curriculum.until=[64,128]"],
        ["curriculum=classes"],
        ["data.augment=[flip]"],
        ["data.resident=false"],
        ["trainer.accumulate=2", "trainer.clip=1.0"],
        ["trainer.precision=bf16-mixed"],
        ["scheduler=plateau"],
        ["callbacks=early_stopping"],
        ["ema.enabled=false"],
        ["logger=[csv,tensorboard]"],
    ],
    ids=lambda words: words[0],
)
def test_what_can_be_combined_trains(genlab, tmp_path, words):
    tiny = [w for w in TINY if not (w.startswith("logger") and "logger" in words[0])]
    code, _, err = genlab("train", *tiny, *words, "trainer.epochs=2", "name=x")
    assert code == 0, err
    summary = json.loads((tmp_path / "runs" / "x" / "summary.json").read_text())
    assert summary["images_seen"] == 256


def test_two_processes_train_through_the_command_line(tmp_path):
    """The sub-command is stripped for Hydra, and must be there again for Lightning's launcher."""
    command = [
        sys.executable, "-m", "genlab", "train", *TINY, "trainer=ddp", "trainer.accelerator=cpu",
        "trainer.epochs=1", "name=ddp",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    run = tmp_path / "runs" / "ddp"
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["ddp"]
    checkpoint = read_checkpoint(run / "checkpoints" / "last.ckpt")
    assert checkpoint["genlab"]["images_seen"] == 128
    assert all(torch.isfinite(t).all() for t in checkpoint["genlab"]["ema"].values())
