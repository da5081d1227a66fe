"""Checkpoints from elsewhere run nothing, whichever command is given one."""

import http.server
import os
import pickle
import shutil
import threading
from pathlib import Path

import pytest
import torch

from genlab.errors import DataError, GenlabError
from genlab.experiment.exported import import_model
from genlab.metrics.extractors.selection import EXTRACTORS, build
from genlab.runs.storage import store

from .probes import Mark, commands, train_in

VERBS = {
    "resume": ["train", "run=tiny", "trainer.epochs=3"],
    "init_from": ["train", "init_from=tiny"],
    "sample": ["sample", "run=tiny", "n=4", "out=drawn.png"],
    "last": ["sample", "run=tiny", "n=4", "checkpoint=last", "out=drawn.png"],
    "reconstruct": ["reconstruct", "run=tiny", "n=4", "out=drawn.png"],
    "evaluate": ["evaluate", "run=tiny", "metrics=quick", "metrics.n_samples=64"],
    "export": ["export", "run=tiny", "out=exported"],
}
"""Every command that reads a checkpoint."""


def in_key(good, mark):
    return {**good, "evil": mark}


def instead(good, mark):
    return mark


def in_state(good, mark):
    return {**good, "genlab": {**good["genlab"], "ema": {"evil": mark}}}


def by_lightning(good, mark):
    """Keys by which Lightning can be told to call something."""
    told = {"_instantiator": "os.mkdir", "_class_path": "os.mkdir", "path": mark.path}
    return {**good, "hyper_parameters": told, "callbacks": {"x": mark}}


KINDS = {
    "in a key": lambda good, mark, file: torch.save(in_key(good, mark), file),
    "instead": lambda good, mark, file: torch.save(instead(good, mark), file),
    "in the state": lambda good, mark, file: torch.save(in_state(good, mark), file),
    "by lightning": lambda good, mark, file: torch.save(by_lightning(good, mark), file),
    "legacy": lambda good, mark, file: torch.save(
        in_key(good, mark), file, _use_new_zipfile_serialization=False
    ),
    "a bare pickle": lambda good, mark, file: file.write(pickle.dumps(instead(good, mark))),
}
HERE = ["data=synthetic", "data.limit=128", "data.batch_size=16", "data.val_size=32"]
HERE += ["model=vae_mlp", "model.hidden=16", "logger=none", "trainer.threads=1"]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return train_in(tmp_path_factory.mktemp("original"), "model=vae_mlp", "model.hidden=16")


@pytest.fixture
def lab(original, tmp_path, monkeypatch, capsys):
    """A folder with a trained run, and the command line in it."""
    run = commands(tmp_path / "cwd", monkeypatch, capsys)
    shutil.copytree(original, Path("runs", "tiny"))
    return run


def words_of(verb):
    """The words of a verb, with all that a new run needs."""
    return [*VERBS[verb], *(HERE if verb == "init_from" else [])]


def harm(kind, mark):
    """Replaces the run's checkpoints, sidecars and all."""
    folder = Path("runs", "tiny", "checkpoints")
    good = torch.load(folder / "best.ckpt", weights_only=True)
    for path in sorted(folder.glob("*.ckpt")):
        store(path, lambda file: KINDS[kind](good, mark, file))


@pytest.mark.parametrize("forced", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "kind", [k if k == "in a key" else pytest.param(k, marks=pytest.mark.slow) for k in KINDS]
)
def test_nothing_of_it_runs(lab, tmp_path, monkeypatch, kind, forced):
    mark = Mark(tmp_path / "M")
    harm(kind, mark)
    if forced:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    for verb in VERBS:
        code, out, err = lab(*words_of(verb))
        assert code == 2, (verb, out)
        assert ("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" if forced else "ckpt") in err, verb
        assert "weights_only=False" not in err
        assert "Traceback" not in err
        assert len(err.splitlines()) <= 6, verb
        assert not Path(mark.path).exists(), verb
    assert not list(Path().glob("exported/*"))


def test_every_verb_takes_the_good_one(lab):
    """The control: the same commands go through where nothing is wrong."""
    for verb in VERBS:
        if verb not in ("resume", "init_from"):  # trained often enough elsewhere
            code, _, err = lab(*words_of(verb))
            assert code == 0, err


def test_the_pickle_bites_where_torch_is_told_to_trust_it(lab, tmp_path):
    """The control: it is one that would run."""
    mark = Mark(tmp_path / "M")
    harm("in a key", mark)
    torch.load(Path("runs", "tiny", "checkpoints", "best.ckpt"), weights_only=False)
    assert Path(mark.path).exists()


def test_nothing_is_fetched(lab, tmp_path):
    """A URL is not a path of a run, a checkpoint, or weights."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/evil.ckpt"
        for words in (
            ["train", f"run={url}"],
            ["train", *HERE, f"init_from={url}"],
            ["sample", f"run={url}"],
            ["sample", "run=tiny", f"checkpoint={url}"],
            ["reconstruct", f"run={url}"],
            ["evaluate", f"run={url}"],
            ["evaluate", f"images={url}", "data=synthetic"],
            ["export", f"run={url}"],
            ["export", "run=tiny", f"checkpoint={url}"],
            ["compare", url],
        ):
            code, _, err = lab(*words)
            assert code == 2, words
            assert f"127.0.0.1:{server.server_port}" in err
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert asked == []


def test_a_checkpoint_is_chosen_by_name_not_by_path(lab, tmp_path):
    mark = Mark(tmp_path / "M")
    torch.save({"genlab": mark}, tmp_path / "evil.ckpt")
    for which in ("../../../evil", str(tmp_path / "evil"), "best/../../../../evil"):
        for verb in ("sample", "evaluate", "reconstruct", "export"):
            code, _, err = lab(verb, "run=tiny", f"checkpoint={which}")
            assert code == 2
            assert "best" in err
    assert not Path(mark.path).exists()


@pytest.mark.parametrize("forced", [False, True], ids=["", "forced"])
def test_weights_of_extractors_are_known_by_their_hash(tmp_path, monkeypatch, forced):
    mark = Mark(tmp_path / "M")
    torch.save({"evil": mark}, tmp_path / "weights.pth")
    if forced:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    tried = 0
    for name in ("inception", "dinov2", "efficientnet"):
        monkeypatch.setenv(f"GENLAB_{name.upper()}_WEIGHTS", str(tmp_path / "weights.pth"))
        assert name in EXTRACTORS
        with pytest.raises(GenlabError, match="sha256"):
            build(name, (3, 32, 32), download=False)
        tried += 1
    assert tried == 3
    assert not Path(mark.path).exists()


def test_an_export_is_no_pickle(lab, tmp_path):
    assert lab("export", "run=tiny", "out=exported")[0] == 0
    weights = Path("exported", "model.safetensors")
    mark = Mark(tmp_path / "M")
    for evil in (pickle.dumps(mark), b"", b"\x80\x04N.", (2**40).to_bytes(8, "little") + b"{}"):
        weights.write_bytes(evil)
        with pytest.raises(DataError, match=r"model\.safetensors"):
            import_model(Path("exported"))
    assert not Path(mark.path).exists()
    assert os.listdir("exported")
