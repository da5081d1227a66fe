"""The local dashboard's store: what is in the SQLite file and the PNGs, and who else is asked."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.modalities.images.grid import grid
from genlab.runs.directory import mark_run
from genlab.training.loggers import store
from genlab.training.loggers.setup import (
    build_loggers,
    close_loggers,
    log_image,
    log_metrics,
    rewind_loggers,
)

CHOSEN = {"local": {"_target_": "genlab.training.loggers.trackio.TrackioLogger"}}
CONFIG = {"model": {"latent": 8, "hidden": [64, 32]}, "hf_token": "canary-" * 4}


@pytest.fixture
def new_run(tmp_path):
    def make(name, root="runs"):
        (tmp_path / root / name).mkdir(parents=True)
        return mark_run(tmp_path / root / name)

    return make


def rows(root, run=None):
    """The metrics in the store, read by sqlite itself."""
    with sqlite3.connect(root / ".trackio" / "genlab.db") as db:
        found = db.execute("SELECT run_name, step, metrics FROM metrics ORDER BY id").fetchall()
    db.close()
    return [(step, json.loads(m)) for name, step, m in found if run in (None, name)]


def test_rows_pictures_and_configuration_of_a_run(new_run, tmp_path, capsys):
    run, root = new_run("a"), tmp_path / "runs"
    pixels = grid(torch.randint(0, 256, (9, 1, 8, 8), dtype=torch.uint8))
    loggers = build_loggers(CHOSEN, run, CONFIG, group="sweep-1")
    log_metrics(loggers, {"train/loss": torch.tensor(0.5)}, 64)
    log_image(loggers, "samples", pixels, 64, caption="fixed latents")
    for logger in loggers:
        logger.finalize("success")  # as Lightning does at the end of fit; evaluation comes later
    log_metrics(loggers, {"test/nll": 90.0}, 128)
    close_loggers(loggers)
    close_loggers(loggers)
    assert capsys.readouterr() == ("", "")

    found = rows(root, "a")
    assert [(step, set(metrics)) for step, metrics in found] == [
        (64, {"train/loss"}),
        (64, {"samples"}),
        (128, {"test/nll"}),
    ]
    assert found[0][1]["train/loss"] == 0.5
    picture = found[1][1]["samples"]
    assert picture["caption"] == "fixed latents"
    png = root / ".trackio" / "media" / picture["file_path"]
    np.testing.assert_array_equal(np.asarray(Image.open(png).convert("RGB")), pixels)
    assert pixels.std() > 10

    config = sys.modules["trackio"].SQLiteStorage.get_run_config("genlab", "a")
    assert config["model.latent"] == 8
    assert config["model.hidden"] == "[64, 32]"
    assert config["hf_token"] == "<redacted>"
    assert config["_Group"] == "sweep-1"
    assert config["_Username"] is None


def test_two_run_roots_in_one_process_have_a_store_each(new_run, tmp_path):
    for i, root in enumerate(("one", "two")):
        loggers = build_loggers(CHOSEN, new_run("a", root), CONFIG)
        log_metrics(loggers, {"job": i}, 1)
        close_loggers(loggers)
    assert rows(tmp_path / "one") == [(1, {"job": 0})]
    assert rows(tmp_path / "two") == [(1, {"job": 1})]


def test_a_resumed_run_continues_without_doubles(new_run, tmp_path):
    run, root = new_run("a"), tmp_path / "runs"
    pixels = grid(torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8))
    first = build_loggers(CHOSEN, run, CONFIG)
    for step in (10, 20, 30):
        log_metrics(first, {"a": step}, step)
        log_image(first, "samples", pixels, step)
    close_loggers(first)
    again = build_loggers(CHOSEN, run, CONFIG)
    rewind_loggers(again, 20)
    for step in (30, 40):
        log_metrics(again, {"a": step + 0.5}, step)
    close_loggers(again)
    numbers = [(step, metrics["a"]) for step, metrics in rows(root, "a") if "a" in metrics]
    assert numbers == [(10, 10), (20, 20), (30, 30.5), (40, 40.5)]
    pictures = [(step, m["samples"]) for step, m in rows(root, "a") if "samples" in m]
    assert [step for step, _ in pictures] == [10, 20]
    for _, picture in pictures:
        png = root / ".trackio" / "media" / picture["file_path"]
        np.testing.assert_array_equal(np.asarray(Image.open(png).convert("RGB")), pixels)


def test_a_new_run_of_an_old_name_starts_empty(new_run, tmp_path):
    loggers = build_loggers(CHOSEN, new_run("a"), CONFIG)
    log_metrics(loggers, {"old": 1.0}, 1)
    close_loggers(loggers)
    for file in (tmp_path / "runs" / "a").iterdir():
        file.unlink()
    (tmp_path / "runs" / "a").rmdir()
    loggers = build_loggers(CHOSEN, new_run("a"), CONFIG)
    log_metrics(loggers, {"new": 1.0}, 1)
    close_loggers(loggers)
    assert rows(tmp_path / "runs") == [(1, {"new": 1.0})]


def test_nobody_else_is_asked_whatever_the_environment_says(new_run, tmp_path, monkeypatch):
    """Not the hub for the user's name, nor a server that the environment names."""
    tried = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: tried.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: tried.append(a))
    monkeypatch.setenv("HF_TOKEN", "hf_" + "x" * 34)
    monkeypatch.setenv("TRACKIO_SERVER_URL", "https://example.invalid/?write_token=x")
    monkeypatch.setenv("TRACKIO_SPACE_ID", "me/space")
    monkeypatch.setenv("TRACKIO_WEBHOOK_URL", "https://example.invalid/hook")
    loggers = build_loggers(CHOSEN, new_run("a"), CONFIG)
    log_metrics(loggers, {"a": 1.0}, 1)
    close_loggers(loggers)
    assert tried == []
    assert rows(tmp_path / "runs") == [(1, {"a": 1.0})]
    assert os.environ["TRACKIO_SPACE_ID"] == "me/space"  # as it was


def test_a_store_that_cannot_be_written_is_one_warning(new_run, tmp_path, capsys):
    run = new_run("a")
    (tmp_path / "runs" / ".trackio").write_text("a file where the directory should be")
    loggers = build_loggers(CHOSEN, run, CONFIG)
    for step in range(3):
        log_metrics(loggers, {"a": 1.0}, step)
    close_loggers(loggers)
    [said] = capsys.readouterr().err.splitlines()
    assert "logger=local cannot start" in said
    assert len(run.metrics_file.read_text().splitlines()) == 3


def test_trackio_that_is_missing_is_one_warning(new_run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "trackio", None)
    run = new_run("a")
    loggers = build_loggers(CHOSEN, run, CONFIG)
    log_metrics(loggers, {"a": 1.0}, 1)
    close_loggers(loggers)
    [said] = capsys.readouterr().err.splitlines()
    assert "logger=local cannot start (ModuleNotFoundError" in said
    assert len(run.metrics_file.read_text().splitlines()) == 1


WRITER = """
import sys
from pathlib import Path
from genlab.runs.directory import Run
from genlab.training.loggers import store

root, name = Path(sys.argv[1]), sys.argv[2]
run = store.begin(root, "genlab", name, config={"name": name}, group=None)
for step in range(100):
    run.log({"loss": float(step)}, step=step)
store.end(run)
"""


def test_jobs_that_write_at_the_same_time_lose_nothing(new_run, tmp_path):
    names = [f"job{i}" for i in range(3)]
    for name in names:
        new_run(name)
    jobs = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "runs"), name])
        for name in names
    ]
    assert [job.wait(timeout=120) for job in jobs] == [0, 0, 0]
    for name in names:
        assert [step for step, _ in rows(tmp_path / "runs", name)] == list(range(100))


def test_the_store_alone_imports_neither_torch_nor_lightning():
    code = (
        "import sys; from genlab.training.loggers import store; from genlab.runs import history;"
        "print(*({'torch', 'pytorch_lightning', 'wandb', 'trackio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_no_thread_is_left_behind(new_run):
    before = threading.active_count()
    loggers = build_loggers(CHOSEN, new_run("a"), CONFIG)
    log_metrics(loggers, {"a": 1.0}, 1)
    assert threading.active_count() == before + 1
    close_loggers(loggers)
    assert threading.active_count() == before
    assert store.PROJECT == "genlab"
