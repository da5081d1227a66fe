"""Two processes with half of each batch are one process with the whole of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

WORKER = Path(__file__).with_name("ddp_worker.py")


def train(world, target):
    command = [sys.executable, str(WORKER), str(world), str(target)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    return torch.load(target, weights_only=True)


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    """One player and two; losses are means over images, so the ranks' gradients average."""
    one, two = train(1, tmp_path / "one.pt"), train(2, tmp_path / "two.pt")
    assert {"Coins.logits", "Duel.generator.weight", "val/nll"} <= set(one)
    assert one["Coins.images_seen"] == one["Duel.images_seen"] == 96
    torch.testing.assert_close(two, one)


def save(folder, *words):
    script = WORKER.with_name("ddp_checkpoints.py")
    return subprocess.run(
        [sys.executable, str(script), str(folder), *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.slow
def test_the_first_of_two_processes_writes_in_the_background(tmp_path):
    done = save(tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["written"] == ["last.ckpt"] * 4
    assert (told["found"]["last.ckpt"], told["found"]["previous.ckpt"]) == (96, 72)


@pytest.mark.slow
def test_where_it_cannot_write_neither_process_hangs(tmp_path):
    done = save(tmp_path, "broken")
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
