"""genlab sample: the ways through codes, films, and completion."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from commands.conftest import TINY
from genlab.errors import ConfigError
from genlab.tasks.inpaint import COLUMNS, GREY, kept_pixels
from genlab.tasks.latent import STEPS, slerp


def test_slerp_keeps_the_radius_and_meets_both_ends():
    a, b = torch.randn(2, 3, 50)
    a, b = (torch.nn.functional.normalize(z, dim=1) for z in (a, b))
    assert_close(slerp(a, b, 0.0), a)
    assert_close(slerp(a, b, 1.0), b)
    for weight in (0.25, 0.5, 0.9):
        between = slerp(a, b, weight)
        assert_close(between.norm(dim=1), torch.ones(3))
        angle = torch.acos((a * b).sum(1))
        assert_close(torch.acos((a * between).sum(1)), weight * angle, rtol=1e-4, atol=1e-4)


def test_slerp_of_codes_in_one_direction_is_straight():
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    b = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    assert_close(slerp(a, b, 0.5), torch.tensor([[1.0, 0.0], [2.0, 0.0]]))
    shaped = slerp(torch.ones(1, 2, 2, 2), 2 * torch.ones(1, 2, 2, 2), 0.25)
    assert_close(shaped, torch.full((1, 2, 2, 2), 1.25))


@pytest.mark.parametrize(("keep", "known"), [(0.5, 14), (0.3, 7), (0.01, 0), (1, 1), (27, 27)])
def test_what_is_kept(keep, known):
    assert kept_pixels(keep, 4, 7) == known


@pytest.mark.parametrize("keep", [28, 1.5, math.inf])
def test_what_cannot_be_kept(keep):
    with pytest.raises((ConfigError, OverflowError)):
        kept_pixels(keep, 4, 7)


def frames_of(path):
    with Image.open(path) as film:
        found = []
        for i in range(film.n_frames):
            film.seek(i)
            found.append(np.asarray(film.convert("L")))
        return film.info, np.stack(found)


def test_a_walk_is_a_film_that_runs_for_ever(trained, genlab, tmp_path):
    words = ("run=tiny", "task=walk", "n=4", "frames=8")
    assert genlab("sample", *words, "out=a.gif")[0] == 0
    info, frames = frames_of(tmp_path / "a.gif")
    assert len(frames) == 8
    assert info["loop"] == 0
    assert b'"synthetic": true' in info["comment"]
    assert all(not np.array_equal(a, b) for a, b in zip(frames, np.roll(frames, 1, 0), strict=True))
    assert genlab("sample", *words, "out=b.gif")[0] == 0
    assert np.array_equal(frames_of(tmp_path / "b.gif")[1], frames)
    code, _, err = genlab("sample", *words, "out=a.png")
    assert code == 2
    assert ".gif" in err


@pytest.fixture
def drawing(genlab, tmp_path):
    """A run of a model that draws pixel by pixel, of p(x | y)."""
    words = [w for w in TINY if not w.startswith("model")]
    code, _, err = genlab(
        "train", *words, "model=pixelcnn_tiny", "model.conditional=true",
        "trainer.epochs=1", "name=pixels",
    )  # fmt: skip
    assert code == 0, err
    return tmp_path / "runs" / "pixels"


def test_completion_keeps_the_upper_part_of_test_images(drawing, genlab, tmp_path):
    words = ("run=pixels", "task=complete", "keep=0.5", f"n={2 * COLUMNS}", "out=c.npz")
    code, _, err = genlab("sample", *words)
    assert code == 0, err
    with np.load(tmp_path / "c.npz") as file:
        images = file["images"][..., 0].reshape(2, COLUMNS, 8, 8)
    kept, drawn, whole = images[:, :1], images[:, 1:-1], images[:, -1:]
    assert (kept[:, :, 4:] == GREY).all()
    for part in (kept, drawn):
        assert (part[:, :, :4] == whole[:, :, :4]).all()
    assert len({image.tobytes() for image in drawn[0]}) > 1
    assert len(np.unique(whole)) > 2


def test_labels_are_drawn_in_turn_and_films_row_by_row(drawing, genlab, tmp_path):
    code, _, err = genlab("sample", "run=pixels", "n=5", "label=[1, 0]", "out=l.npz")
    assert code == 0, err
    code, _, err = genlab("sample", "run=pixels", "n=4", "gif=true", "out=rows.gif")
    assert code == 0, err
    _, frames = frames_of(tmp_path / "rows.gif")
    assert frames.shape[0] == 8
    lower = frames[3, 2 + 4 : 2 + 8, 2:10]
    assert (lower == lower[0, 0]).all()  # rows that were not drawn yet
    for word, part in (("label=99", "label=99"), ("label=[]", "label")):
        code, _, err = genlab("sample", "run=pixels", word)
        assert code == 2
        assert part in err


def test_labels_by_name(genlab, tmp_path):
    """Class names lie in the run, and a class is drawn by its number or its name."""
    for k in range(12):
        (tmp_path / "p" / f"k{k}").mkdir(parents=True)
        for i in range(15):
            Image.new("L", (8, 8), 20 * k + i).save(tmp_path / "p" / f"k{k}" / f"{i}.png")
    code, _, err = genlab(
        *["train", "model=cvae", "data=folder", "data.path=p", "data.size=8", "data.channels=1"],
        *["data.batch_size=8", "trainer.max_images=16", "metrics=none", "closing.n_samples=8"],
        *["logger=none", "callbacks=none", "name=named"],
    )
    assert code == 0, err
    run = json.loads((tmp_path / "runs" / "named" / "run.json").read_text())
    assert run["classes"] == [f"k{k}" for k in range(12)]
    assert run["images"] == {"train": 146, "val": 16, "test": 18}
    drawn = []
    for label in ("label=k10", "label=10", "label=[k10, 10]"):
        code, out, err = genlab("sample", "run=named", label, "n=4", "out=x.npz")
        assert code == 0, err
        assert "label 10 is class k10" in out or label == "label=k10"
        with np.load(tmp_path / "x.npz") as file:
            drawn.append(file["images"])
    assert (drawn[0] == drawn[1]).all()
    assert (drawn[0] == drawn[2]).all()
    code, _, err = genlab("sample", "run=named", "label=k99")
    assert code == 2
    assert "label=k99: the classes are k0, k1" in err


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["task=complete"], ["task=complete", "VAE", "pixelcnn"]),
        (["gif=true"], ["gif=true", "task=walk"]),
        (["gif=true", "task=interpolate"], ["gif=true", "interpolate"]),
        (["task=walk", "out=a"], ["out=a", ".gif"]),
        (["keep=0"], ["keep"]),
        (["frames=0"], ["frames"]),
    ],
)
def test_what_this_run_cannot_do_is_one_line(trained, genlab, words, parts):
    code, _, err = genlab("sample", "run=tiny", *words)
    assert code == 2, err
    assert len(err.strip().splitlines()) <= 5
    for part in parts:
        assert part in err


def test_rows_from_code_to_code(trained, genlab, tmp_path):
    assert genlab("sample", "run=tiny", "task=interpolate", f"n={2 * STEPS}", "out=i.npz")[0] == 0
    with np.load(tmp_path / "i.npz") as file:
        assert file["images"].shape == (2 * STEPS, 8, 8, 1)
