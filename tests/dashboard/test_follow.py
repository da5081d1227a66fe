"""The dashboard's store: what is copied of run directories, while they grow, rewind and vanish."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from commands.test_dashboard import get, make_run, shown
from PIL import Image

from genlab.dashboard import follow, run_reader
from genlab.dashboard.follow import Follower
from genlab.dashboard.store import open_store
from genlab.errors import StorageError
from genlab.modalities.images.grid import grid, save_png
from genlab.runs import history
from genlab.runs.directory import mark_run
from genlab.training.loggers.files import FilesLogger
from genlab.training.loggers.setup import (
    build_loggers,
    close_loggers,
    log_alert,
    log_image,
    log_metrics,
    rewind_loggers,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:uvicorn")


@pytest.fixture
def store():
    with open_store() as opened:
        yield opened


@pytest.fixture
def follower(store, tmp_path):
    return Follower(tmp_path, store)


@pytest.fixture
def pixels():
    return grid(torch.randint(0, 256, (9, 1, 8, 8), dtype=torch.uint8))


def logs(store, name):
    return store.database.get_logs("genlab", name)


def numbers(store, name, key):
    return [(row["step"], row[key]) for row in logs(store, name) if key in row]


def pictures(store, name, kind="samples"):
    """The pictures of a run by step, as the page gets them."""
    return [
        (step, np.asarray(Image.open(store.directory / "media" / value["file_path"])))
        for step, value in numbers(store, name, kind)
    ]


def test_runs_are_copied_whole_and_once(store, follower, tmp_path):
    _, pixels = make_run(tmp_path, "sweep/0_a", model={"latent": 8}, hf={"token": "abc"}, group="g")
    make_run(tmp_path, "b")
    follower.poll()
    assert set(store.database.get_runs("genlab")) == {"sweep/0_a", "b"}
    found = logs(store, "sweep/0_a")
    assert numbers(store, "sweep/0_a", "train/loss") == [(100, 10.0), (200, 5.0), (300, 1000 / 300)]
    assert found[0]["timestamp"].startswith("2023-11-14")  # when it was logged, not copied
    [(step, picture)] = pictures(store, "sweep/0_a")
    assert step == 300
    np.testing.assert_array_equal(picture, pixels)
    config = store.database.get_run_config("genlab", "sweep/0_a")
    assert (config["model.latent"], config["hf.token"]) == (8, "<redacted>")
    assert (config["_Group"], config["_Username"]) == ("g", None)
    follower.poll()
    assert len(logs(store, "sweep/0_a")) == len(found)


def test_all_that_training_logs_is_shown(store, follower, tmp_path, pixels):
    (tmp_path / "a").mkdir()
    run = mark_run(tmp_path / "a")
    loggers = build_loggers(None, run, {})
    follower.poll()
    assert store.database.get_runs("genlab") == []
    log_metrics(loggers, {"train/loss": torch.tensor(0.5), "bad": float("nan")}, 64)
    log_image(loggers, "samples", pixels, 64)
    follower.poll()
    assert [set(row) - {"step", "timestamp"} for row in logs(store, "a")] == [
        {"train/loss", "bad"},
        {"samples"},
    ]
    log_alert(loggers, "guard", "two classes are lost", 128)
    log_metrics(loggers, {"test/nll": 90.0}, 128)
    log_image(loggers, "samples", 255 - pixels, 128)
    close_loggers(loggers)
    follower.poll()
    assert numbers(store, "a", "train/loss") == [(64, 0.5)]
    assert np.isnan(numbers(store, "a", "bad")[0][1])
    assert numbers(store, "a", "test/nll") == [(128, 90.0)]
    for (step, picture), (wanted, image) in zip(
        pictures(store, "a"), [(64, pixels), (128, 255 - pixels)], strict=True
    ):
        assert step == wanted
        np.testing.assert_array_equal(picture, image)
    [alert] = store.database.get_alerts("genlab")
    about = ("run", "title", "text", "step", "level")
    expected = ("a", "guard", "two classes are lost", 128, "warn")
    assert tuple(alert[key] for key in about) == expected


def test_a_resumed_run_is_rewound_and_has_no_doubles(store, follower, tmp_path, pixels):
    (tmp_path / "a").mkdir()
    run = mark_run(tmp_path / "a")
    first = build_loggers(None, run, {})
    for step in (10, 20, 30):
        log_metrics(first, {"a": step}, step)
        log_image(first, "samples", pixels, step)
        log_alert(first, "guard", "look", step)
        follower.poll()
    close_loggers(first)
    again = build_loggers(None, run, {})
    rewind_loggers(again, 20)
    for step in (30, 40):
        log_metrics(again, {"a": step + 0.5}, step)
        log_image(again, "samples", 255 - pixels, step)
    close_loggers(again)
    follower.poll()
    assert numbers(store, "a", "a") == [(10, 10), (20, 20), (30, 30.5), (40, 40.5)]
    found = pictures(store, "a")
    assert [step for step, _ in found] == [10, 20, 30, 40]
    for (_, picture), image in zip(
        found, [pixels, pixels, 255 - pixels, 255 - pixels], strict=True
    ):
        np.testing.assert_array_equal(picture, image)
    assert sorted(alert["step"] for alert in store.database.get_alerts("genlab")) == [10, 20]


def test_a_picture_that_is_written_again_is_replaced(store, follower, tmp_path):
    run, pixels = make_run(tmp_path, "a")
    follower.poll()
    save_png(run.path / "samples" / "000000300.png", 255 - pixels)
    save_png(run.path / "samples" / "000000300_1.png", pixels)
    follower.poll()
    [(_, picture)] = pictures(store, "a")
    np.testing.assert_array_equal(picture, 255 - pixels)
    [(_, second)] = pictures(store, "a", "samples/1")
    np.testing.assert_array_equal(second, pixels)


def test_a_new_run_of_an_old_name_starts_empty(store, follower, tmp_path):
    for loss in ("old", "new"):
        run, _ = make_run(tmp_path, "a")
        run.metrics_file.write_text(history.encode({"images_seen": 1, loss: 1.0, "b": 0.5}))
        follower.poll()
        shutil.rmtree(run.path)
    assert numbers(store, "a", "old") == []
    assert numbers(store, "a", "new") == [(1, 1.0)]


def test_a_deleted_run_is_forgotten_with_its_pictures(store, follower, tmp_path):
    run, _ = make_run(tmp_path, "a")
    make_run(tmp_path, "b")
    follower.poll()
    shutil.rmtree(run.path)
    follower.poll()
    assert store.database.get_runs("genlab") == ["b"]
    assert [file.parts[-4] for file in store.directory.rglob("*.png")] == ["genlab"]
    shutil.rmtree(tmp_path / "b")
    follower.poll()
    assert store.database.get_runs("genlab") == []


def test_a_folder_that_vanishes_while_it_is_looked_through(store, follower, tmp_path, monkeypatch):
    make_run(tmp_path, "a")

    def vanished(root):
        raise FileNotFoundError(root / "sweep")

    with monkeypatch.context() as patch:
        patch.setattr(follow, "list_runs", vanished)
        follower.poll()
    follower.poll()
    assert store.database.get_runs("genlab") == ["a"]


def test_a_run_directory_is_a_root_of_one_run(store, tmp_path):
    run, _ = make_run(tmp_path, "a")
    follower = Follower(run.path, store)
    follower.poll()
    assert store.database.get_runs("genlab") == ["a"]
    run.metrics_file.write_text("")
    follower.poll()
    assert numbers(store, "a", "train/loss") == []
    assert len(pictures(store, "a")) == 1


def test_a_config_that_changes_is_shown_with_the_next_row(store, follower, tmp_path):
    run, _ = make_run(tmp_path, "a", trainer={"epochs": 1})
    follower.poll()
    run.config_file.write_text("trainer:\n  epochs: 2\n")
    follower.poll()
    with run.metrics_file.open("a") as file:
        file.write(history.encode({"images_seen": 400, "train/loss": 2.0}))
    follower.poll()
    assert store.database.get_run_config("genlab", "a")["trainer.epochs"] == 2
    created = store.database.get_run_config("genlab", "a")["_Created"]
    assert created.startswith("2023-11-14")


def test_a_damaged_run_is_said_once_and_the_others_are_shown(store, follower, tmp_path, capsys):
    run, _ = make_run(tmp_path, "a")
    run.config_file.write_text("a: [1\n")
    run.metrics_file.write_bytes(b'[1]\n\xff\n{"images_seen": 7, "x": 1.5}\n{"images_seen": 8, "x"')
    make_run(tmp_path, "huge", seed=10**30)
    odd, _ = make_run(tmp_path, "odd")
    odd.metrics_file.write_text(history.encode({"images_seen": 1, "\ud800": 1.0}))
    make_run(tmp_path, "text")[0].config_file.write_bytes(b"a: \xff\n")
    make_run(tmp_path, "none")[0].config_file.unlink()
    make_run(tmp_path, "z")
    for _ in range(2):
        follower.poll()
    assert numbers(store, "a", "x") == [(7, 1.5)]
    said = sorted(capsys.readouterr().err.splitlines())
    assert len(said) == 3
    assert "a/config.yaml" in said[0]
    assert "shown without configuration" in said[0]
    assert "odd: not all of it can be shown" in said[1]
    assert "text/config.yaml" in said[2]
    with run.metrics_file.open("ab") as file:
        file.write(b": 2.5}\n")
    follower.poll()
    assert numbers(store, "a", "x") == [(7, 1.5), (8, 2.5)]
    assert store.database.get_run_config("genlab", "huge")["seed"] == str(10**30)
    for name in ("text", "none", "huge", "z"):
        assert len(logs(store, name)) == 4


def test_only_what_changed_is_read(store, follower, tmp_path, monkeypatch):
    run, _ = make_run(tmp_path, "a")
    make_run(tmp_path, "b")
    follower.poll()
    monkeypatch.setattr(run_reader, "SETTLED", -1.0)
    read = []
    monkeypatch.setattr(run_reader.RunReader, "read", lambda self: read.append(self.run.name))
    follower.poll()
    assert read == []
    for change in (
        lambda: FilesLogger(run).log_metrics({"a": 1.0}, step=400),
        lambda: FilesLogger(run).log_alert("a", "b", step=400),
        lambda: FilesLogger(run).log_image("c", [np.zeros((2, 2, 3), np.uint8)], step=400),
        lambda: FilesLogger(run).log_image("c", [np.zeros((2, 2, 3), np.uint8)], step=500),
        lambda: os.utime(run.config_file, (1, 1)),
    ):
        change()
        follower.poll()
        assert read == ["a"]
        read.clear()


def test_a_change_within_the_tick_of_a_clock_is_seen(store, follower, tmp_path):
    """A second picture may leave the time and size of its folder as the first one set them."""
    run, pixels = make_run(tmp_path, "a")
    follower.poll()
    folder = run.path / "samples"
    before = folder.stat()
    save_png(folder / "000000400.png", pixels)
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    follower.poll()
    assert [step for step, _ in pictures(store, "a")] == [300, 400]


WRITER = """
import sys
from pathlib import Path
from genlab.runs.directory import Run
from genlab.runs.history import encode

with (Run(Path(sys.argv[1])).metrics_file).open("a", buffering=1 << 4) as file:  # torn lines
    for step in range(300):
        file.write(encode({"images_seen": step, "loss": float(step), "text": 20 * "-"}))
"""


def test_nothing_is_lost_or_doubled_while_jobs_write(store, follower, tmp_path):
    names = [f"job{i}" for i in range(3)]
    for name in names:
        (tmp_path / name).mkdir()
        mark_run(tmp_path / name)
    jobs = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / name)]) for name in names
    ]
    while any(job.poll() is None for job in jobs):
        follower.poll()
    assert [job.returncode for job in jobs] == [0, 0, 0]
    follower.poll()
    for name in names:
        assert numbers(store, name, "loss") == [(step, float(step)) for step in range(300)]


def test_two_stores_in_one_process_are_apart(tmp_path):
    for i in range(2):
        root = tmp_path / str(i)
        make_run(root, f"run{i}")
        with open_store() as store:
            Follower(root, store).poll()
            assert store.database.get_runs("genlab") == [f"run{i}"]
            assert store.directory.stat().st_mode & 0o777 == 0o700
        assert not store.directory.exists()


def test_a_full_disk_is_one_line(store, follower, tmp_path, monkeypatch):
    make_run(tmp_path, "a")

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match=r"No space left on device.*TMPDIR=DIR") as caught:
        follower.poll()
    assert "\n" not in str(caught.value)


def test_nobody_else_is_asked_whatever_the_environment_says(tmp_path, monkeypatch):
    """Not the hub for the user's name, nor a server that the environment names."""
    tried = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo
    monkeypatch.setattr(
        socket.socket, "connect", lambda self, to: (tried.append(to[0]), connect(self, to))[1]
    )
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *a, **k: (tried.append(host), look_up(host, *a, **k))[1]
    )
    monkeypatch.setenv("HF_TOKEN", "hf_" + "x" * 34)
    monkeypatch.setenv("TRACKIO_SERVER_URL", "https://example.invalid/?write_token=x")
    monkeypatch.setenv("TRACKIO_SPACE_ID", "me/space")
    monkeypatch.setenv("TRACKIO_BUCKET_ID", "me/bucket")
    monkeypatch.setenv("TRACKIO_WEBHOOK_URL", "https://example.invalid/hook")
    make_run(tmp_path, "a")
    with shown(tmp_path) as (page, store):
        assert get(page.url)[0] == 200
        base = page.url.split("?")[0]
        for function in ("get_registry_buckets", "get_registries", "get_settings"):
            assert get(f"{base}api/{function}")[0] in (200, 405)
        assert len(logs(store, "a")) == 4
        assert "TRACKIO_SPACE_ID" not in os.environ
    assert set(tried) <= {"127.0.0.1"}
    assert os.environ["TRACKIO_SPACE_ID"] == "me/space"  # as it was


def test_training_imports_no_trackio_and_writes_no_store(tmp_path):
    code = (
        "import sys; from genlab.cli.entry import main; code = main(sys.argv[1:]);"
        "print('trackio' in sys.modules, code)"
    )
    words = "train model=vae_mlp data=synthetic name=a logger=default trainer.max_images=64 "
    words += "data.batch_size=32 data.limit=128 data.val_size=32 metrics.n_samples=32 "
    words += "closing.n_samples=32 closing.likelihood_images=32 trainer.threads=1"
    done = subprocess.run(
        [sys.executable, "-c", code, *words.split()],
        cwd=tmp_path,
        env=os.environ | {"WANDB_MODE": "offline"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.splitlines()[-1] == "False 0", done.stderr
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["a"]
    assert list(tmp_path.rglob("*.db")) == []
    assert list((tmp_path / "runs" / "a" / "wandb").glob("offline-run-*"))


def test_a_poll_of_runs_that_rest_is_cheap(store, follower, tmp_path):
    for i in range(20):
        make_run(tmp_path, f"run{i}")
    follower.poll()
    for path in tmp_path.rglob("*"):
        os.utime(path, (1, 1))
    follower.poll()
    start = time.process_time()
    for _ in range(10):
        follower.poll()
    assert (time.process_time() - start) / 10 / 20 < 0.002
