"""Runs whose data moved, changed, or are named from another working directory."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from genlab import load
from genlab.experiment.spec_record import recorded_spec, spec_record
from genlab.types import ImageSpec, LabelSpec, SequenceSpec, VectorSpec

QUICK = (
    "trainer.max_images=64", "trainer.epochs=null", "metrics=none", "closing.n_samples=8",
    "logger=none", "trainer.threads=1", "trainer.progress=false", "model.hidden=16",
    "model.latent=4",
)  # fmt: skip
FOLDER = ("model=vae_mlp", "data=folder", "data.size=8", "data.batch_size=8")


def pictures(folder, n, value=None, seed=0):
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        x = draw.integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(x if value is None else np.full_like(x, value)).save(folder / f"{i}.png")


@pytest.fixture
def trained(genlab, tmp_path):
    """A run of two classes of pictures below ``pics``."""
    for seed, name in enumerate("ab"):
        pictures(tmp_path / "pics" / name, 60, seed=seed)
    code, _, err = genlab("train", *FOLDER, "data.path=pics", *QUICK, "name=r")
    assert code == 0, err
    return tmp_path / "runs" / "r"


def record(run):
    return json.loads((run / "run.json").read_text())


def test_a_run_is_drawn_from_and_exported_without_its_data(genlab, tmp_path, trained):
    shutil.rmtree(tmp_path / "pics")
    code, _, err = genlab("sample", "run=r", "n=4", "out=a.npz")
    assert code == 0, err
    code, _, err = genlab("sample", "run=r", "task=walk", "n=2", "frames=2")
    assert code == 0, err
    code, _, err = genlab("export", "run=r", "out=exported")
    assert code == 0, err
    assert load(trained).sample(2).x.shape == (2, 3, 8, 8)
    # The export is a start where the data never were.
    other = ("model=vae_mlp", "data=synthetic", "data.size=8", "data.channels=3")
    start = [word for word in QUICK if not word.startswith("trainer.max")]
    code, out, err = genlab("train", *other, *start, "trainer.max_images=8", "init_from=exported")
    assert code == 0, err
    assert "init_from" in out


def test_another_working_directory_finds_them(genlab, tmp_path, trained, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = "run=../runs/r"
    assert genlab("sample", run, "n=2")[0] == 0
    few = ("metrics=quick", "metrics.n_samples=20", "metrics.extractors=[pixels]")
    code, _, err = genlab("evaluate", run, *few)
    assert code == 0, err
    code, _, err = genlab("train", run, "trainer.max_images=128")
    assert code == 0, err
    assert record(trained)["images_seen"] == 128


def test_another_place_is_taken_and_verified(genlab, tmp_path, trained):
    (tmp_path / "pics").rename(tmp_path / "moved")
    few = ("metrics=quick", "metrics.n_samples=20", "metrics.extractors=[pixels]")
    before = record(trained)["fingerprint"]
    code, _, err = genlab("evaluate", "run=r", *few)
    assert code == 2
    assert "data.path" in err
    for line in (
        ("evaluate", "run=r", *few, "data.path=moved"),
        ("reconstruct", "run=r", "data.path=moved"),
        ("train", "run=r", "trainer.max_images=128", "data.path=moved"),
    ):
        code, _, err = genlab(*line)
        assert code == 0, err
    assert record(trained)["fingerprint"] == before
    assert record(trained)["images_seen"] == 128
    # Other pictures in that place are refused.
    pictures(tmp_path / "other" / "a", 60, seed=7)
    pictures(tmp_path / "other" / "b", 60, seed=8)
    for line in (
        ("evaluate", "run=r", *few, "data.path=other"),
        ("reconstruct", "run=r", "data.path=other"),
        ("train", "run=r", "trainer.max_images=192", "data.path=other"),
    ):
        code, _, err = genlab(*line)
        assert code == 2
        assert "its data have changed since it began" in err
        assert "init_from=" in err


def test_a_class_that_was_added_is_refused_on_resume(genlab, tmp_path, trained):
    before = record(trained)
    pictures(tmp_path / "pics" / "c", 30, value=200)
    code, _, err = genlab("train", "run=r", "trainer.max_images=128")
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert "class c is new" in err
    assert record(trained) == before
    # To evaluate is no more than a warning: the report has the new fingerprint.
    few = ("metrics=quick", "metrics.n_samples=20", "metrics.extractors=[pixels]")
    code, _, err = genlab("evaluate", "run=r", *few)
    assert code == 0
    assert "class c is new" in err


def test_what_is_no_place_is_refused(genlab, trained):
    code, _, err = genlab("evaluate", "run=r", "metrics=none", "data.root=there")
    assert code == 2
    assert "data.root=there" in err
    code, _, err = genlab("evaluate", "run=r", "metrics=none", "data.limit=10")
    assert code == 2
    assert "data.limit=10" in err


@pytest.mark.parametrize(
    "spec",
    [
        ImageSpec(3, 8, 9, levels=4, num_classes=5),
        ImageSpec(1, 8, 8, condition=ImageSpec(3, 8, 8)),
        SequenceSpec(16, levels=30, unit="character", condition=LabelSpec(2)),
        VectorSpec(2),
    ],
)
def test_a_spec_is_kept_as_json(spec):
    assert recorded_spec(json.loads(json.dumps(spec_record(spec)))) == spec


def test_a_spec_of_somebody_elses_is_not_kept():
    class Molecules(VectorSpec):
        pass

    assert spec_record(Molecules(3)) is None
    assert recorded_spec(None) is None
    assert recorded_spec({"kind": "molecules"}) is None
