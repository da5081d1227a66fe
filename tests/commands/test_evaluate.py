"""Evaluate, sample, reconstruct and compare: trained runs and images of somebody else."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.training.saving.checkpoint_io import read_checkpoint

from .conftest import TINY

QUICK = ("metrics.n_samples=160",)


def test_a_run_is_measured_from_its_directory_alone(trained, genlab):
    code, out, err = genlab("evaluate", "run=tiny", *QUICK)
    assert code == 0, err
    report = json.loads((trained / "evaluation" / "full-000000256.json").read_text())
    keys = {value["key"] for value in report["values"]}
    assert {"fd_pixels_160", "nll_elbo", "bpd_elbo"} <= keys
    assert not any(key.startswith(("fid", "is_", "kid")) for key in keys)
    assert (trained / "evaluation" / "full-000000256.png").exists()
    assert "nll_elbo" in out
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["metrics"]["fd_pixels_160"] == pytest.approx(
        next(v["value"] for v in report["values"] if v["key"] == "fd_pixels_160")
    )
    lines = (trained / "metrics.jsonl").read_text().splitlines()
    assert any("test/fd_pixels_160" in line for line in lines)


def test_evaluating_twice_gives_the_same_and_moves_nothing(trained, genlab):
    before = torch.get_rng_state()
    reports = []
    for _ in range(2):
        assert genlab("evaluate", "run=tiny", "metrics=quick", *QUICK)[0] == 0
        reports.append(json.loads((trained / "evaluation" / "quick-000000256.json").read_text()))
    numbers = [{v["key"]: v["value"] for v in report["values"]} for report in reports]
    assert numbers[0] == numbers[1]
    assert torch.equal(torch.get_rng_state(), before)


def test_a_checkpoint_holds_the_model_and_nothing_of_the_metrics(trained):
    checkpoint = read_checkpoint(trained / "checkpoints" / "last.ckpt")
    assert all(name.startswith("model.") for name in checkpoint["state_dict"])
    sizes = sum(t.numel() * 4 for t in checkpoint["state_dict"].values())
    assert (trained / "checkpoints" / "last.ckpt").stat().st_size < 8 * sizes + 100_000


def test_more_importance_samples_are_another_key(trained, genlab):
    words = ("metrics.metrics=[likelihood]", "metrics.likelihood_images=32")
    code, _, err = genlab("evaluate", "run=tiny", *words, "metrics.likelihood_samples=20")
    assert code == 0, err
    metrics = json.loads((trained / "summary.json").read_text())["metrics"]
    assert {"nll_elbo", "nll_iw20_32"} <= set(metrics)


def test_several_runs_at_once_and_their_spread_over_seeds(trained, genlab, tmp_path):
    assert genlab("train", *TINY, "trainer.epochs=2", "name=other", "seed=1")[0] == 0
    assert genlab("evaluate", "run=[tiny,other]", "metrics=quick", *QUICK, "seeds=2")[0] == 0
    code, out, _ = genlab("compare", "--sort", "nll_elbo", "--json")
    assert code == 0
    (row,) = json.loads(out)["runs"]
    single = [
        json.loads((tmp_path / "runs" / n / "summary.json").read_text()) for n in ("tiny", "other")
    ]
    values = [summary["metrics"]["nll_elbo"] for summary in single]
    assert row["seed"] == "0,1"
    assert row["metrics"]["nll_elbo"] == pytest.approx(np.mean(values))
    assert row["std"]["nll_elbo"] == pytest.approx(np.std(values, ddof=1))
    assert row["runs"]["nll_elbo"] == 2
    assert len(json.loads(genlab("compare", "--runs", "--json")[1])["runs"]) == 2


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for i, image in enumerate(np.random.default_rng(0).integers(0, 256, (160, 8, 8), np.uint8)):
        Image.fromarray(image).save(images / f"{i:03d}.png")
    return images


def test_somebody_elses_images_are_measured(genlab, folder):
    code, out, err = genlab("evaluate", "images=images", "data=synthetic", "data.limit=128")
    assert code == 0, err
    assert "fd_pixels_160" in out
    np.save("array.npy", np.zeros((160, 8, 8), np.uint8))
    assert genlab("evaluate", "images=array.npy", "data=synthetic", "data.limit=128")[0] == 0


def corrupt(folder):
    (folder / "007.png").write_bytes((folder / "007.png").read_bytes()[:60])


def mixed(folder):
    Image.new("L", (9, 8)).save(folder / "009.png")


def colour(folder):
    for file in folder.iterdir():
        Image.new("RGB", (8, 8)).save(file)


def nothing(folder):
    shutil.rmtree(folder)
    folder.mkdir()


@pytest.mark.parametrize(
    ("harm", "words", "parts"),
    [
        (corrupt, [], ["007.png"]),
        (mixed, [], ["009.png"]),
        (colour, [], ["channels"]),
        (nothing, [], ["no PNG"]),
        (None, ["metrics.n_samples=161"], ["n_samples=161", "160"]),
        (None, ["run=tiny"], ["run=DIR", "images="]),
        (None, ["metrics.metrics=[frechat]"], ["frechat", "frechet"]),
        (None, ["split=tset"], ["split", "test"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_bad_images_are_named_not_skipped(genlab, folder, harm, words, parts):
    if harm is not None:
        harm(folder)
    code, _, err = genlab("evaluate", "images=images", "data=synthetic", "data.limit=128", *words)
    assert code == 2, err
    assert len(err.strip().splitlines()) <= 5
    assert "Traceback" not in err
    for part in parts:
        assert part in err


def test_images_are_drawn_in_every_form(trained, genlab, tmp_path):
    for out in ("grid.png", "array.npz", "folder"):
        assert genlab("sample", "run=tiny", "n=6", f"out={out}")[0] == 0
    with np.load(tmp_path / "array.npz") as array:
        assert array["images"].shape == (6, 8, 8, 1)
        drawn = array["images"][3, :, :, 0]
        assert json.loads(str(array["provenance"]))["run"] == "tiny"
    assert np.array_equal(np.asarray(Image.open(tmp_path / "folder" / "000003.png")), drawn)
    assert json.loads(Image.open(tmp_path / "grid.png").text["genlab"])["synthetic"] is True
    assert genlab("sample", "run=tiny", "n=6", "seed=1", "out=b.npz")[0] == 0
    with np.load(tmp_path / "b.npz") as other:
        assert not np.array_equal(other["images"][3, :, :, 0], drawn)
    assert genlab("sample", "run=tiny", "task=interpolate", "n=16", "out=walk.png")[0] == 0
    assert genlab("reconstruct", "run=tiny", "n=4", "out=pairs.png")[0] == 0
    assert np.asarray(Image.open(tmp_path / "pairs.png")).std() > 5


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["n=0"], ["n=0"]),
        (["temperature=0"], ["temperature"]),
        (["label=3"], ["label=3", "not conditional"]),
        (["task=complet"], ["task"]),
        (["checkpoint=worst"], ["checkpoint=worst"]),
        (["out=x.gif"], ["out=x.gif", ".png"]),
        (["device=gpu"], ["device=gpu"]),
    ],
)
def test_a_sample_that_cannot_be_drawn_is_one_line(trained, genlab, words, parts):
    if words == ["device=gpu"] and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    code, _, err = genlab("sample", "run=tiny", *words)
    assert code == 2, err
    for part in parts:
        assert part in err


def test_a_damaged_checkpoint_is_named(trained, genlab):
    file = trained / "checkpoints" / "best.ckpt"
    file.write_bytes(file.read_bytes()[:-100])
    code, _, err = genlab("sample", "run=tiny")
    assert code == 2
    assert "best.ckpt is damaged" in err
