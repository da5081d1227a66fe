"""The commands on a GPU: train, resume, sample, reconstruct and evaluate, in each precision."""

import json

import pytest
import torch

from genlab.cli.entry import main

pytestmark = pytest.mark.gpu

TINY = (
    "data=synthetic",
    "data.limit=512",
    "data.batch_size=16",
    "data.val_size=64",
    "trainer.accelerator=gpu",
    "trainer.chunk=4",
    "trainer.log_every=128",
    "closing.n_samples=64",
    "metrics.n_samples=100",
    "logger=none",
)
FAMILIES = {
    "vae": ("model=vae",),
    "gan": ("model=gan",),
    "gan_ada": ("model=gan", "model.augment=ada"),
    "gan_diffaugment": ("model=gan", "model.augment=diffaugment"),
    "stylegan": ("model=gan_stylegan",),
    "vaegan": ("model=vaegan",),
    "flow": ("model=flow", "trainer.precision=32-true"),
    "pixelcnn": ("model=pixelcnn_gated", "model.blocks=2"),
    "image_gpt": ("model=image_gpt",),
    "vq_vae": ("model=vq_vae",),
    "diffusion": ("model=diffusion",),
    "masked_diffusion": ("model=masked_diffusion",),
    "dit": ("model=dit",),
}


@pytest.fixture
def genlab(tmp_path, monkeypatch, capsys):
    """Runs a command that must succeed; returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        capsys.readouterr()
        code = main(list(words))
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    return run


def weights(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=False, map_location="cpu")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_way_of_a_run(genlab, tmp_path, family):
    genlab("train", *TINY, "trainer=gpu", *FAMILIES[family], "trainer.epochs=2", "name=tiny")
    run = tmp_path / "runs" / "tiny"
    state = weights(run)["state_dict"]
    assert all(v.isfinite().all() for v in state.values() if v.is_floating_point())
    assert json.loads((run / "summary.json").read_text())["device"].startswith("cuda")
    genlab("sample", "run=tiny", "n=4", "device=gpu")
    genlab("evaluate", "run=tiny", "device=gpu", "metrics=quick", "metrics.n_samples=64")
    reports = sorted((run / "evaluation").glob("*.json"))
    assert len(reports) == 2
    for report in reports:
        assert json.loads(report.read_text())["device"].startswith("cuda")


@pytest.mark.parametrize("family", ["vae", "gan", "flow", "pixelcnn", "diffusion"])
def test_a_resumed_run_equals_one_that_never_stopped(genlab, tmp_path, family):
    words = (*TINY, *FAMILIES[family], "trainer.deterministic=true", "scheduler=constant")
    genlab("train", *words, "trainer.epochs=2", "name=whole")
    genlab("train", *words, "trainer.epochs=1", "name=parts")
    genlab("train", "run=parts", "trainer.epochs=2")
    whole, parts = (weights(tmp_path / "runs" / name)["state_dict"] for name in ("whole", "parts"))
    for key in whole:
        torch.testing.assert_close(parts[key], whole[key], rtol=0, atol=0, msg=key)


@pytest.mark.parametrize("family", ["vae", "diffusion"])
def test_compiled_losses_train(genlab, tmp_path, family):
    words = (*TINY, *FAMILIES[family], "trainer.compile=true", "trainer.epochs=1", "name=tiny")
    genlab("train", *words)
    state = weights(tmp_path / "runs" / "tiny")["state_dict"]
    assert all(v.isfinite().all() for v in state.values() if v.is_floating_point())
