"""genlab train from the first word to the closing table, and every way of going on from there."""

import json
import signal
import subprocess
import time

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.runs.history import read_metrics
from genlab.training.saving.checkpoint_io import read_checkpoint

from .conftest import TINY


def weights(run, which="last"):
    checkpoint = read_checkpoint(run / "checkpoints" / f"{which}.ckpt")
    return checkpoint["state_dict"] | {"ema": checkpoint["genlab"]["ema"]}


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_leaves_all_that_it_promises(trained, genlab):
    assert {p.name for p in trained.iterdir()} >= {
        "config.yaml",
        "environment.json",
        "run.json",
        "metrics.jsonl",
        "summary.json",
        "checkpoints",
        "evaluation",
        "samples",
        "reconstructions",
        "interpolations",
    }
    assert json.loads((trained / "run.json").read_text())["status"] == "finished"
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["images_seen"] == 256
    assert {"nll_elbo", "bpd_elbo", "fd_pixels_100", "floor_fd_pixels_100"} <= set(
        summary["metrics"]
    )
    assert summary["best_metric"] == "val/loss"
    history = lines(trained)
    assert max(line["images_seen"] for line in history) == 256
    assert any("train/rate" in line for line in history)
    assert any("val/bpd" in line for line in history)
    assert any("test/nll_elbo" in line for line in history)
    picture = np.asarray(Image.open(trained / "samples" / "000000256.png"))
    assert picture.std() > 5


def test_the_closing_table_says_what_to_type_next(genlab):
    code, out, _ = genlab("train", *TINY, "trainer.epochs=1")
    assert code == 0
    for part in (
        "nll_elbo",
        "bpd_elbo",
        "floor",
        "genlab sample run=runs/",
        "genlab evaluate run=",
    ):
        assert part in out


def test_a_finished_run_goes_on_and_equals_one_that_never_stopped(trained, genlab, tmp_path):
    """At a constant rate, since a schedule stretched over more epochs is another schedule."""
    words = [w for w in TINY if w != "scheduler"] + ["scheduler=constant"]
    assert genlab("train", *words, "trainer.epochs=4", "name=whole")[0] == 0
    assert genlab("train", *words, "trainer.epochs=2", "name=half")[0] == 0
    code, _, err = genlab("train", "run=half", "trainer.epochs=4")
    assert code == 0, err
    whole, half = tmp_path / "runs" / "whole", tmp_path / "runs" / "half"
    torch.testing.assert_close(weights(half), weights(whole), rtol=0, atol=0)
    seen = [(line["images_seen"], line["train/loss"]) for line in lines(half) if "train/lr" in line]
    expected = [
        (line["images_seen"], line["train/loss"]) for line in lines(whole) if "train/lr" in line
    ]
    assert seen == expected


def test_a_complete_run_is_measured_again_not_trained(trained, genlab):
    before = weights(trained)
    code, out, _ = genlab("train", "run=last")
    assert code == 0
    assert "complete already" in out
    torch.testing.assert_close(weights(trained), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["run=last", "model.latent=3"], ["model.latent", "init_from="]),
        (["run=nothing"], ["run=nothing", "does not exist"]),
        (["run=tinny"], ["did you mean 'tiny'"]),
        ([*TINY, "name=tiny"], ["name=tiny", "exists", "run="]),
        (
            [*(w for w in TINY if "batch_size" not in w), "data.batch_size=4096"],
            ["data.batch_size=4096", "training images"],
        ),
        ([*TINY, "trainer.epochs=null"], ["max_images, epochs and max_time"]),
        ([*TINY, "trainer.epochs=null", "trainer.max_time=1s"], ["scheduler", "max_images"]),
        ([*TINY, "freeze=[nothing.*]"], ["freeze", "nothing.*"]),
        ([*TINY, "init_from=nothing"], ["nothing", "does not exist"]),
        ([*TINY, "metrics.extractors=[inception]", "metrics.download=false"], ["6726825d"]),
        ([*TINY, "trainer.max_time=soon"], ["trainer.max_time=soon"]),
        ([*TINY, "trainer.validate_every=never"], ["trainer.validate_every=never"]),
    ],
)
def test_mistakes_that_only_the_run_can_see(trained, genlab, tmp_path, words, parts):
    before = set((tmp_path / "runs").iterdir())
    code, _, err = genlab("train", *words)
    assert code == 2, err
    assert len(err.strip().splitlines()) <= 5
    assert "Traceback" not in err
    for part in parts:
        assert part in err
    assert set((tmp_path / "runs").iterdir()) == before


def test_weights_are_taken_over_and_frozen(trained, genlab, tmp_path):
    code, out, err = genlab(
        "train", *TINY, "trainer.epochs=1", "name=next", "init_from=tiny", "freeze=[encoder.*]",
        "ema.enabled=false",
    )  # fmt: skip
    assert code == 0, err
    assert "init_from tiny:" in out
    assert "frozen:" in out
    source = weights(trained, "best")["ema"]
    kept = weights(tmp_path / "runs" / "next")
    encoder = [name for name in source if name.startswith("encoder.")]
    assert encoder
    for name in encoder:
        torch.testing.assert_close(kept[f"model.{name}"], source[name], rtol=0, atol=0)
    assert any(
        not torch.equal(kept[f"model.{name}"], source[name])
        for name in source
        if not name.startswith("encoder.")
    )


def test_time_is_a_budget(genlab, tmp_path):
    words = (*TINY, "trainer.epochs=100000", "trainer.max_time=2s", "name=timed")
    start = time.monotonic()
    assert genlab("train", *words)[0] == 0
    summary = json.loads((tmp_path / "runs" / "timed" / "summary.json").read_text())
    assert 2 <= summary["train_seconds"] < 60
    assert summary["images_seen"] < 128 * 100000
    assert time.monotonic() - start < 120


def test_what_is_fitted_to_a_finished_model_is_kept(genlab, tmp_path):
    code, _, err = genlab("train", *TINY, "model.prior=fitted", "trainer.epochs=1", "name=fit")
    assert code == 0, err
    run = tmp_path / "runs" / "fit"
    fitted = read_checkpoint(run / "checkpoints" / "best.ckpt")["genlab"]["ema"]
    before = read_checkpoint(run / "checkpoints" / "last.ckpt")["genlab"]["ema"]
    changed = {name for name in fitted if not torch.equal(fitted[name], before[name])}
    assert changed
    assert all(name.startswith("prior.") for name in changed)
    assert genlab("sample", "run=fit", "n=4")[0] == 0


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_keeps_everything_and_the_run_goes_on_bit_by_bit(
    genlab, warm, tmp_path, name, code
):
    words = [*TINY, "trainer.epochs=60", "trainer.validate_every=60 epochs", "callbacks=none"]
    assert genlab("train", *words, "name=whole")[0] == 0
    process = subprocess.Popen(
        warm.command("-m", "genlab", "train", *words, "name=cut"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    history = tmp_path / "runs" / "cut" / "metrics.jsonl"
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and not (history.exists() and history.stat().st_size > 600):
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert "genlab train run=" in out
    cut = tmp_path / "runs" / "cut"
    assert json.loads((cut / "run.json").read_text())["status"] == "interrupted"
    stopped = read_checkpoint(cut / "checkpoints" / "last.ckpt")["genlab"]["images_seen"]
    assert 0 < stopped < 60 * 128
    assert genlab("train", "run=cut")[0] == 0
    torch.testing.assert_close(weights(cut), weights(tmp_path / "runs" / "whole"), rtol=0, atol=0)
    assert len(read_metrics(history)) == len(
        read_metrics(tmp_path / "runs" / "whole" / "metrics.jsonl")
    )
