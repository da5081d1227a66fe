"""What was logged to W&B without a server goes there later, and the leaderboard as a table."""

import json
import sys

import pytest
from comparison.synthetic import make_run, value
from training.wandb_server import KEY, Refusing, Server, inspect

from genlab.experiment.wandb_leaderboard import publish, table
from genlab.runs.directory import list_runs

from .conftest import TINY
from .test_sweep_survival import genlab as genlab_process

# wandb starts its service with pipes and sockets of its own, and closes them when Python exits.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _ended():
    yield
    if "wandb" in sys.modules:
        sys.modules["wandb"].teardown()


@pytest.fixture
def logged(genlab, tmp_path, monkeypatch):
    """A tiny run that was logged offline."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    words = [word for word in TINY if not word.startswith("logger")]
    code, _, err = genlab("train", *words, "trainer.epochs=1", "name=a", "logger=wandb")
    assert code == 0, err
    sys.modules["wandb"].teardown()
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("NETRC", "/nonexistent")
    return tmp_path / "runs" / "a"


@pytest.fixture
def connect(monkeypatch):
    opened = []

    def go(server):
        opened.append(server)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        return server

    yield go
    for server in opened:
        server.close()


def test_offline_runs_are_uploaded_once(logged, genlab, connect):
    code, _, err = genlab("wandb", "sync", "runs")
    assert (code, err.count("\n")) == (2, 1)
    assert "no key" in err
    connect(Refusing())
    code, _, err = genlab("wandb", "sync", "runs")
    assert (code, err.count("\n")) == (1, 1)
    assert "does not answer" in err
    server = connect(Server())
    code, out, err = genlab("wandb", "sync", "runs")
    assert code == 0, err
    assert f"uploaded 1 to {server.url}" in out
    sent = b"".join(body for path, body in server.sent if path.endswith("file_stream"))
    assert b"val/loss" in sent
    uploads = [path for path, _ in server.sent if path.startswith("/upload/")]
    for kind in ("samples", "reconstructions", "interpolations"):
        assert any(f"/images/{kind}_" in path for path in uploads), uploads
    code, out, _ = genlab("wandb", "sync", "runs")
    assert (code, "nothing was logged offline" in out) == (0, True)


@pytest.fixture
def ranked(tmp_path):
    root = tmp_path / "runs"
    for model, distance in (("vae", 20.0), ("gan", 5.0)):
        for seed in (0, 1):
            number = value("fd_digits", distance + seed)
            make_run(root, f"{model}{seed}", number, model=model, seed=seed)
    return root


def test_a_table_has_a_row_for_each_configuration_in_their_order(ranked):
    columns, rows = table(ranked)
    read = [dict(zip(columns, row, strict=True)) for row in rows]
    assert [(row["model"], row["rank"], row["runs"]) for row in read] == [
        ("gan", 1.0, 2.0),
        ("vae", 2.0, 2.0),
    ]
    assert [row["fd_digits"] for row in read] == [5.5, 20.5]
    assert read[0]["fd_digits_floor"] == 0.07


def test_a_leaderboard_is_a_run_of_its_own_in_the_group_of_its_runs(ranked, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_MODE", "offline")
    before = len(list_runs(ranked))
    for _ in range(2):
        publish(ranked, "genlab", None)
    sys.modules["wandb"].teardown()
    assert len(list_runs(ranked)) == before  # it is none of genlab's
    first, second = sorted(ranked.glob("wandb/offline-run-*/*.wandb"))
    assert first.name == second.name  # one id
    found = inspect(first)
    [begun] = [record["run"] for record in found if record["type"] == "run"]
    assert begun["run_group"] == "runs"
    assert begun["job_type"] == "leaderboard"
    assert any("leaderboard" in json.dumps(r) for r in found if r["type"] == "history")
    [kept] = first.parent.glob("files/media/table/*.json")
    assert len(json.loads(kept.read_text())["data"]) == 2


@pytest.mark.slow
def test_the_jobs_of_a_sweep_are_a_group_with_their_leaderboard(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    words = [word for word in TINY if not word.startswith("logger")]
    words += ["trainer.epochs=1", "name=two", "seed=0,1", "logger=wandb"]
    done = genlab_process(tmp_path, "train", "-m", *words)
    assert done.returncode == 0, done.stderr[-2000:]
    sweep = tmp_path / "runs" / "two"
    groups = {}
    for file in sweep.glob("**/offline-run-*/*.wandb"):
        [begun] = [record["run"] for record in inspect(file) if record["type"] == "run"]
        groups[begun["job_type"]] = [*groups.get(begun["job_type"], []), begun["run_group"]]
    assert groups == {"train": ["two", "two"], "leaderboard": ["two"]}


def test_what_is_typed_wrong_is_said_in_a_line(genlab):
    for words in (["sync", "nowhere"], ["sink"], []):
        code, _, err = genlab("wandb", *words)
        assert (code, err.count("\n")) == (2, 1), err
