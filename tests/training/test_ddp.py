"""Two processes with half of each batch are one process with the whole of it."""

import os
import subprocess
import sys
from pathlib import Path

import torch

WORKER = Path(__file__).with_name("ddp_worker.py")


def train(world, target):
    command = [sys.executable, str(WORKER), str(world), str(target)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    return torch.load(target, weights_only=True)


def test_two_processes_equal_one(tmp_path):
    """One player and two; losses are means over images, so the ranks' gradients average."""
    one, two = train(1, tmp_path / "one.pt"), train(2, tmp_path / "two.pt")
    assert {"Coins.logits", "Duel.generator.weight", "val/nll"} <= set(one)
    assert one["Coins.images_seen"] == one["Duel.images_seen"] == 96
    torch.testing.assert_close(two, one)
