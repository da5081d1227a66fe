"""Every test: one thread, no network, its own caches, the same random state."""

import functools
import http.server
import logging
import os
import socket
import threading

import pytest
from warm_python import WarmPython

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"


def pytest_collection_modifyitems(config, items):
    """Slow tests run only when asked for (``-m slow`` or ``-m ""``); GPU tests only on a GPU."""
    if not config.option.markexpr and not config.getoption("--all"):
        skip = pytest.mark.skip(reason="slow: `make test-all` runs it")
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(skip)
    if on_gpu := [item for item in items if item.get_closest_marker("gpu")]:
        import torch

        if not torch.cuda.is_available():
            for item in on_gpu:
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="run the slow tests, too")


@pytest.fixture(autouse=True)
def _same_start(tmp_path, monkeypatch):
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


@pytest.fixture(autouse=True)
def _same_logging():
    """A command run in this process lets Hydra set up logging, to streams that end with a test."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """Nothing leaves the machine: only loopback and sockets of files may be connected to."""
    connect = socket.socket.connect

    def guarded(self, address):
        local = not isinstance(address, tuple) or address[0] in ("127.0.0.1", "::1", "localhost")
        if not local:
            raise OSError(f"a test tried to reach {address[0]}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def warm(tmp_path_factory):
    """An interpreter with torch, Lightning and Hydra in it, to fork commands from."""
    python = WarmPython(tmp_path_factory.mktemp("warm"))
    yield python
    python.close()


@pytest.fixture
def forked_jobs(monkeypatch):
    """The jobs of a sweep are forks of this process, to spare their imports."""
    from commands.warm import fork_jobs

    fork_jobs(monkeypatch.setattr)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A web server on loopback: gives its folder and its address."""
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "mirror"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()
