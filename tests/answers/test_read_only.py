"""Places that cannot be written to: a line before anything is measured or drawn."""

import errno
import os
from pathlib import Path

import pytest
from PIL import Image

from genlab.errors import ConfigError, StorageError
from genlab.launch.messages import explain
from genlab.system.paths import check_writable

from .tiny import TINY


@pytest.fixture
def locked(genlab, tmp_path, monkeypatch):
    """A run whose directory, and the folder ``ro``, take nothing, whoever asks."""
    assert genlab("train", *TINY, "name=r")[0] == 0
    for name in ("ro", "d.png", "d.gif"):
        (tmp_path / name).mkdir()
    access = os.access

    def refusing(path, mode, **named):
        inside = {"ro", "r"} & set(Path(path).absolute().relative_to(tmp_path).parts)
        return access(path, mode, **named) and not (inside and mode & os.W_OK)

    monkeypatch.setattr(os, "access", refusing)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sample run=r n=2", "out=null: runs/r cannot be written to; out=FILE chooses a place"),
        ("sample run=r n=2 out=ro/x.png", "out=ro/x.png: ro cannot be written to"),
        ("sample run=r n=2 out=ro/deep/x.npz", "out=ro/deep/x.npz: ro cannot be written to"),
        ("sample run=r n=2 out=x.jpg", "out=x.jpg: a .png, a .npz, or a folder (no suffix) is n"),
        ("sample run=r n=2 out=d.png", "out=d.png: is a folder; a file of this name cannot be"),
        ("sample run=r n=2 task=walk gif=true out=d.gif", "out=d.gif: is a folder; a file of this"),
        ("reconstruct run=r n=2 out=d.png", "out=d.png: is a folder; a file of this name cannot"),
        ("reconstruct run=r n=2", "out=null: runs/r/reconstructions cannot be written to; out="),
        ("reconstruct run=r n=2 out=ro/x.png", "out=ro/x.png: ro cannot be written to"),
        ("evaluate run=r metrics.metrics=[frechet]", "run=runs/r: runs/r/evaluation cannot be wri"),
        ("data show synthetic --out ro/x.png", "--out ro/x.png: ro cannot be written to"),
    ],
)
def test_it_is_told_before_anything_is_made(genlab, locked, monkeypatch, words, said):
    def never(*args, **named):
        raise AssertionError("it was made all the same")

    monkeypatch.setattr("genlab.training.evaluator.Evaluator.run", never)
    monkeypatch.setattr("genlab.experiment.perform.perform", never)
    monkeypatch.setattr("genlab.commands.reconstruct.pairs", never)
    code, _, err = genlab(*words.split())
    assert code == 2, err
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_place_elsewhere_will_do(genlab, locked, tmp_path):
    code, _, err = genlab("sample", "run=r", "n=4", "out=neu ü/x y.png")
    assert code == 0, err
    with Image.open(tmp_path / "neu ü/x y.png") as picture:
        assert picture.size[0] > 8


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file is a file, a folder is needed"):
        check_writable(tmp_path / "file/deep/er", "out=x")


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EACCES, ConfigError), (errno.EROFS, ConfigError), (errno.ENOSPC, StorageError)],
)
def test_what_a_file_system_refuses_is_no_fault_of_the_program(number, kind):
    error = OSError(number, os.strerror(number), "runs/r/evaluation/.quick-16.json.193.tmp")
    known = explain(error)
    assert type(known) is kind
    assert str(known).startswith("runs/r/evaluation/quick-16.json: cannot be read or written (")


def test_a_file_that_is_missing_may_be_the_programs_fault():
    assert explain(FileNotFoundError(errno.ENOENT, "No such file", "x")) is None
