"""Secrets put wherever they could get in: none comes out, in no file and on no line."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from genlab.dashboard.follow import Follower
from genlab.dashboard.store import open_store

from .probes import TINY, commands

CANARIES = {
    "WANDB_API_KEY": "CANARY0wandb" + "0" * 28,
    "HF_TOKEN": "CANARY-hub-token",
    "MY_SECRET": "CANARY-of-mine",
    "DB_PASSWORD": "CANARY-of-the-database",
    "AWS_SECRET_ACCESS_KEY": "CANARY-of-the-cloud",
}
URLS = [
    "https://me:CANARY-in-a-url@host/?api_key=CANARY-in-a-query&a=1",
    "https://CANARY-without-a-user@host/x.git",
    "postgres://me:CANARY-of-postgres@host/db",
]
TRAIN = [
    *(word for word in TINY if not word.startswith("logger")),
    "model=vae_mlp",
    "model.hidden=16",
    "name=a",
    "notes=${oc.env:MY_SECRET}",
    "group=the ${oc.env:DB_PASSWORD} itself",
    f"tags=['{URLS[0]}','{URLS[1]}',CANARY-of-the-cloud]",
]
"""A run with secrets in what it is told."""

WANDB = "{_target_:genlab.training.loggers.wandb.WandbLogger,mode:offline,notes:CANARY-of-mine}"

REFUSED = [
    ["train", "+hf.token=CANARY-typed-as-a-token"],
    ["train", "logger.wandb.api_key=CANARY-typed-as-a-key"],
    ["train", "+password=CANARY-typed", "seed=-1"],
    ["train", "seed=CANARY-of-mine"],
    ["train", "model=CANARY-of-mine"],
    ["train", "CANARY-of-mine"],
    ["train", "notes=${CANARY-of-mine}"],
    ["train", f"data.path={URLS[0]}", "data=folder"],
    ["train", f"init_from={URLS[1]}"],
    ["train", "--debug", "+hf.token=CANARY-typed-as-a-token"],
    ["train", "--config-dir", "/CANARY-of-mine"],
    ["sample", f"run={URLS[2]}"],
    ["evaluate", "images=CANARY-of-mine", "data=synthetic"],
    ["export", "run=CANARY-of-mine"],
    ["compare", "CANARY-of-mine"],
    ["data", "CANARY-of-mine"],
    ["list", "CANARY-of-mine"],
    ["CANARY-of-mine"],
]
"""Command lines that are refused, and would say so with the secret in it."""


# wandb starts its service with pipes and sockets of its own, and closes them when Python exits.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def secrets(monkeypatch):
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    yield
    if "wandb" in sys.modules:
        sys.modules["wandb"].teardown()


def leaks(folder):
    """The files that hold a canary, and those whose name does."""
    found = [p for p in Path(folder).rglob("*") if "CANARY" in p.name]
    files = [p for p in Path(folder).rglob("*") if p.is_file() and not p.is_symlink()]
    return found + [file for file in files if b"CANARY" in file.read_bytes()]


def modes(folder):
    """The permissions of the run directories below a folder."""
    return {
        stat.S_IMODE(mark.parent.stat().st_mode)
        for name in ("run.json", "sweep.json")
        for mark in Path(folder).rglob(name)
    }


@pytest.mark.parametrize("words", REFUSED, ids=lambda words: " ".join(words)[:50])
def test_an_error_tells_no_secret(secrets, tmp_path, monkeypatch, capsys, words):
    monkeypatch.setattr(sys, "argv", ["genlab", *words])  # as it is in a process of its own
    code, out, err = commands(tmp_path / "cwd", monkeypatch, capsys)(*words)
    assert code == 2
    assert "CANARY" not in out + err
    assert "error: " in err
    assert leaks(".") == []


def test_a_run_keeps_no_secret(secrets, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["genlab", "train", *TRAIN, "logger=csv"])
    monkeypatch.setenv("HOME", str(tmp_path))
    run = commands(tmp_path / "cwd", monkeypatch, capsys)
    code, out, err = run("train", *TRAIN, "logger=csv", f"+logger.w={WANDB}")
    assert code == 0, err
    assert list(Path("runs/a").glob("wandb/offline-run-*/*.wandb"))
    for words in (["export", "run=a"], ["compare", "runs", "--csv", "board.csv"]):
        code, more, complaint = run(*words)
        assert code == 0, complaint
        out, err = out + more, err + complaint
    assert "CANARY" not in out + err
    assert leaks(".") == []
    assert modes(".") == {0o700}
    content = yaml.safe_load(Path("runs/a/config.yaml").read_text())
    assert content["notes"] == "<redacted>"
    assert content["group"] == "the <redacted> itself"
    assert content["tags"][0] == "https://me:<redacted>@host/?api_key=<redacted>&a=1"


def processes(folder, *words):
    """Runs a command line as a process, with secrets in its environment and a home of its own."""
    for name in ("home", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "TRACKIO"))}
    own = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "genlab", *words],
        cwd=folder,
        env=environ | CANARIES | own | {"WANDB_MODE": "offline"},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.slow
def test_nothing_of_all_that_writes_keeps_a_secret(tmp_path):
    """Weights & Biases, TensorBoard, the dashboard, a sweep's manifest, logs, Hydra's own files."""
    loggers = ["logger=local", "+logger.wandb._target_=genlab.training.loggers.wandb.WandbLogger"]
    loggers += ["+logger.tb._target_=genlab.training.loggers.tensorboard.TensorBoardLogger"]
    said = ""
    for words in (
        ["train", *TRAIN, *loggers],
        ["train", "-m", *TRAIN, "name=swept", "seed=0,1", "trainer.max_images=64", *loggers],
        ["sample", "run=a", "n=4"],
        ["evaluate", "run=a", "metrics=quick", "metrics.n_samples=64"],
        ["export", "run=a"],
        ["compare", "runs", "--html", "page.html"],
        ["sweep", "status", "runs/swept"],
    ):
        chosen = [w for w in words if not (w == "name=a" and "name=swept" in words)]
        done = processes(tmp_path, *chosen)
        assert done.returncode == 0, (chosen, done.stderr[-2000:])
        said += done.stdout + done.stderr
    assert "CANARY" not in said
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    kinds = {file.suffix for file in files} | {file.name.split(".")[0] for file in files}
    assert {".wandb", ".log", ".png", ".ckpt", ".safetensors", "events"} <= kinds
    assert {"manifest", "sweep", "run", "config"} <= {file.stem for file in files}
    assert any(file.name == "debug.log" for file in files)
    assert leaks(tmp_path) == []
    assert modes(tmp_path) == {0o700}
    with open_store() as store:
        Follower(tmp_path / "runs", store).poll()
        kinds = {file.suffix for file in store.directory.rglob("*") if file.is_file()}
        assert {".db", ".png"} <= kinds
        assert len(store.database.get_runs("genlab")) == 3
        assert leaks(store.directory) == []
    print(f"{len(files)} files, {sum(file.stat().st_size for file in files):,} bytes")
