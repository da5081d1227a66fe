"""Disks that are full, small, read-only or in use: said in a line, before training where that can
be known; and whatever happens, the checkpoints from before are whole."""

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from genlab.errors import ConfigError
from genlab.experiment.session import TrainingSession
from genlab.runs import storage
from genlab.runs.directory import Run
from genlab.system.locks import Lock
from genlab.system.paths import write_atomically
from genlab.training.saving import disk_space as space
from genlab.training.saving.checkpoint_io import AtomicCheckpointIO, newest

from .tiny import same, state, words


def refused(genlab, tmp_path, *line):
    """The one line of a command that is refused and leaves nothing behind."""
    before = sorted(tmp_path.rglob("*"))
    code, _, err = genlab("train", *line)
    assert code == 2, err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before] in (
        [],
        [tmp_path / "runs"],
    )
    return err


def test_too_little_room_is_refused_before_anything_is_written(genlab, tmp_path, monkeypatch):
    class Usage:
        free = 15_000_000

    monkeypatch.setattr(space.shutil, "disk_usage", lambda path: Usage)
    err = refused(genlab, tmp_path, *words())
    for part in (
        "root=runs",
        "20.7 MB are needed for checkpoints of 0.2 MB",
        "15.0 MB are free",
        "root=DIR",
    ):
        assert part in err


def test_the_estimate_is_the_size_of_a_checkpoint(genlab, tmp_path, monkeypatch):
    estimates = []
    check_room = space.check_room
    monkeypatch.setattr(
        "genlab.experiment.parts.check_room",
        lambda where, size, key, beside: (
            estimates.append(size),
            check_room(where, size, key, beside),
        ),
    )
    assert genlab("train", *words("vae_mlp", "model.hidden=256", "name=a"))[0] == 0
    size = (tmp_path / "runs" / "a" / "checkpoints" / "last.ckpt").stat().st_size
    assert estimates[0] == pytest.approx(size, rel=0.05)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EDQUOT])
def test_a_directory_that_cannot_be_written_to_is_refused(genlab, tmp_path, monkeypatch, number):
    def fsync(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(space.os, "fsync", fsync)
    err = refused(genlab, tmp_path, *words())
    assert f"root=runs: cannot be written to ({os.strerror(number)})" in err


def test_a_file_where_the_runs_should_be(genlab, tmp_path):
    (tmp_path / "runs").write_text("")
    assert "root=runs: cannot be written to" in refused(genlab, tmp_path, *words())


def test_a_run_directory_that_has_become_read_only(genlab, tmp_path, monkeypatch):
    assert genlab("train", *words("vae_mlp", "trainer.epochs=1", "name=a"))[0] == 0
    original = Path.open

    def opened(self, mode="r", *args, **kwargs):
        if "w" in mode and (tmp_path / "runs" / "a") in self.parents:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))
        return original(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", opened)
    before = sorted((tmp_path / "runs").rglob("*"))
    code, _, err = genlab("train", "run=a", "trainer.epochs=2")
    assert code == 2
    assert "run=runs/a: cannot be written to (Read-only file system)" in err
    assert sorted((tmp_path / "runs").rglob("*")) == before


class Full:
    """A disk that takes so many more bytes of checkpoints."""

    def __init__(self, patch, room):
        self.room = room
        original = storage.Hashed.write

        def write(hashed, content):
            self.room -= len(content)
            if self.room < 0:
                hashed.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                raise hashed.error
            return original(hashed, content)

        patch.setattr(storage.Hashed, "write", write)


def test_a_disk_that_fills_up_in_training_leaves_what_was_and_the_run_goes_on(
    genlab, tmp_path, monkeypatch
):
    assert genlab("train", *words("vae_mlp", "name=whole"))[0] == 0
    size = (tmp_path / "runs" / "whole" / "checkpoints" / "last.ckpt").stat().st_size
    with monkeypatch.context() as patch:
        Full(patch, int(2.5 * size))
        code, _, err = genlab("train", *words("vae_mlp", "name=full"))
    run = tmp_path / "runs" / "full"
    assert code == 4, err
    assert "Traceback" not in err
    for part in (
        "last.ckpt could not be written (No space left on device, ",
        "are free); last.ckpt, of 128 images, is whole",
        "genlab train run=runs/full",
    ):
        assert part in err
    assert len(err.strip().splitlines()) == 2
    path, checkpoint, wrong = newest(run / "checkpoints")
    assert (path.name, wrong) == ("last.ckpt", [])
    assert checkpoint["genlab"]["images_seen"] == 128
    assert not list(run.rglob("*.tmp"))
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    assert genlab("train", "run=full")[0] == 0
    same(state(run), state(tmp_path / "runs" / "whole"))


def test_no_room_even_for_the_status_is_said_and_not_hidden(tmp_path, monkeypatch, capsys):
    run = Run(tmp_path)

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("genlab.system.paths.write_atomically", full)

    session = SimpleNamespace(run=run, parts=SimpleNamespace(module=SimpleNamespace(images_seen=5)))
    TrainingSession.write_down(session, "failed")
    assert "could not be brought up to date (No space left on device)" in capsys.readouterr().err


def can_mount():
    return os.geteuid() == 0 and sys.platform == "linux"


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a small tmpfs")
def test_a_disk_that_is_really_full(genlab, tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "none", str(place)]).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        line = ("vae_mlp", "model.hidden=512", f"root={place}", "name=a")
        code, _, err = genlab("train", *words(*line, "trainer.epochs=1"))
        assert code == 0, err
        size = (place / "a" / "checkpoints" / "last.ckpt").stat().st_size
        with (place / "ballast").open("wb") as file:
            free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
            file.write(bytes(free - size // 2))
        folder = place / "a" / "checkpoints"
        with pytest.raises(OSError, match="No space left"):
            AtomicCheckpointIO().save_checkpoint(
                {"genlab": {}, "state_dict": {"w": torch.zeros(size // 4)}}, folder / "last.ckpt"
            )
        assert newest(folder)[2] == []
        assert not list(folder.glob("*.tmp"))
        code, _, err = genlab("train", "run=" + str(place / "a"), "trainer.epochs=2")
        assert code == 2
        assert "are free" in err
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
def test_a_limit_of_file_size_is_a_disk_that_fills_up(tmp_path):
    """The kernel's own refusal, in a process of its own: checkpoints may have 20 kB."""
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "from genlab.cli.entry import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "train", *words("vae_mlp", "name=a")],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "last.ckpt could not be written (File too large)" in done.stderr
    assert "there was no checkpoint yet" in done.stderr
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("where", ["missing", pytest.param("a file", marks=pytest.mark.slow)])
def test_the_systems_temporary_directory_does_not_matter(genlab, tmp_path, monkeypatch, where):
    """What is written is written beside its target."""
    place = tmp_path / "nowhere"
    if where == "a file":
        place.write_text("")

    def nowhere(*args, **kwargs):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    for name in ("mkstemp", "mkdtemp", "NamedTemporaryFile", "TemporaryFile", "gettempdir"):
        monkeypatch.setattr(tempfile, name, nowhere)
    monkeypatch.setenv("TMPDIR", str(place))
    code, _, err = genlab("train", *words("vae_mlp", "trainer.epochs=1", "name=a"))
    assert code == 0, err


def test_a_write_that_fails_leaves_no_part_of_it(tmp_path, monkeypatch):
    target = tmp_path / "file"
    write_atomically(target, b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(target, b"new")
    with pytest.raises(OSError, match="disk full"):
        storage.store(target, lambda file: file.write(b"new"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert target.read_bytes() == b"old"


# A run directory in use -----------------------------------------------------------------------


def test_a_run_that_is_being_trained_is_not_trained_twice(genlab, tmp_path, monkeypatch):
    """The first one is in the middle of training when the second one comes."""
    from genlab.training.generative_module import GenerativeModule

    step, found = GenerativeModule.step, []

    def meanwhile(self, *args):
        if self.images_seen == 72 and not found:
            found.append(
                subprocess.run(
                    [sys.executable, "-c", OCCUPY, str(tmp_path / "runs" / "a")],
                    capture_output=True,
                    text=True,
                )
            )
        return step(self, *args)

    monkeypatch.setattr(GenerativeModule, "step", meanwhile)
    assert genlab("train", *words("vae_mlp", "name=a"))[0] == 0
    (second,) = found
    assert f"is being trained by process {os.getpid()} on {os.uname().nodename}" in second.stdout
    assert "not refused" not in second.stdout


OCCUPY = """
import sys
from pathlib import Path
from genlab.runs.lock import lock_run
from genlab.errors import ConfigError
from genlab.runs.directory import Run
try:
    with lock_run(Run(Path(sys.argv[1]))):
        print("not refused")
except ConfigError as error:
    print(error)
"""


def test_the_lock_of_a_dead_process_does_not_block(genlab, tmp_path):
    assert genlab("train", *words("vae_mlp", "trainer.epochs=1", "name=a"))[0] == 0
    path = tmp_path / "runs" / "a" / ".lock"
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from genlab.system.locks import Lock\n"
        "lock = Lock(Path(sys.argv[1]))\n"
        "assert lock.acquire(wait=False)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -9
    with Lock(path) as held:
        assert held.descriptor >= 0
        code, _, err = genlab("train", "run=a")
        assert code == 2
        assert f"run=runs/a: is being trained by process {os.getpid()}" in err
    assert genlab("train", "run=a")[0] == 0


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, capsys):
    from genlab.runs.lock import lock_run

    def flock(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("genlab.system.locks.fcntl.flock", flock)
    with lock_run(Run(tmp_path)):
        pass
    assert "has no locks" in capsys.readouterr().err


def test_an_error_that_is_no_disks_is_not_blamed_on_it():
    assert space.explain(OSError(errno.ECONNREFUSED, "refused"), "runs/a", None, "resume") is None
    assert issubclass(ConfigError, Exception)
