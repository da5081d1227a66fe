"""Checkpoints written in the background break no promise: killed in the middle of a write, on a
full disk and at a signal, a run leaves what it leaves without."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genlab.cli.entry import main
from genlab.runs import storage
from genlab.runs.storage import sidecar
from genlab.training.generative_module import GenerativeModule
from genlab.training.saving.checkpoint_io import newest, read_checkpoint

from .test_disk import Full
from .tiny import same, state, words

LINE = words("vae_mlp", "callbacks.checkpoints.background=true")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing disturbs, its checkpoints written in the usual way."""
    folder = tmp_path_factory.mktemp("whole")
    assert main(["train", *words("vae_mlp", f"root={folder}", "name=whole")]) == 0
    return state(folder / "whole")


def writing(monkeypatch, images, act, where="write"):
    """Calls something, in the writing thread, in the middle of the checkpoint of so many images,
    which by then is not even the newest state: training has gone on."""
    owner = storage.Hashed if where == "write" else storage
    reached, original = [], getattr(owner, where)
    steps, step = [0], GenerativeModule.step

    def counted(module, *args):
        steps.append(module.images_seen)
        return step(module, *args)

    def slow(*args):
        if where == "write":
            here = ".last.ckpt" in args[0].file.name and args[0].file.tell() > 50_000
        else:
            here = args[1].name == "last.ckpt"
        now = steps[-1] + 8
        if here and now >= images and not reached:
            reached.append(now)
            # On a busy machine training may already wait for this write, at its next checkpoint.
            late = time.monotonic() + 3
            while steps[-1] < now + 16 and time.monotonic() < late:
                time.sleep(0.001)
            act()
        return original(*args)

    monkeypatch.setattr(GenerativeModule, "step", counted)
    monkeypatch.setattr(owner, where, slow)
    return reached


@pytest.mark.parametrize("where", ["write", "exchange"])
def test_killed_in_a_write_while_training_goes_on(genlab, tmp_path, whole, where):
    """The process is killed when it has a part of the second checkpoint, or all but its name."""
    reading, telling = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-m", __name__, where, str(telling)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, pass_fds=[telling],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    os.close(telling)
    with os.fdopen(reading, "rb") as pipe, child:
        told = pipe.read(4)  # nothing if it ends before
        child.kill()
        said = child.stderr.read()
    assert (told, child.returncode) == (b"here", -signal.SIGKILL), said
    run = tmp_path / "runs" / "killed"
    path, checkpoint, wrong = newest(run / "checkpoints")
    assert (path.name, wrong) == ("last.ckpt", [])
    assert checkpoint["genlab"]["images_seen"] == 64
    for other in run.glob("checkpoints/*.ckpt"):
        read_checkpoint(other)
    assert list(run.rglob("*.tmp"))
    code, _, err = genlab("train", "run=killed")
    assert code == 0, err
    assert not list(run.rglob("*.tmp"))
    same(state(run), whole)


def test_a_full_disk_has_its_code_its_line_and_what_was_before(
    genlab, tmp_path, whole, monkeypatch
):
    with monkeypatch.context() as patch:
        Full(patch, 250_000)  # one checkpoint, and no second
        code, _, err = genlab("train", *LINE, "name=full")
    run = tmp_path / "runs" / "full"
    assert code == 4, err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 2
    seen = newest(run / "checkpoints")[1]["genlab"]["images_seen"]
    assert seen == 64
    for part in (
        "last.ckpt could not be written (No space left on device, ",
        f"are free); last.ckpt, of {seen} images, is whole",
        "genlab train run=runs/full",
    ):
        assert part in err
    assert newest(run / "checkpoints")[2] == []
    assert not list(run.rglob("*.tmp"))
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    assert genlab("train", "run=full")[0] == 0
    same(state(run), whole)


def test_a_signal_in_a_write_keeps_what_is_written_and_what_came_since(
    genlab, tmp_path, whole, monkeypatch
):
    with monkeypatch.context() as patch:
        reached = writing(patch, 64, lambda: os.kill(os.getpid(), signal.SIGTERM))
        code, out, err = genlab("train", *LINE, "name=cut")
    assert code == 143, err
    assert reached
    path, checkpoint, wrong = newest(tmp_path / "runs" / "cut" / "checkpoints")
    assert (path.name, wrong) == ("last.ckpt", [])
    seen = checkpoint["genlab"]["images_seen"]
    assert 64 < seen < 192
    assert f"stopped after {seen} images, all of it kept; go on with" in out
    assert read_checkpoint(path.with_name("previous.ckpt"))["genlab"]["images_seen"] == 64
    assert genlab("train", "run=cut")[0] == 0
    same(state(tmp_path / "runs" / "cut"), whole)


def test_a_second_ctrl_c_ends_at_once_and_what_was_being_written_is_whole(
    genlab, tmp_path, monkeypatch
):
    def impatient():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            writing(patch, 64, impatient)
            code, out, err = genlab("train", *LINE, "name=cut")
        finally:
            signal.signal(signal.SIGINT, before)
    assert code == 130, err
    run = tmp_path / "runs" / "cut"
    path, checkpoint, wrong = newest(run / "checkpoints")
    assert (path.name, wrong) == ("last.ckpt", [])
    assert f"{checkpoint['genlab']['images_seen']} images" in out
    assert not list(run.rglob("*.tmp"))
    assert len(sidecar(path).read_text().splitlines()) == 1


def stop_in_a_write(where, telling):
    """A run that says in a pipe that it has come to the second checkpoint, and waits there."""
    patch = pytest.MonkeyPatch()
    writing(patch, 128, lambda: (os.write(telling, b"here"), time.sleep(600)), where)
    main(["train", *LINE, "name=killed"])


if __name__ == "__main__":
    stop_in_a_write(sys.argv[1], int(sys.argv[2]))
