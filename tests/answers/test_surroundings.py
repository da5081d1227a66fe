"""What lies around genlab: variables of other programs, ports, proxies, W&B's folder."""

import sys
import urllib.request
import webbrowser

import pytest

from genlab.commands import dashboard as command
from genlab.dashboard.server import serve
from genlab.dashboard.store import open_store
from genlab.errors import ConfigError, GenlabError
from genlab.runs.directory import Run

from .tiny import TINY

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:uvicorn"),
    # wandb starts its service with pipes and sockets of its own, and closes them when Python exits
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.mark.parametrize(
    "variables",
    [
        {"GRADIO_SERVER_PORT": "abc", "GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_ROOT_PATH": "/x"},
        {"http_proxy": "http://127.0.0.1:9", "https_proxy": "x", "all_proxy": "socks5://[::]:9"},
        {"HTTP_PROXY": "garbage", "ALL_PROXY": "socks5h://127.0.0.1:9", "NO_PROXY": ""},
        {"SSL_CERT_FILE": "/nonexistent", "SSL_CERT_DIR": "/nonexistent"},
        {"HF_HOME": "/proc/x", "TRACKIO_DIR": "/proc/x", "HOME": "/nonexistent"},
    ],
    ids=["gradio", "proxies", "capital proxies", "certificates", "folders"],
)
def test_the_dashboard_serves_whatever_the_environment_says(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with open_store() as store:
        page = serve(store)
        try:
            assert page.url.startswith("http://127.0.0.1:")
            ask = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            assert ask.open(page.url, timeout=10).status == 200
        finally:
            page.close()


@pytest.mark.parametrize("port", [-1, 65536, 10**9])
def test_a_port_that_cannot_be(port):
    with open_store() as store, pytest.raises(ConfigError, match="from 1 to 65535"):
        serve(store, port)


def test_port_0_is_a_free_one():
    with open_store() as store:
        page = serve(store, 0)
        page.close()
    assert int(page.url.split(":")[2].split("/")[0]) > 0


def test_no_port_is_free(monkeypatch):
    with open_store() as store:

        def taken(*args, **kwargs):
            raise OSError("Cannot find empty port")

        monkeypatch.setattr(store.trackio, "launch_trackio_dashboard", taken)
        with pytest.raises(ConfigError, match="no port from 7860 is free"):
            serve(store)


def test_without_trackio_there_is_one_line(genlab, tmp_path, monkeypatch):
    (tmp_path / "runs/r").mkdir(parents=True)
    (tmp_path / "runs/r/run.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "trackio", None)
    code, _, err = genlab("dashboard", "runs", "--no-browser")
    assert code == 1
    assert "needs trackio" in err
    assert "pip install trackio" in err
    assert len(err.splitlines()) == 1


def test_a_trackio_that_cannot_be_used_is_one_line(monkeypatch, tmp_path):
    import trackio

    class Other:
        @staticmethod
        def get_project_db_path(project):
            return tmp_path / "elsewhere" / "x.db"

    monkeypatch.setattr(trackio, "SQLiteStorage", Other)
    with pytest.raises(GenlabError, match="cannot be bound"), open_store():
        pass


def test_a_browser_that_does_not_start(genlab, tmp_path, monkeypatch):
    (tmp_path / "runs/r").mkdir(parents=True)
    (tmp_path / "runs/r/run.json").write_text("{}")

    def broken(url):
        raise webbrowser.Error("could not locate runnable browser")

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(webbrowser, "open", broken)
    monkeypatch.setattr(command.Follower, "follow", interrupted)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, err = genlab("dashboard", "runs")
    assert (code, "1 run under runs" in out) == (0, True), err


def test_wandb_writes_where_the_user_says(genlab, tmp_path, monkeypatch):
    elsewhere = tmp_path / "scratch"
    monkeypatch.setenv("WANDB_DIR", str(elsewhere))
    words = [word for word in TINY if not word.startswith("logger")]
    code, _, err = genlab("train", *words, "name=a", "logger=wandb")
    sys.modules["wandb"].teardown()
    assert code == 0, err
    run = Run(tmp_path / "runs" / "a")
    assert not (run.path / "wandb").exists()
    (folder,) = elsewhere.glob("wandb/offline-run-*")
    assert list(folder.glob("*.wandb"))
    assert folder.name.endswith(run.read("run.json")["wandb_id"])
    # and is found there later, without the variable
    monkeypatch.delenv("WANDB_DIR")
    monkeypatch.setenv("NETRC", "/nonexistent")
    code, _, err = genlab("wandb", "sync", "runs")
    assert (code, "no key" in err) == (2, True)
    monkeypatch.setenv("WANDB_DIR", "/proc/x")
    code, _, err = genlab("train", *words, "name=b", "logger=wandb")
    assert "WANDB_DIR=/proc/x: cannot be written to" in err
