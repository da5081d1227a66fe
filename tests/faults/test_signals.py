"""TERM, INT, HUP and USR1 in an import, a step, a validation and a save: the exit code that tells a
scheduler, the state kept, the line that goes on, and the run that goes on is the undisturbed one.

In training, the signal comes from inside, at a known place; in the import, from another process.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genlab.experiment import closing
from genlab.experiment import train_run as train_command
from genlab.models.vae import VAE as Model
from genlab.runs import storage
from genlab.system.signals import STOPS, handled, install, leave
from genlab.training.generative_module import GenerativeModule
from genlab.training.saving.checkpoint_io import newest

from .tiny import same, state, words

CODES = {"SIGTERM": 143, "SIGINT": 130, "SIGHUP": 129, "SIGUSR1": 138}


def once(monkeypatch, owner, name, number, when=lambda *args: True):
    """Sends this process a signal in the first call of a function that is the chosen one."""
    original, sent = getattr(owner, name), []

    def acts(*args, **kwargs):
        if not sent and when(*args):
            sent.append(True)
            os.kill(os.getpid(), number)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, acts)
    return sent


def in_step(monkeypatch, number):
    """In the middle of the second epoch."""

    def when(module, *_):
        return module.images_seen == 96

    return once(monkeypatch, GenerativeModule, "step", number, when)


def in_validation(monkeypatch, number):
    """In the second validation, which is begun anew."""

    def when(module, *_):
        return module.images_seen == 128

    return once(monkeypatch, GenerativeModule, "validation_step", number, when)


def in_saving(monkeypatch, number):
    """Between the sidecar of the second checkpoint and its renaming."""

    def when(path, *_):
        return path.name == "last.ckpt" and path.exists()

    return once(monkeypatch, storage, "note", number, when)


def in_last_chunk(monkeypatch, number):
    """In the last chunk, before the validation that ends the run."""

    def when(module, *_):
        return module.images_seen == 184

    return once(monkeypatch, GenerativeModule, "step", number, when)


def at_an_epochs_end(monkeypatch, number):
    """In the chunk that a validation follows."""

    def when(module, *_):
        return module.images_seen == 56

    return once(monkeypatch, GenerativeModule, "step", number, when)


PLACES = {
    "step": in_step,
    "validation": in_validation,
    "saving": in_saving,
    "last chunk": in_last_chunk,
    "epoch's end": at_an_epochs_end,
}
STOPPED_AT = {"step": 104, "validation": 128, "saving": 136, "last chunk": 192, "epoch's end": 64}


QUICK = [("SIGTERM", "validation"), ("SIGINT", "step"), ("SIGHUP", "saving")]
CASES = [
    pytest.param(name, place, marks=() if (name, place) in QUICK else pytest.mark.slow)
    for name in CODES
    for place in PLACES
]


@pytest.fixture(autouse=True)
def _nothing_is_ignored():
    """The tests may have been started in a shell's background, where INT is, or under nohup."""
    before = {number: signal.getsignal(number) for number in STOPS}
    for number, handler in before.items():
        if handler is signal.SIG_IGN:
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing disturbs."""
    from genlab.cli.entry import main

    folder = tmp_path_factory.mktemp("whole")
    assert main(["train", *words("vae_mlp", f"root={folder}", "name=whole")]) == 0
    return state(folder / "whole")


@pytest.mark.parametrize(("name", "place"), CASES)
def test_a_signal_keeps_all_and_the_run_goes_on_as_if_nothing_had_been(
    genlab, tmp_path, whole, monkeypatch, name, place
):
    with monkeypatch.context() as patch:
        sent = PLACES[place](patch, getattr(signal, name))
        code, out, err = genlab("train", *words("vae_mlp", "name=cut"))
    assert sent
    assert code == CODES[name], err
    run = tmp_path / "runs" / "cut"
    seen = STOPPED_AT[place]
    assert f"stopped after {seen} images, all of it kept; go on with" in out
    assert "  genlab train run=runs/cut\n" in out
    assert "Traceback" not in err
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    path, checkpoint, wrong = newest(run / "checkpoints")
    assert (path.name, wrong) == ("last.ckpt", [])
    assert checkpoint["genlab"]["images_seen"] == seen
    code, _, err = genlab("train", "run=cut")
    assert code == 0, err
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    same(state(run), whole)


@pytest.mark.slow
def test_what_is_due_at_the_end_is_not_lost_to_a_signal_in_the_last_chunk(
    genlab, tmp_path, monkeypatch
):
    """A quick evaluation each two of three epochs, and at the end."""
    line = ("vae_mlp", "callbacks.evaluation.every=2 epochs")
    assert genlab("train", *words(*line, "name=whole"))[0] == 0
    with monkeypatch.context() as patch:
        in_last_chunk(patch, signal.SIGTERM)
        assert genlab("train", *words(*line, "name=cut"))[0] == 143
    assert genlab("train", "run=cut")[0] == 0
    whole, cut = (state(tmp_path / "runs" / name) for name in ("whole", "cut"))
    same(cut, whole)
    quick = [row for row in whole["history"] if any(k.startswith("quick/") for k in row)]
    assert [row["images_seen"] for row in quick] == [128, 192]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "function", "where"),
    [
        (train_command, "build_loggers", "before the first step"),
        (closing, "keep_report", "in the closing evaluation"),
    ],
)
def test_a_signal_before_or_after_training_leaves_a_run_that_can_be_finished(
    genlab, tmp_path, monkeypatch, module, function, where
):
    with monkeypatch.context() as patch:
        once(patch, module, function, signal.SIGTERM)
        with handled(leave):
            code, out, _ = genlab("train", *words("vae_mlp", "name=cut"))
    assert code == 143
    assert f"stopped {where}; go on with\n  genlab train run=runs/cut" in out
    assert genlab("train", "run=cut")[0] == 0
    run = tmp_path / "runs" / "cut"
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    assert "metrics" in json.loads((run / "summary.json").read_text())


@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once_and_the_checkpoint_before_is_whole(
    genlab, tmp_path, monkeypatch
):
    original = Model.loss

    def impatient(self, batch, player="model"):
        if self.images_seen == 96:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, batch, player)

    with monkeypatch.context() as patch:
        patch.setattr(Model, "loss", impatient)
        code, out, err = genlab("train", *words("vae_mlp", "name=cut"))
    assert code == 130, err
    assert "stopped at once: last.ckpt, of 64 images, is whole; go on with" in out
    assert genlab("train", "run=cut")[0] == 0


# In the import, and before --------------------------------------------------------------------


def caught_by(process, name):
    """Waits until a process has a handler of its own for a signal."""
    bit = 1 << (getattr(signal, name) - 1)
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        line = next(s for s in status.read_text().splitlines() if s.startswith("SigCgt"))
        if int(line.split()[1], 16) & bit:
            return
        time.sleep(0.002)


LIBRARIES = {"numpy": "_multiarray_umath", "torch": "libtorch_cpu", "lightning": "torchvision"}


def has_begun_to_import(process, library):
    """Waits until a process has a library in its memory."""
    while process.poll() is None and library not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("SIGINT", "numpy"),
        ("SIGHUP", "start"),
        ("SIGUSR1", "start"),
        *(
            pytest.param(name, moment, marks=pytest.mark.slow)
            for name in CODES
            for moment in ("start", "numpy", "torch", "lightning")
        ),
    ],
)
def test_a_signal_in_the_import_ends_it_quietly_and_leaves_nothing(tmp_path, name, moment):
    process = subprocess.Popen(
        [sys.executable, "-m", "genlab", "train", *words()],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    caught_by(process, "SIGTERM")
    if moment != "start":
        has_begun_to_import(process, LIBRARIES[moment])
    started = time.monotonic()
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - started < 10
    assert process.returncode == CODES[name], err
    assert out == ""
    assert err in ("", "genlab: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_what_a_parent_ignores_stays_ignored():
    """As nohup does with HUP, and a shell with the INT of what it runs in the background."""
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from genlab.system.signals import handled, install\n"
        "install()\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "with handled(lambda number, frame: print('caught')):\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "print('alive')\n"
        "os.kill(os.getpid(), signal.SIGUSR2)\n"
        "print('not reached')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (140, "alive\n", "") or (
        # what was printed stays in the buffer of a process that is ended at once
        done.returncode == 140 and done.stdout == ""
    )


def test_handlers_are_given_back():
    before = [signal.getsignal(number) for number in STOPS]
    with handled(lambda number, frame: None):
        assert [signal.getsignal(number) for number in STOPS] != before
    assert [signal.getsignal(number) for number in STOPS] == before
    assert callable(install)


# Under SLURM ----------------------------------------------------------------------------------


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A job of SLURM with a scontrol that writes down what it is asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    tool = folder / "scontrol"
    asked = tmp_path / "asked"

    def install_tool(code=0):
        tool.write_text(f'#!/bin/sh\necho "$@" >> {asked}\necho "not now" >&2\nexit {code}\n')
        tool.chmod(0o755)

    install_tool()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    return asked, install_tool


def test_a_warning_of_slurm_requeues_the_job_which_goes_on_by_itself(
    genlab, tmp_path, whole, monkeypatch, slurm
):
    asked, _ = slurm
    line = ("train", *words("vae_mlp", "name=cut"))
    with monkeypatch.context() as patch:
        in_step(patch, signal.SIGUSR1)
        code, out, err = genlab(*line)
    assert code == 138, err
    assert asked.read_text() == "requeue 42\n"
    assert "requeued as SLURM job 42" in out
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    code, out, err = genlab(*line)  # the same command, as the job's script has it
    assert code == 0, err
    assert "SLURM job 42 was requeued and goes on with runs/cut" in out
    same(state(tmp_path / "runs" / "cut"), whole)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGUSR1", "SIGTERM"])
def test_a_requeue_that_fails_is_a_line_and_only_a_warning_asks_for_one(
    genlab, monkeypatch, slurm, name
):
    asked, install_tool = slurm
    install_tool(code=1)
    with monkeypatch.context() as patch:
        in_step(patch, getattr(signal, name))
        code, out, err = genlab("train", *words("vae_mlp", "name=cut"))
    assert code == CODES[name]
    assert "genlab train run=runs/cut" in out
    if name == "SIGUSR1":
        assert "genlab: warning: scontrol requeue 42 failed: not now" in err
    else:
        assert not asked.exists()
