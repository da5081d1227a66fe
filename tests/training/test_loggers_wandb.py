"""W&B: what lands in its files, and that nothing about it stops or delays a run."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.modalities.images.grid import grid
from genlab.runs.directory import mark_run
from genlab.training.loggers.setup import (
    build_loggers,
    close_loggers,
    links,
    log_checkpoint,
    log_image,
    log_metrics,
)
from genlab.training.loggers.wandb_mode import choose_mode

from .wandb_server import KEY, Refusing, Server, Silent, inspect

# wandb starts its service with pipes and sockets of its own, and closes them when Python exits.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

CHOSEN = {"wandb": {"_target_": "genlab.training.loggers.wandb.WandbLogger"}}
CONFIG = {"model": {"latent": 8}, "tags": ["vae", "mnist"], "hf": {"token": "canary-" * 4}}


@pytest.fixture(autouse=True)
def _ended():
    yield
    if "wandb" in sys.modules:
        sys.modules["wandb"].teardown()


@pytest.fixture
def new_run(tmp_path):
    def make(name):
        (tmp_path / name).mkdir()
        return mark_run(tmp_path / name)

    return make


def records(run):
    """All that a run's offline files hold, oldest file first, by W&B's own reader."""
    return [inspect(file) for file in sorted(run.path.glob("wandb/*run-*/*.wandb"))]


def of_type(found, kind):
    return [record[kind] for record in found if record["type"] == kind]


def test_without_a_key_all_is_in_the_run_directory_and_one_line_says_so(
    new_run, capsys, monkeypatch
):
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("NETRC", "/nonexistent")
    run, pixels = new_run("a"), grid(torch.randint(0, 256, (9, 1, 8, 8), dtype=torch.uint8))
    loggers = build_loggers(CHOSEN, run, CONFIG, group="sweep-1")
    for step in (100, 200):
        log_metrics(loggers, {"train/loss": 1.0 / step}, step)
    log_image(loggers, "samples", pixels, 200, caption="fixed latents")
    for logger in loggers:
        logger.finalize("success")  # as Lightning does at the end of fit; evaluation comes later
    log_metrics(loggers, {"test/nll": torch.tensor(90.0)}, 200)
    close_loggers(loggers)

    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    [written] = run.path.glob("wandb/offline-run-*")
    assert "no key was found" in said[0]
    for command, path in (("leet", written.parent), ("sync", written)):
        named = said[0].split(f"`wandb {command} ")[1].split("`")[0]
        assert Path(named).resolve() == path.resolve()

    [found] = records(run)
    [begun] = of_type(found, "run")
    assert begun["run_id"] == run.read("run.json")["wandb_id"]
    assert begun["run_group"] == "sweep-1"
    assert begun["job_type"] == "train"
    assert begun["tags"] == ["vae", "mnist"]
    assert begun["display_name"] == "a"
    config = begun["config"]["update"]
    assert config["model"] == {"latent": 8}
    assert config["hf"] == {"token": "<redacted>"}
    rows = [record["item"] for record in of_type(found, "history")]
    assert [(row["images_seen"], row.get("train/loss"), row.get("test/nll")) for row in rows] == [
        (100, 0.01, None),
        (200, 0.005, None),
        (200, None, None),
        (200, None, 90.0),
    ]
    assert rows[2]["samples._type"] == "image-file"
    steps = {m.get("glob_name"): m.get("step_metric") for m in of_type(found, "metric")}
    assert steps["*"] == "images_seen"
    [png] = written.glob("files/media/images/*.png")
    np.testing.assert_array_equal(np.asarray(Image.open(png).convert("RGB")), pixels)
    assert pixels.std() > 10
    assert not of_type(found, "output")  # the terminal is not recorded
    logs = [file for file in run.path.rglob("*") if file.is_file()]
    assert any(file.name == "debug.log" for file in logs)
    assert [file for file in logs if b"canary-" in file.read_bytes()] == []


@pytest.mark.parametrize("wanted", [True, False])
def test_a_checkpoint_is_kept_if_asked_and_staged_in_the_run_directory(
    wanted, new_run, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    run = new_run("a")
    (run.path / "best.ckpt").write_bytes(b"weights" * 100)
    chosen = {"wandb": CHOSEN["wandb"] | {"log_model": wanted}}
    loggers = build_loggers(chosen, run, CONFIG)
    log_metrics(loggers, {"a": 1.0}, 1)
    log_checkpoint(loggers, run.path / "best.ckpt", "best")
    (run.path / "best.ckpt").write_bytes(b"later")
    close_loggers(loggers)
    staged = list((run.path / "wandb" / "artifacts").rglob("*"))
    assert [f.read_bytes() for f in staged if f.is_file()] == [b"weights" * 100] * wanted
    [found] = records(run)
    assert [a["name"] for a in of_type(found, "artifact")] == (
        [f"model-{run.read('run.json')['wandb_id']}"] * wanted
    )
    assert not (tmp_path / "home" / ".local").exists()


def test_jobs_of_one_process_are_runs_of_their_own(new_run):
    runs = [new_run("a"), new_run("b")]
    for i, run in enumerate(runs):
        loggers = build_loggers(CHOSEN, run, CONFIG)
        log_metrics(loggers, {"job": i}, 1)
        if i:  # the first job forgets to close, as one that crashed does
            close_loggers(loggers)
    ids = [run.read("run.json")["wandb_id"] for run in runs]
    assert ids[0] != ids[1]
    for i, run in enumerate(runs):
        [found] = records(run)
        assert of_type(found, "run")[0]["run_id"] == ids[i]
        assert [record["item"]["job"] for record in of_type(found, "history")] == [i]


@pytest.mark.slow
def test_a_resumed_run_keeps_its_id(new_run):
    run = new_run("a")
    for step in (1, 2):
        loggers = build_loggers(CHOSEN, run, CONFIG)
        log_metrics(loggers, {"a": step}, step)
        close_loggers(loggers)
        time.sleep(1.1)  # W&B names its directories by the second
    first, second = records(run)
    assert of_type(first, "run")[0]["run_id"] == of_type(second, "run")[0]["run_id"]
    assert of_type(second, "history")[0]["item"]["images_seen"] == 2


@pytest.fixture
def online(monkeypatch):
    """Sends wandb to a server, with a key."""

    def go(server):
        monkeypatch.delenv("WANDB_MODE")
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        if "wandb" in sys.modules:
            sys.modules["wandb"].teardown()
        return server

    servers = []
    yield lambda server: servers.append(go(server)) or server
    for server in servers:
        if "wandb" in sys.modules:
            sys.modules["wandb"].teardown()
        server.close()


def test_with_a_key_and_a_server_the_run_is_online(new_run, online, capsys):
    server, run = online(Server()), new_run("a")
    loggers = build_loggers(CHOSEN, run, CONFIG)
    log_metrics(loggers, {"train/loss": 0.125}, 64)
    [link] = links(loggers).values()
    close_loggers(loggers)
    run_id = run.read("run.json")["wandb_id"]
    assert capsys.readouterr().err.splitlines() == [f"W&B: {server.url}/me/genlab/runs/{run_id}"]
    assert link == f"{server.url}/me/genlab/runs/{run_id}"
    sent = b"".join(body for _, body in server.sent)
    assert b"canary-" not in sent
    history = [body for path, body in server.sent if path.endswith("file_stream")]
    assert b'train/loss\\":0.125' in b"".join(history)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [Refusing, Silent, lambda: Server(401), lambda: Server(500), lambda: Server(delay=30)],
    ids=["refuses", "silent", "bad key", "errors", "slow"],
)
def test_a_bad_server_costs_less_than_15_seconds(make, new_run, online, capsys):
    online(make())
    run, start = new_run("a"), time.monotonic()
    loggers = build_loggers(CHOSEN, run, CONFIG)
    log_metrics(loggers, {"train/loss": 1.0}, 1)
    assert time.monotonic() - start <= 15
    log_metrics(loggers, {"train/loss": 2.0}, 2)
    close_loggers(loggers)
    [said] = capsys.readouterr().err.splitlines()
    assert "logging offline" in said
    [found] = records(run)
    assert [r["item"]["images_seen"] for r in of_type(found, "history")] == [1, 2]


@pytest.mark.slow
def test_a_server_that_dies_holds_up_the_end_only_as_long_as_allowed(new_run, online, capsys):
    server, run = online(Server()), new_run("a")
    chosen = {"wandb": CHOSEN["wandb"] | {"timeout": 3}}
    loggers = build_loggers(chosen, run, CONFIG)
    log_metrics(loggers, {"train/loss": 1.0}, 1)
    time.sleep(1)
    server.close()
    start = time.monotonic()
    for step in range(2, 200):
        log_metrics(loggers, {"train/loss": 1.0}, step)
    assert time.monotonic() - start < 3
    close_loggers(loggers)
    assert time.monotonic() - start < 15
    assert "the upload did not end within 3 s; `wandb sync" in capsys.readouterr().err
    [found] = records(run)
    assert len(of_type(found, "history")) == 199
    assert len(run.metrics_file.read_text().splitlines()) == 199


def test_a_logger_that_cannot_start_is_one_warning(new_run, monkeypatch, capsys):
    import wandb

    monkeypatch.setattr(wandb, "init", lambda **kw: 1 / 0)
    run = new_run("a")
    loggers = build_loggers(CHOSEN, run, CONFIG)
    for step in range(3):
        log_metrics(loggers, {"a": 1.0}, step)
    close_loggers(loggers)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "logger=wandb failed in log_metrics (ZeroDivisionError" in said[0]
    assert len(run.metrics_file.read_text().splitlines()) == 3


SECRETS = """
import sys
import numpy as np
from pathlib import Path
from genlab.runs.directory import mark_run
from genlab.training.loggers.setup import build_loggers, close_loggers, log_image, log_metrics

config = {
    "hf": {"token": "CANARY-config-by-name"},
    "note": "from the environment: CANARY-environment",
    "url": "https://me:CANARY-url@host/?api_key=CANARY-query",
}
chosen = {
    "wandb": {"_target_": "genlab.training.loggers.wandb.WandbLogger"},
    "tensorboard": {"_target_": "genlab.training.loggers.tensorboard.TensorBoardLogger"},
}
loggers = build_loggers(chosen, mark_run(Path("runs/a")), config)
log_metrics(loggers, {"a": 1.0}, 1)
log_image(loggers, "samples", np.zeros((4, 4, 3), np.uint8), 1)
close_loggers(loggers)
"""


@pytest.mark.slow
def test_no_secret_is_in_any_file_or_line_and_no_file_outside(tmp_path):
    """Secrets in the environment, under a secret's name, in URLs, and typed as overrides."""
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "home").mkdir()
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "TRACKIO"))}
    done = subprocess.run(
        [sys.executable, "-c", SECRETS, "train", "hf.token=CANARY-override", "CANARY-environment"],
        cwd=tmp_path,
        env=environ
        | {
            "HOME": str(tmp_path / "home"),
            "WANDB_MODE": "offline",
            "WANDB_API_KEY": "CANARYCANARYCANARYCANARYCANARYCANARY1234",
            "MY_SECRET": "CANARY-environment",
            "HF_TOKEN": "CANARY-hub-token",
            "HTTPS_PROXY": "http://127.0.0.1:9",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "CANARY" not in done.stdout + done.stderr
    assert "warning" not in done.stderr
    files = [file for file in tmp_path.rglob("*") if file.is_file() and not file.is_symlink()]
    kinds = {file.suffix for file in files} | {file.name.split(".")[0] for file in files}
    assert {".wandb", ".log", ".png", "events"} <= kinds
    # run.json, which holds the command line, is not written by a logger.
    leaks = [file for file in files if b"CANARY" in file.read_bytes() and file.name != "run.json"]
    assert leaks == []
    # Outside of the runs there is but the log of wandb's service, which has no setting.
    outside = [file for file in files if tmp_path / "runs" not in file.parents]
    logs = tmp_path / "home" / ".cache" / "wandb" / "logs"
    assert [file for file in outside if file.parent != logs] == []
    assert sum(file.stat().st_size for file in outside) < 10_000


@pytest.mark.parametrize(
    ("mode", "environ", "netrc", "chosen"),
    [
        ("auto", {}, "", "offline"),
        ("auto", {"WANDB_API_KEY": "k"}, "", "online"),
        ("auto", {"WANDB_API_KEY": ""}, "", "offline"),
        ("auto", {}, "machine w.example login user password k", "online"),
        ("auto", {}, "machine other.example login user password k", "offline"),
        ("auto", {}, "machine w.example login user password", "offline"),
        ("auto", {"WANDB_API_KEY": "k", "WANDB_MODE": "offline"}, "", "offline"),
        ("auto", {"WANDB_API_KEY": "k", "WANDB_MODE": "dryrun"}, "", "offline"),
        ("auto", {"WANDB_MODE": "disabled"}, "", "disabled"),
        ("online", {}, "", "offline"),
        ("online", {"WANDB_API_KEY": "k", "WANDB_MODE": "offline"}, "", "online"),
        ("offline", {"WANDB_API_KEY": "k"}, "", "offline"),
        ("disabled", {"WANDB_API_KEY": "k"}, "", "disabled"),
    ],
)
def test_the_mode(mode, environ, netrc, chosen, tmp_path, monkeypatch):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "netrc"
    file.write_text(netrc)
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    assert choose_mode(mode, "https://w.example")[0] == chosen
