"""genlab dashboard: the command, who may reach its page, and what a browser shows.

What it copies is tested in `dashboard`.
"""

import html
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import yaml
from browser import browse, needs_chromium

from genlab.commands import dashboard
from genlab.dashboard.follow import Follower
from genlab.dashboard.server import serve
from genlab.dashboard.store import open_store
from genlab.errors import ConfigError, StorageError
from genlab.modalities.images.grid import grid
from genlab.modalities.rendering import save_png
from genlab.runs import history
from genlab.runs.directory import mark_run

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


@contextmanager
def shown(root):
    """The dashboard of a root, filled, and the store behind it."""
    with open_store() as store:
        Follower(root, store).poll()
        started = serve(store)
        try:
            yield started, store
        finally:
            started.close()


@pytest.fixture
def store_and_page(tmp_path):
    make_run(tmp_path, "first")
    make_run(tmp_path, f"second{SCRIPT.replace('/', '')}")
    with shown(tmp_path) as (page, store):
        yield store, page


@pytest.fixture
def served(store_and_page):
    return store_and_page[1]


@pytest.fixture
def store(store_and_page):
    return store_and_page[0]


def get(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_who_may_reach_it(served, store):
    base = served.url.split("?")[0]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", base)
    assert "token" not in served.url
    status, headers, _ = get(served.url)
    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert get(served.url, Host="evil.example")[0] == 400
    for path in ("/etc/passwd", "../../../../etc/passwd", str(store.directory / "genlab.db")):
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
    assert len(store.database.get_logs("genlab", "first")) == 4


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


def test_a_port_that_is_taken_is_said(served, store):
    port = int(served.url.split(":")[2].split("/")[0])
    with pytest.raises(ConfigError, match=f"--port {port}: is taken"):
        serve(store, port)


@contextmanager
def started(*words, **environment):
    """The command as a process, and the line that it said."""
    with subprocess.Popen(
        [sys.executable, "-m", "genlab", "dashboard", *words, "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as process:
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


def asked(url, function, **arguments):
    """What the page is told when it asks."""
    request = urllib.request.Request(
        f"{url.split('?')[0]}api/{function}",
        data=json.dumps({"project": "genlab", **arguments}).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())["data"]


def within(seconds, answer):
    """Waits until there is an answer that is true, and gives it."""
    end = time.monotonic() + seconds
    while not (found := answer()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_running_dashboard_shows_what_is_logged_until_it_is_stopped(tmp_path, number, code):
    root, temporary = tmp_path / "runs", tmp_path / "tmp"
    temporary.mkdir()
    run, _ = make_run(root, "a")
    with started(str(root), TMPDIR=str(temporary)) as (process, said):
        url = re.search(r"http://\S+", said)[0]
        assert said == f"1 run under {root}: {url}  (Ctrl-C ends it)\n"
        assert get(url)[0] == 200

        def steps(name):
            return [row["step"] for row in asked(url, "get_logs", run=name)]

        within(10, lambda: steps("a") == [100, 200, 300, 300])
        with run.metrics_file.open("a") as file:
            file.write(history.encode({"images_seen": 400, "train/loss": 2.0}))
        within(3, lambda: steps("a")[-1] == 400)
        make_run(root, "sweep/0_b", steps=(5,))
        within(3, lambda: steps("sweep/0_b") == [5, 5])
        shutil.rmtree(run.path)
        within(3, lambda: [r["name"] for r in asked(url, "get_runs_for_project")] == ["sweep/0_b"])
        assert len(list(temporary.iterdir())) == 1
        process.send_signal(number)
        _, complaint = process.communicate(timeout=20)
        assert (process.returncode, complaint) == (code, "")
    assert list(temporary.iterdir()) == []
    assert not (root / ".trackio").exists()


def test_two_dashboards_of_a_root_that_is_read_only(tmp_path):
    root = tmp_path / "runs"
    make_run(root, "a")
    for folder in (root, root / "a", root / "a" / "samples"):
        folder.chmod(0o500)
    before = sorted(tmp_path.rglob("*"))
    with started(str(root)) as (_, first), started(str(root)) as (_, second):
        urls = [re.search(r"http://\S+", said)[0] for said in (first, second)]
        assert urls[0] != urls[1]
        for url in urls:
            within(10, lambda url=url: len(asked(url, "get_logs", run="a")) == 4)
    assert sorted(tmp_path.rglob("*")) == before
    for folder in (root, root / "a", root / "a" / "samples"):
        folder.chmod(0o700)


def test_the_store_of_an_older_version_is_left_alone_and_said(tmp_path):
    make_run(tmp_path, "a")
    (tmp_path / ".trackio").mkdir()
    (tmp_path / ".trackio" / "genlab.db").write_text("not even a database")
    with started(str(tmp_path)) as (process, said):
        url = re.search(r"http://\S+", said)[0]
        within(10, lambda: len(asked(url, "get_logs", run="a")) == 4)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=20)
    assert complaint == f"genlab: {tmp_path / '.trackio'} is not used any more and can be deleted\n"


def test_without_a_place_for_temporary_files_there_is_one_line(tmp_path, monkeypatch):
    make_run(tmp_path, "a")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(StorageError, match="TMPDIR=DIR") as caught:
        dashboard.run([str(tmp_path)])
    assert "\n" not in str(caught.value)


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
