"""W&B's server is down, dies, refuses, is slow or breaks: the training goes on to its end.

The server is one on loopback; the loggers by themselves are tested in `training`.
"""

import json
import sys
import threading
import time
from pathlib import Path

import pytest
from training.wandb_server import KEY, Refusing, Server, Silent

from genlab.training.loggers.wandb import WandbLogger

from .probes import TINY, commands

# wandb starts its service with pipes and sockets of its own, and closes them when Python exits.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


class Dying(Server):
    """Takes the beginning of a run, and is gone at its first metrics."""

    def reply(self, path, body):
        if path.endswith("file_stream"):
            threading.Thread(target=self.close, daemon=True).start()
        return super().reply(path, body)


FAULTS = {
    "down at start": Refusing,
    "silent": Silent,
    "bad key": lambda: Server(401),
    "forbidden": lambda: Server(403),
    "errors": lambda: Server(500),
    "unavailable": lambda: Server(503),
    "slow": lambda: Server(delay=30),
    "dies mid-run": Dying,
}
DELAY = 15
"""Seconds that the start may be held up."""


@pytest.fixture
def server(monkeypatch, tmp_path):
    """Sends wandb to a server, with a key."""
    running = []

    def start(make):
        made = make()
        running.append(made)
        monkeypatch.delenv("WANDB_MODE", raising=False)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_BASE_URL", made.url)
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        if "wandb" in sys.modules:
            sys.modules["wandb"].teardown()
        return made

    yield start
    if "wandb" in sys.modules:
        sys.modules["wandb"].teardown()
    for made in running:
        if not isinstance(made, Dying):
            made.close()


@pytest.mark.parametrize(
    "fault",
    [f if f == "down at start" else pytest.param(f, marks=pytest.mark.slow) for f in FAULTS],
)
def test_the_training_goes_on(server, tmp_path, monkeypatch, capsys, fault):
    began = []
    begin = WandbLogger._start

    def timed(self):
        start = time.monotonic()
        try:
            return begin(self)
        finally:
            began.append(time.monotonic() - start)

    monkeypatch.setattr(WandbLogger, "_start", timed)
    server(FAULTS[fault])
    words = [word for word in TINY if not word.startswith(("logger", "trainer.epochs"))]
    run = commands(tmp_path / "cwd", monkeypatch, capsys)
    code, out, err = run(
        "train", *words, "model=vae_mlp", "model.hidden=16", "name=a", "logger=wandb",
        "logger.wandb.timeout=3", "trainer.epochs=3",
    )  # fmt: skip
    assert code == 0, err
    assert began[0] <= DELAY, began
    assert len(began) <= 2  # again for the closing evaluation
    said = [line for line in err.splitlines() if "W&B" in line or "wandb" in line]
    warnings = [line for line in said if "http" not in line or "offline" in line]
    assert 1 <= len(warnings) <= 2, err
    assert any("offline" in line or "wandb sync" in line for line in said), err
    assert "Traceback" not in err
    assert "genlab sample run=" in out
    place = Path("runs", "a")
    lines = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    seen = [line["images_seen"] for line in lines if "train/loss" in line]
    assert seen == list(range(32, 385, 32))
    assert any("test/nll_elbo" in line for line in lines)
    assert json.loads((place / "run.json").read_text())["status"] == "finished"
    assert list(place.glob("wandb/*run-*/*.wandb"))  # what `wandb sync` sends later
    print(f"{fault}: start held up {began[0]:.1f} s")
