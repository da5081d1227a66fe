"""The same weights, bit by bit, whatever else a run does beside learning: each family, each way."""

import hashlib
import sys
from pathlib import Path

import pytest
import torch

from genlab.cli.entry import main
from genlab.models.vae import VAE
from genlab.training.generative_module import GenerativeModule
from genlab.training.saving.checkpoint_io import read_checkpoint

from .tiny import FAMILIES, words

WAYS = {
    "again": [],
    "no worker": ["data.workers=0"],
    "one worker": ["data.workers=1"],
    "two workers": ["data.workers=2"],
    "previews": [
        "callbacks.samples={_target_:genlab.training.pictures.Pictures,every:16,n:4}",
    ],
    "health": ["callbacks.health={_target_:genlab.training.health.Health}"],
    "no metrics": ["callbacks.evaluation=null"],
    "validation seldom": ["trainer.validate_every=3 epochs", "callbacks.evaluation=null"],
    "validation often": ["trainer.validate_every=16"],
    "larger batches of validation": ["data.eval_batch_size=16"],
    "logged seldom": ["trainer.log_every=64"],
    "mapped from a file": ["data.resident=false"],
}
"""What may not change a weight."""

AUGMENTED = "data.augment=[flip,{crop:{padding:1}}]"
QUICK = {("vae_mlp", "two workers"), ("vae_mlp", "previews"), ("vae_mlp", "validation often")}


def tensors(value):
    """All tensors in nested data, in a fixed order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from tensors(value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item)


def digest(run):
    """SHA-256 of the weights, their average and the optimizers' moments."""
    checkpoint = read_checkpoint(run / "checkpoints" / "last.ckpt")
    kept = [checkpoint["state_dict"], checkpoint["genlab"]["ema"], checkpoint["optimizer_states"]]
    state, count = hashlib.sha256(), 0
    for tensor in tensors(kept):
        state.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        state.update(tensor.contiguous().numpy().tobytes())
        count += tensor.numel()
    assert count > 1000
    assert checkpoint["genlab"]["images_seen"] == 192
    return state.hexdigest()


def train(folder, family, *changes):
    """Trains a family in this process, without its closing evaluation; gives its digest."""
    folder.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["genlab"])
        patch.setattr("genlab.experiment.train_run.close_run", lambda *args: None)
        torch.manual_seed(int.from_bytes(str(folder).encode()) % 2**31)  # nothing may depend on it
        assert main(["train", *words(family, AUGMENTED, "name=a", *changes)]) == 0
    return digest(Path(folder, "runs", "a"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The digests of plain runs, made when they are asked for."""
    known = {}

    def of(family):
        if family not in known:
            known[family] = train(tmp_path_factory.mktemp("plain") / family, family)
        return known[family]

    return of


@pytest.mark.parametrize(
    ("family", "way"),
    [
        pytest.param(f, w, marks=[] if (f, w) in QUICK else pytest.mark.slow)
        for f in FAMILIES
        for w in WAYS
    ],
)
def test_the_weights_are_the_same(plain, tmp_path, family, way):
    assert train(tmp_path / "x", family, *WAYS[way]) == plain(family)


@pytest.mark.parametrize(
    "change",
    [
        "seed=1",
        *(pytest.param(c, marks=pytest.mark.slow) for c in ("data.batch_size=4", "ema.rampup=0.1")),
    ],
)
def test_what_matters_matters(plain, tmp_path, change):
    """The control: the digest tells runs apart."""
    assert train(tmp_path / "x", "vae_mlp", change) != plain("vae_mlp")


@pytest.mark.slow
def test_one_stream_for_all_purposes_would_be_seen(plain, tmp_path, monkeypatch):
    """The control: noise that validation draws from, too, makes its rhythm visible."""
    loss, validate, shared = VAE.loss, GenerativeModule.validation_step, torch.Generator()

    def drawing(self, *args, **kwargs):
        with torch.no_grad():
            next(self.parameters()).add_(1e-6 * torch.rand((), generator=shared))
        return loss(self, *args, **kwargs)

    def drawing_too(self, *args, **kwargs):
        torch.rand((), generator=shared)
        return validate(self, *args, **kwargs)

    monkeypatch.setattr(VAE, "loss", drawing)
    monkeypatch.setattr(GenerativeModule, "validation_step", drawing_too)
    found = []
    for name, way in (("x", "again"), ("y", "again"), ("z", "validation often")):
        shared.manual_seed(0)
        found.append(train(tmp_path / name, "vae_mlp", *WAYS[way]))
    assert found[0] == found[1] != found[2]
