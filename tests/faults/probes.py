"""What the tests of faults use: the command line in this process, canaries, and what changed."""

import os
import sys
from pathlib import Path

import pytest

from genlab.cli.entry import main

__all__ = ["TINY", "Mark", "commands", "contents", "train_in"]

TINY = (
    "data=synthetic",
    "data.limit=128",
    "data.batch_size=16",
    "data.val_size=32",
    "trainer.epochs=1",
    "trainer.chunk=2",
    "trainer.log_every=32",
    "trainer.threads=1",
    "closing.n_samples=64",
    "metrics.n_samples=64",
    "logger=none",
)
"""A run of a second, of whatever model."""


class Mark:
    """A pickle whose only effect is an empty folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def contents(folder):
    """The names and sizes of everything in a folder."""
    return {
        str(path.relative_to(folder)): path.lstat().st_size if path.is_file() else None
        for path in Path(folder).rglob("*")
    }


def commands(folder, monkeypatch, capsys):
    """A function that runs a command line in a folder; gives exit code, stdout and stderr."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", list(sys.argv))

    def run(*words):
        capsys.readouterr()
        code = main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return run


def train_in(folder, *words):
    """Trains a tiny model in a folder, in this process; gives its run directory ``runs/tiny``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["genlab"])
        patch.setenv("GENLAB_CACHE", str(folder / "cache"))
        assert main(["train", *TINY, *words, "name=tiny"]) == 0
    return folder / "runs" / "tiny"
