"""Runs of few images: no validation, few test images, one of anything."""

import json

import pytest
import torch
from faults.tiny import FAMILIES, words

from genlab.training.saving.checkpoint_io import read_checkpoint


@pytest.mark.parametrize("family", ["vae_mlp", "gan_mlp"])
@pytest.mark.parametrize("background", ["true", "false"])
def test_a_checkpoint_needs_no_validation(genlab, tmp_path, family, background):
    """The last one is then the best one, and that is said."""
    line = words(
        family, "data.val_size=0", f"callbacks.checkpoints.background={background}",
        "callbacks.evaluation=null",
    )  # fmt: skip
    code, out, err = genlab("train", *line, "name=v")
    assert code == 0, err
    folder = tmp_path / "runs" / "v" / "checkpoints"
    last, best = (read_checkpoint(folder / f"{name}.ckpt") for name in ("last", "best"))
    assert last["genlab"]["images_seen"] == best["genlab"]["images_seen"] == 192
    assert read_checkpoint(folder / "previous.ckpt")["genlab"]["images_seen"] == 128
    assert "the last checkpoint: nothing was measured to choose by" in out
    assert json.loads((tmp_path / "runs" / "v" / "run.json").read_text())["status"] == "finished"


def test_a_run_without_validation_resumes_as_if_nothing_had_been(genlab, tmp_path):
    line = words("vae_mlp", "data.val_size=0", "callbacks.evaluation=null", "scheduler=constant")
    assert genlab("train", *line, "name=whole")[0] == 0
    first = [word for word in line if not word.startswith("trainer.epochs")]
    assert genlab("train", *first, "trainer.epochs=1", "name=halves")[0] == 0
    assert genlab("train", "run=halves", "trainer.epochs=3")[0] == 0
    one, two = (
        read_checkpoint(tmp_path / "runs" / name / "checkpoints" / "last.ckpt")["state_dict"]
        for name in ("whole", "halves")
    )
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=0)


def test_without_a_metric_the_last_checkpoint_is_the_best(genlab, tmp_path):
    """A GAN whose distance is never measured has nothing to choose by."""
    code, _, err = genlab("train", *words("gan_mlp", "callbacks.evaluation=null"), "name=g")
    assert code == 0, err
    best = read_checkpoint(tmp_path / "runs" / "g" / "checkpoints" / "best.ckpt")
    assert best["genlab"]["images_seen"] == 192


def few(family, n, **more):
    """A run of 64 images of a family, with n test images."""
    changes = {"data.limit": "null", "data.n_train": 64, "data.n_test": n, "trainer.epochs": "null"}
    changes |= {"trainer.max_images": 64, "metrics": "none", "callbacks.evaluation": "null"}
    changes |= {"closing.n_samples": 8, "name": "t"} | more
    line = words(family, *(f"{key}={value}" for key, value in changes.items()))
    return [word for word in line if not word.startswith("metrics.")]


@pytest.mark.parametrize("n", [1, 2, 7, 15])
@pytest.mark.parametrize("family", ["vae_mlp", pytest.param("flow_mlp", marks=pytest.mark.slow)])
def test_few_test_images_are_enough(genlab, tmp_path, family, n):
    code, _, err = genlab("train", *few(family, n))
    assert code == 0, err
    assert list((tmp_path / "runs" / "t" / "interpolations").glob("*.png"))
    for task in ("interpolate", "walk"):
        code, _, err = genlab("sample", "run=t", f"task={task}", "n=16", "frames=2")
        assert code == 0, err
    for split in ("test", "val"):
        code, _, err = genlab("reconstruct", "run=t", f"split={split}", "n=64")
        assert code == 0, err


@pytest.mark.parametrize("n", [1, 2])
def test_few_test_images_are_completed(genlab, n):
    assert genlab("train", *few("pixelcnn_tiny", n))[0] == 0
    code, _, err = genlab("sample", "run=t", "task=complete", "n=64")
    assert code == 0, err


@pytest.mark.parametrize("family", FAMILIES)
def test_one_training_image_and_one_test_image(genlab, family):
    one = {"data.n_train": 1, "data.val_size": 0, "data.batch_size": 1, "trainer.max_images": 3}
    code, _, err = genlab("train", *few(family, 1, **one))
    assert code == 0, err


def test_a_split_without_images_is_answered_in_a_line(genlab):
    assert genlab("train", *few("vae_mlp", 8, **{"data.val_size": 0}))[0] == 0
    code, _, err = genlab("reconstruct", "run=t", "split=val")
    assert code == 2
    assert err.strip() == "genlab: error: split=val: it has no images (data.val_size=0)"
