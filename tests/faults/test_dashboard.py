"""The dashboard: who may reach it, what may be asked for, and what a hostile run can make of it.

What it shows is tested in `commands/test_dashboard.py`.
"""

import html
import re
import socket
import sys
import urllib.parse

import pytest
from browser import browse, needs_chromium
from commands.test_dashboard import get, make_run, shown

from genlab.commands import dashboard
from genlab.dashboard.server import HOST
from genlab.runs import history

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:uvicorn")

SECRET = "the content of a file elsewhere"
SCRIPT = "<script>document.title='taken'<script>"
IMAGE = "<img src=x onerror=document.title='taken'>"
PATHS = [
    "/etc/passwd",
    "../../../../../../etc/passwd",
    "..%2f..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "....//....//etc/passwd",
    "/proc/self/environ",
    "file:///etc/passwd",
    "http://127.0.0.1:1/x",
    "{root}/elsewhere.txt",
    "../elsewhere.txt",
    "genlab/../../../elsewhere.txt",
    "{store}/genlab.db",
    "{root}/runs/first/config.yaml",
    "{root}/runs/first/checkpoints/last.ckpt",
    "link.png",
    "\0",
    "a" * 5000,
]
"""What is asked for as a file of the dashboard's."""

HOSTS = ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", "", "a b"]


@pytest.fixture
def served(tmp_path):
    """The dashboard of a root with a plain run and two with hostile names and settings."""
    (tmp_path / "elsewhere.txt").write_text(SECRET)
    root = tmp_path / "runs"
    first, _ = make_run(root, "first", notes=IMAGE)
    (first.path / "checkpoints").mkdir()
    (first.path / "checkpoints" / "last.ckpt").write_text(SECRET)
    make_run(root, SCRIPT, **{IMAGE: SCRIPT})
    make_run(root, IMAGE.replace("/", ""), tags=[SCRIPT])
    with shown(root) as (page, store):
        (store.directory / "media" / "link.png").symlink_to(tmp_path / "elsewhere.txt")
        yield page


def test_no_path_leads_out(served, tmp_path):
    base = served.url.split("?")[0]
    own = (b"root:", SECRET.encode(), b"SQLite format", b"PATH=")
    for path in PATHS:
        named = path.format(root=tmp_path, store=sys.modules["trackio"].utils.TRACKIO_DIR)
        for query in (named, urllib.parse.quote(named, safe=""), urllib.parse.quote(named)):
            asked = query.replace("\0", "%00")
            status, _, content = get(f"{base}file?path={asked}")
            assert status in (400, 403, 404, 414), (path, status)
            assert not any(word in content for word in own), path
        status, _, content = get(base + urllib.parse.quote(named).replace("//", "/"))
        assert not any(word in content for word in own), path


def test_no_other_host_name_is_answered(served):
    for host in HOSTS:
        assert get(served.url, Host=host)[0] == 400, host
    port = served.url.split(":")[2].split("/")[0]
    for host in ("127.0.0.1", "localhost"):
        assert get(served.url, Host=f"{host}:{port}")[0] == 200


def test_it_is_bound_to_loopback(served):
    port = int(served.url.split(":")[2].split("/")[0])
    listeners = served.server.servers if hasattr(served.server, "servers") else []
    found = {s.getsockname()[0] for server in listeners for s in server.sockets}
    assert found <= {"127.0.0.1"}
    with socket.socket() as own:  # another address of this machine, all of 127/8 being loopback
        own.settimeout(5)
        assert own.connect_ex(("127.0.0.2", port)) != 0
    assert HOST == "127.0.0.1"


def test_there_is_no_flag_to_open_it():
    with pytest.raises(Exception, match="--host"):
        dashboard.run(["--host", "0.0.0.0"])


def test_names_and_settings_are_kept_as_text(served):
    config = sys.modules["trackio"].SQLiteStorage.get_run_config("genlab", SCRIPT)
    assert config[IMAGE] == SCRIPT
    page = get(served.url)[2].decode()
    assert "onerror=" not in page
    assert "document.title='taken'" not in page


def test_a_run_chooses_neither_the_files_nor_the_kinds_of_values_that_are_shown(tmp_path, capsys):
    """Links that lead out of its directory, values that trackio would show as something else."""
    root = tmp_path / "runs"
    secret = tmp_path / "secret.png"
    secret.write_text(SECRET)
    run, _ = make_run(root, "a")
    (run.path / "samples" / "000000001.png").symlink_to(secret)
    (run.path / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "000000002.png").write_text(SECRET)
    (run.path / "samples" / "000000003.png").symlink_to("nowhere")
    (run.path / "samples" / "000000004.png").mkdir()
    hostile = {
        "picture": {"_type": "trackio.image", "file_path": "../../../secret.png", "caption": IMAGE},
        "report": {"_type": "trackio.markdown", "_value": SCRIPT},
        "text": SCRIPT,
        "huge": 10**30,
        "true": 1.0,
    }
    with run.metrics_file.open("a") as file:
        file.write(history.encode({"images_seen": 400, "time": "never", **hostile}))
        file.write(history.encode({"images_seen": 10**30, "huge": 1.0}))
    with run.alerts_file.open("w") as file:
        file.write(history.encode({"images_seen": 400, "time": 1e300, "guard": [IMAGE], "b": "c"}))
    with shown(root) as (_, store):
        logs = store.database.get_logs("genlab", "a")
        assert [row["title"] for row in store.database.get_alerts("genlab")] == ["b"]
        assert SECRET not in [f.read_text("latin-1") for f in store.directory.rglob("*.png")]
    assert sorted(row["step"] for row in logs) == [100, 200, 300, 300, 400]
    [last] = [row for row in logs if row["step"] == 400]
    assert set(last) == {"step", "timestamp", "true"}
    said = capsys.readouterr().err.splitlines()
    assert [re.search(r"(\d+)\.png is not shown: (.{7})", line).groups() for line in said] == [
        ("000000002", "a link "),
        ("000000001", "a link "),
        ("000000003", "[Errno "),
        ("000000004", "[Errno "),
    ]


@pytest.mark.slow
@needs_chromium
def test_a_browser_runs_nothing_of_them(served, tmp_path):
    for page in ("", "runs", "media", "system", "reports", "files"):
        dom, _, asked = browse(served.url.replace("/?", f"/{page}?"), tmp_path)
        assert "<title>taken" not in dom
        assert not {url for url in asked if not url.startswith(served.url.split("?")[0])}
        if not page:
            assert html.escape(SCRIPT, quote=False) in dom
