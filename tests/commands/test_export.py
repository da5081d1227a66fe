"""genlab export: the same weights under another format, whole or refused, and nothing runs."""

import hashlib
import json
import shutil
import subprocess

import pytest
import torch
from faults.probes import train_in
from safetensors.torch import load_file

from genlab.errors import ConfigError, DataError
from genlab.experiment.exported import import_model, is_export
from genlab.experiment.trained import load_run
from genlab.runs.directory import Run
from genlab.training.saving.portable import read_portable, write_portable


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A trained run."""
    return train_in(tmp_path_factory.mktemp("original"), "model=vae_mlp", "model.hidden=16")


@pytest.fixture
def trained(original, genlab, tmp_path):
    return shutil.copytree(original, tmp_path / "runs" / "tiny")


@pytest.fixture
def exported(genlab, trained):
    code, out, err = genlab("export", "run=tiny")
    assert (code, err) == (0, "")
    return trained / "export", out


def test_it_is_the_model(exported, trained):
    folder, out = exported
    assert {path.name for path in folder.iterdir()} == {
        "model.safetensors",
        "model.json",
        "SHA256SUMS",
        "CARD.md",
        "card.json",
        "samples.png",
    }
    loaded = load_run(Run(trained))
    torch.testing.assert_close(load_file(folder / "model.safetensors"), loaded.model.state_dict())
    facts = json.loads((folder / "model.json").read_text())
    assert facts["parameters"] == sum(p.numel() for p in loaded.model.parameters())
    assert (facts["images_seen"], facts["weights"]) == (loaded.images_seen, "ema")
    assert facts["config"]["model"]["_target_"] == "genlab.models.vae.VAE"
    assert facts["spec"]["shape"] == list(loaded.model.spec.shape)
    assert facts["metrics"]["nll_elbo"] > 0
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        assert line in out
    subprocess.run(["sha256sum", "--status", "-c", "SHA256SUMS"], cwd=folder, check=True)


def test_the_terms_of_the_data_go_along(genlab, tmp_path):
    words = ("model=vae_mlp", "model.hidden=16", "data=faces", "data.size=32", "data.limit=64")
    tiny = ("data.batch_size=32", "debug=fast", "name=faces")
    assert genlab("train", *words, *tiny)[0] == 0
    code, out, err = genlab("export", "run=faces")
    assert (code, err) == (0, "")
    folder = tmp_path / "runs" / "faces" / "export"
    text = (folder / "DATA_LICENCE.md").read_text()
    assert "Draftbit" in text
    assert "creativecommons.org/licenses/by/4.0" in text
    assert "DATA_LICENCE.md" in out
    told = json.loads((folder / "model.json").read_text())["data"]
    assert (told["name"], told["licence"]) == ("faces", "CC BY 4.0")
    assert "DiceBear" in told["attribution"]
    subprocess.run(["sha256sum", "--status", "-c", "SHA256SUMS"], cwd=folder, check=True)
    assert import_model(folder).spec.shape == (3, 32, 32)


def test_read_back_it_draws_the_same(exported, trained):
    ours, theirs = import_model(exported[0]), load_run(Run(trained)).model
    draws = [m.sample(8, generator=torch.Generator().manual_seed(3)) for m in (ours, theirs)]
    torch.testing.assert_close(*draws, rtol=0, atol=0)
    assert is_export(exported[0])
    assert not is_export(trained)


def test_training_starts_from_it(genlab, exported):
    words = ["data=synthetic", "model=vae_mlp", "model.hidden=16", "logger=none"]
    words += ["trainer.threads=1", "trainer.epochs=1", "data.limit=64", "data.val_size=16"]
    words += ["data.batch_size=16", "closing.n_samples=32", "metrics.n_samples=32"]
    code, out, err = genlab("train", *words, f"init_from={exported[0]}")
    assert code == 0, err
    assert "init_from" in out
    assert "tensors loaded" in out


def test_what_is_damaged_is_refused(exported):
    folder, _ = exported
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-5] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(DataError, match=r"model.safetensors: expected sha256 \w+, found \w+; repa"):
        import_model(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"model.safetensors: expected weights, found No such"):
        import_model(folder)


def test_a_hostile_description_runs_nothing(exported, tmp_path):
    folder, _ = exported
    state, facts = read_portable(folder)
    facts["config"]["model"] = {"_target_": "os.mkdir", "path": str(tmp_path / "M")}
    write_portable(folder, state, facts)
    with pytest.raises(ConfigError, match=r"model._target_=os.mkdir"):
        import_model(folder)
    assert not (tmp_path / "M").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b"[" * 10**5, b'{"format": "genlab-1"}', b'{"format": 3}', b"\xff"],
)
def test_a_description_of_another_form_is_named(tmp_path, content):
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(DataError, match=r"model\.json: expected"):
        read_portable(tmp_path)


def test_tensors_that_share_memory_are_written(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    state = {"a": shared, "b": shared.T, "c": shared[0], "n": torch.tensor(3)}
    write_portable(tmp_path, state, {"config": {}, "images_seen": 0})
    torch.testing.assert_close(read_portable(tmp_path)[0], state)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "run=VALUE"),
        (["nowhere"], "nowhere does not exist"),
        (["run=a", "run=b"], "one value"),
        (["rnu=a"], "did you mean 'run'"),
        (["run=a", "trust=[os]"], "your own"),
    ],
)
def test_mistakes_are_a_line(genlab, words, message):
    code, _, err = genlab("export", *words)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1


def test_nothing_is_overwritten(genlab, exported):
    code, _, err = genlab("export", "run=tiny")
    assert code == 2
    assert "has something in it" in err
    code, _, err = genlab("export", "run=tiny", "out=elsewhere", "weights=raw", "checkpoint=last")
    assert code == 0, err
    assert genlab("export", "run=tiny", "out=/proc/x")[0] == 2
