"""The command line in this process, in a folder of its own."""

import pytest

from genlab.cli.entry import main

TINY = (
    "model=vae_mlp",
    "model.hidden=16",
    "model.latent=4",
    "data=synthetic",
    "data.limit=128",
    "data.batch_size=16",
    "data.val_size=32",
    "trainer.chunk=2",
    "trainer.log_every=32",
    "trainer.threads=1",
    "closing.n_samples=100",
    "metrics.n_samples=100",
    "logger=none",
)
"""A run of seconds."""


@pytest.fixture
def genlab(tmp_path, monkeypatch, capsys):
    """Runs a command; returns its exit code, what it printed, and its errors."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        capsys.readouterr()
        code = main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def trained(genlab, tmp_path):
    """The directory of a tiny run of two epochs."""
    code, _, err = genlab("train", *TINY, "trainer.epochs=2", "name=tiny")
    assert code == 0, err
    return tmp_path / "runs" / "tiny"
