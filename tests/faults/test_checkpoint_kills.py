"""kill -9 in the middle of checkpoint writes, again and again: nothing corrupt under a final name,
every run goes on, and what it comes to in the end is what an undisturbed run comes to."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from genlab.errors import DataError
from genlab.training.saving.checkpoint_io import newest, read_checkpoint

from .forks import Forks
from .tiny import same, state, words

LINE = words(
    "vae_mlp",
    "model.hidden=128",  # a checkpoint of half a megabyte
    "trainer.epochs=100000",
    "trainer.validate_every=8",  # one after each step
    "trainer.log_every=64",
    "scheduler=constant",
    "callbacks.evaluation=null",
)


@pytest.fixture
def forks():
    made = Forks("train", *LINE)
    yield made
    made.close()


def in_a_write(folder, deadline):
    """Waits until a checkpoint is being written: a temporary file, or a name that has changed."""
    while time.monotonic() < deadline:
        if any(name.endswith(".tmp") for name in os.listdir(folder)):
            return True
    return False


def has_saved(run, before, forks, number):
    """Waits until the process has saved something of its own."""
    last = run / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if last.exists() and last.stat().st_mtime_ns != before:
            return
        time.sleep(0.005)
    os.kill(number, signal.SIGKILL)
    forks.wait(number)
    raise AssertionError((run.parents[1] / "output.log").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("kills", [100])
def test_no_kill_loses_anything(genlab, tmp_path, capsys, forks, kills):
    """What can be seen without a hundred processes, `test_checkpoint_damage` sees each time."""
    rng = random.Random(kills)
    run = tmp_path / "runs" / "killed"
    last = run / "checkpoints" / "last.ckpt"
    elsewhere = "/dev/shm" if Path("/dev/shm").is_dir() else str(tmp_path)
    corrupt, aimed, seen, resumes, left = [], 0, 0, 0, 0
    for kill in range(kills):
        line = ["train", "run=killed"] if kill else ["train", *LINE, "name=killed"]
        before = last.stat().st_mtime_ns if last.exists() else None
        number = forks.start(tmp_path, *line, TMPDIR=elsewhere)
        has_saved(run, before, forks, number)
        assert not [p for p in run.rglob("*.tmp") if f".{number}." not in p.name]  # swept
        time.sleep(rng.uniform(0, 0.2))
        if rng.random() < 0.8:
            aimed += in_a_write(last.parent, time.monotonic() + 5)
            time.sleep(rng.choice([0, rng.uniform(0, 0.003)]))
        os.kill(number, signal.SIGKILL)
        assert forks.wait(number) == -signal.SIGKILL
        left += len(list(run.rglob("*.tmp")))
        for path in last.parent.glob("*.ckpt"):
            try:
                read_checkpoint(path)
            except DataError as error:
                corrupt.append(str(error))
        path, checkpoint, wrong = newest(last.parent)
        assert (path.name, wrong) == ("last.ckpt", [])
        assert checkpoint["genlab"]["images_seen"] > seen  # it had gone on, not begun again
        resumes += kill > 0
        seen = checkpoint["genlab"]["images_seen"]
    end = seen + 64
    code, _, err = genlab("train", "run=killed", f"trainer.max_images={end}")
    assert code == 0, err
    assert not list(run.rglob("*.tmp"))
    assert corrupt == []
    assert aimed >= kills // 3
    figures = {
        "kills": kills,
        "in a write": aimed,
        "resumes": resumes + 1,
        "temporary files left": left,
        "images": end,
    }
    with capsys.disabled():
        print(json.dumps(figures))
    assert genlab("train", *LINE, f"trainer.max_images={end}", "name=whole")[0] == 0
    same(state(run), state(tmp_path / "runs" / "whole"))
