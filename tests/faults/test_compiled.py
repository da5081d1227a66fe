"""A compiled run that was killed goes on as if it had not been, bit by bit; and Ctrl-C, which a
C++ compiler gets, too, changes nothing that is computed."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from .tiny import same, state, words

LINE = words("vae_mlp", "trainer.compile=true", "trainer.epochs=12")


@pytest.fixture(autouse=True)
def _one_compiler():
    yield
    torch._dynamo.reset()


def started(folder, *line):
    """A run in a process of its own, whose errors go to a file."""
    with (folder / "errors.log").open("w") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "genlab", "train", *line],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )


def waits_until(true, process, folder):
    """Waits for something that a process is about to do."""
    deadline = time.monotonic() + 300
    while not true():
        assert process.poll() is None, (folder / "errors.log").read_text()
        assert time.monotonic() < deadline, (folder / "errors.log").read_text()
        time.sleep(0.005)


@pytest.mark.slow
def test_a_compiled_run_survives_kill_9_bit_by_bit(genlab, tmp_path):
    last = tmp_path / "runs" / "killed" / "checkpoints" / "last.ckpt"
    process = started(tmp_path, *LINE, "name=killed")
    waits_until(last.exists, process, tmp_path)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    seen = torch.load(last, weights_only=True)["genlab"]["images_seen"]
    assert 0 < seen < 12 * 64
    code, _, err = genlab("train", "run=killed")
    assert code == 0, err
    assert "compile: done" in err
    code, _, err = genlab("train", *LINE, "name=whole")
    assert code == 0, err
    same(state(tmp_path / "runs" / "killed"), state(tmp_path / "runs" / "whole"))


@pytest.mark.slow
def test_ctrl_c_in_the_compiler_changes_nothing(genlab, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "kernels"))  # none made before
    errors = tmp_path / "errors.log"
    process = started(tmp_path, *LINE, "name=stopped")
    waits_until(lambda: "compile: a minute" in errors.read_text(), process, tmp_path)
    # Until a compiler is at work.
    compilers = ["pgrep", "-g", str(process.pid), "cc1plus"]
    waits_until(
        lambda: subprocess.run(compilers, stdout=subprocess.DEVNULL).returncode == 0,
        process,
        tmp_path,
    )
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait() == 130, errors.read_text()
    assert "uncompiled" not in errors.read_text()
    code, _, err = genlab("train", "run=stopped")
    assert code == 0, err
    code, _, err = genlab("train", *LINE, "name=whole")
    assert code == 0, err
    same(state(tmp_path / "runs" / "stopped"), state(tmp_path / "runs" / "whole"))
