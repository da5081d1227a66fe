"""genlab dashboard: what it imports, who may reach it, and what a browser shows."""

import html
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from browser import browse, needs_chromium

from genlab.commands import dashboard
from genlab.errors import ConfigError
from genlab.modalities.images.grid import grid
from genlab.modalities.rendering import save_png
from genlab.runs import history
from genlab.runs.directory import mark_run
from genlab.training.loggers import store

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:uvicorn")

SCRIPT = "<script>document.title='taken'</script>"


def make_run(root, name, steps=(100, 200, 300), **config):
    """A run directory as training without any mirror leaves it."""
    path = root / name
    path.mkdir(parents=True)
    run = mark_run(path)
    run.config_file.write_text(yaml.safe_dump(config))
    lines = [
        {"images_seen": s, "seconds": s / 10, "time": 1.7e9 + s, "train/loss": 1000.0 / s}
        for s in steps
    ]
    run.metrics_file.write_text("".join(map(history.encode, lines)))
    pixels = grid(torch.randint(0, 256, (9, 1, 8, 8), dtype=torch.uint8))
    save_png(path / "samples" / f"{steps[-1]:09d}.png", pixels)
    save_png(path / "samples" / "not-a-number.png", pixels)
    return run, pixels


def logs(root, name):
    store.bind(root)
    return sys.modules["trackio"].SQLiteStorage.get_logs("genlab", name)


def test_runs_are_imported_whole_and_once(tmp_path):
    _, pixels = make_run(tmp_path, "sweep/0_a", model={"latent": 8}, hf={"token": "abc"})
    make_run(tmp_path, "b")
    runs = dashboard.named_runs(tmp_path)
    assert set(runs) == {"sweep/0_a", "b"}
    assert dashboard.fill(tmp_path, runs) == 2
    found = logs(tmp_path, "sweep/0_a")
    numbers = [(row["step"], row["train/loss"]) for row in found if "train/loss" in row]
    assert numbers == [(100, 10.0), (200, 5.0), (300, 1000 / 300)]
    assert found[0]["timestamp"].startswith("2023-11-14")  # when it was logged, not imported
    [picture] = [row["samples"] for row in found if "samples" in row]
    file = tmp_path / ".trackio" / "media" / picture["file_path"]
    from PIL import Image

    np.testing.assert_array_equal(np.asarray(Image.open(file)), pixels)
    config = sys.modules["trackio"].SQLiteStorage.get_run_config("genlab", "sweep/0_a")
    assert (config["model.latent"], config["hf.token"]) == (8, "<redacted>")
    assert dashboard.fill(tmp_path, runs) == 0
    assert len(logs(tmp_path, "sweep/0_a")) == len(found)


def test_a_run_that_went_on_without_the_store_is_completed(tmp_path):
    run, _ = make_run(tmp_path, "a", steps=(100,))
    runs = dashboard.named_runs(tmp_path)
    dashboard.fill(tmp_path, runs)
    with run.metrics_file.open("a") as file:
        file.write(history.encode({"images_seen": 200, "train/loss": 2.0}))
    assert dashboard.fill(tmp_path, runs) == 0  # perhaps it is still running, and logs itself
    old = time.time() - 120
    os.utime(run.metrics_file, (old, old))
    assert dashboard.fill(tmp_path, runs) == 1
    assert [row["step"] for row in logs(tmp_path, "a")] == [100, 100, 200]
    assert dashboard.fill(tmp_path, runs) == 0


def test_a_damaged_config_is_said_and_the_run_is_shown(tmp_path, capsys):
    run, _ = make_run(tmp_path, "a")
    run.config_file.write_text("a: [1\n")
    assert dashboard.fill(tmp_path, dashboard.named_runs(tmp_path)) == 1
    assert "config.yaml" in capsys.readouterr().err
    assert len(logs(tmp_path, "a")) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere: there is no such directory"),
        (["."], "there is no run yet; genlab train"),
        (["--prot", "1"], "--prot"),
        (["--port", "x"], "--port"),
    ],
)
def test_without_runs_there_is_one_line(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message) as caught:
        dashboard.run(words)
    assert "\n" not in str(caught.value)


@pytest.fixture
def served(tmp_path):
    make_run(tmp_path, "first")
    make_run(tmp_path, f"second{SCRIPT.replace('/', '')}")
    dashboard.fill(tmp_path, dashboard.named_runs(tmp_path))
    started = dashboard.serve(tmp_path)
    yield started
    started.close()


def get(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_who_may_reach_it(served, tmp_path):
    base = served.url.split("?")[0]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", base)
    assert "token" not in served.url
    status, headers, _ = get(served.url)
    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert get(served.url, Host="evil.example")[0] == 400
    for path in ("/etc/passwd", "../../../../etc/passwd", str(tmp_path / ".trackio" / "genlab.db")):
        assert get(f"{base}file?path={urllib.request.quote(path)}")[0] == 404
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd"):
        assert b"root:" not in get(base.rstrip("/") + path)[2]
    request = urllib.request.Request(
        f"{base}api/delete_run",
        data=json.dumps({"project": "genlab", "run": "first"}).encode(),
        headers={"content-type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value:
        assert b"write_token is required" in refused.value.read()
    assert len(logs(tmp_path, "first")) == 4


def test_it_listens_on_loopback_only(served):
    port = int(served.url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    if not tables[0].exists():
        pytest.skip("no /proc/net/tcp")
    lines = [line.split() for t in tables if t.exists() for line in t.read_text().splitlines()]
    listening = [line[1] for line in lines if line[3] == "0A" and line[1].endswith(f":{port:04X}")]
    assert listening == [f"0100007F:{port:04X}"]


def test_a_port_that_is_taken_is_said(served, tmp_path):
    port = int(served.url.split(":")[2].split("/")[0])
    with pytest.raises(ConfigError, match=f"--port {port}: is taken"):
        dashboard.serve(tmp_path, port)


@pytest.mark.slow
def test_the_command_runs_until_it_is_interrupted(tmp_path):
    make_run(tmp_path, "a")
    code = "import sys; from genlab.commands.dashboard import run; sys.exit(run(sys.argv[1:]))"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said = [process.stdout.readline() for _ in range(2)]
        assert said[0] == "imported 1 of 1 run from their own directories\n"
        url = re.search(r"http://\S+", said[1])[0]
        assert get(url)[0] == 200
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=20)
        assert (process.returncode, complaint) == (0, "")


@pytest.mark.slow
@needs_chromium
def test_a_browser_shows_both_runs_a_curve_and_a_picture(served, tmp_path):
    def dom(page):
        shown, _, asked = browse(page, tmp_path)
        return shown, {url.split("/")[2] for url in asked}

    metrics, hosts = dom(served.url)
    own = served.url.split("/")[2]
    assert hosts == {own}
    assert "first" in metrics
    assert html.escape(SCRIPT.replace("/", ""), quote=False) in metrics  # as text
    assert "<title>taken" not in metrics
    assert "loss" in metrics
    assert re.search(r"<(canvas|path) ", metrics)
    media, hosts = dom(served.url.replace("/?", "/media?"))
    assert hosts == {own}
    assert len(re.findall(r'<img[^>]*src="[^"]*file\?path=[^"]*samples', media)) >= 2
