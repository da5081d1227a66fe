"""genlab detect: scores, flags, a row an image, a report that ranks, and what it refuses."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.cli.entry import main
from genlab.experiment.detector import FLOORS, SCORES, Detector
from genlab.experiment.odd_images import TRANSFORMED, odd_images
from genlab.experiment.trained import load_run
from genlab.models.autoregressive import Autoregressive
from genlab.runs.directory import Run
from genlab.types import Batch, ImageSpec

from .conftest import TINY

WORDS = [w for w in TINY if not w.startswith(("data.val_size", "data.limit", "closing", "model"))]
WORDS += ["data.val_size=80", "data.limit=400", "trainer.epochs=3", "closing.n_samples=64"]
LEARNT = [w for w in WORDS if not w.startswith("trainer.epochs")]
LEARNT += ["model=made", "trainer.epochs=15", "optimizer.lr=1e-2"]


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    """A tiny run with 80 validation images, which knows its data."""
    root = tmp_path_factory.mktemp("detect")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENLAB_CACHE", str(root / "cache"))
        assert main(["train", *LEARNT, f"root={root}", "name=r"]) == 0
    return root / "r"


@pytest.fixture
def run(trained_once, tmp_path):
    """A copy of it, among the runs of a test."""
    return Path(shutil.copytree(trained_once, tmp_path / "runs" / "r"))


def report(run):
    (file,) = (run / "applications" / "detect").glob("*.json")
    content = json.loads(file.read_text())
    return content, {value["key"]: value for value in content["values"]}


def test_noise_is_found_and_the_numbers_rank(genlab, run):
    code, out, err = genlab("detect", "run=r", "vs=[noise,mirrored]", "n=60", "alpha=0.1")
    assert code == 0, err
    _, values = report(run)
    assert values["auroc_nll_vs_noise"]["value"] == 1
    assert values["fpr95_nll_vs_noise"]["value"] == 0
    assert {f"auroc_{s}_vs_mirrored" for s in (*SCORES, *FLOORS)} <= set(values)
    assert values["flagged_residual_alpha0.1"]["value"] <= 0.3  # 40 calibrate, 60 are judged
    assert all(value["n"] == 60 for value in values.values())
    assert "100.0% of 60 of noise" in out
    code, out, err = genlab("compare", "runs", "--sort", "auroc_residual_vs_noise")
    assert code == 0, err
    assert "auroc_residual_vs_noise" in out


def test_a_folder_is_judged_image_by_image(genlab, run, tmp_path):
    loaded = load_run(Run(run))
    loaded.data.prepare_data()
    loaded.data.setup()
    folder = tmp_path / "pictures"
    folder.mkdir()
    spec = loaded.data.spec
    images = {"a_real": loaded.data.test.x[0] * (255 // (spec.levels - 1))}
    noise = torch.randint(256, spec.shape, generator=torch.Generator().manual_seed(0))
    images["b_noise"] = noise.to(torch.uint8)
    for name, x in images.items():
        Image.fromarray(x.permute(1, 2, 0).squeeze(-1).numpy()).save(folder / f"{name}.png")
    code, out, err = genlab("detect", "run=r", f"images={folder}", "n=30", "out=found", "score=nll")
    assert code == 0, err
    assert "1 of the 2 images in question" in out
    (table,) = (tmp_path / "found").glob("*.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    mine = {row["image"]: row for row in rows if row["set"] == "images"}
    assert [row["image"] for row in rows[:2]] == ["b_noise.png", "a_real.png"]  # the oddest first
    assert (mine["b_noise.png"]["flagged"], mine["a_real.png"]["flagged"]) == ("1", "0")
    assert float(mine["b_noise.png"]["p"]) == pytest.approx(1 / 41, rel=1e-5)
    assert len([row for row in rows if row["set"] == "normal"]) == 30
    (picture,) = (tmp_path / "found").glob("*.png")
    with Image.open(picture) as opened:
        assert len(np.unique(np.asarray(opened))) > 2
    assert not (run / "applications").exists()


def test_the_same_question_has_the_same_answer(genlab, run):
    for _ in range(2):
        assert genlab("detect", "run=r", "vs=[upside_down]", "n=20")[0] == 0
    assert len(list((run / "applications" / "detect").glob("*.csv"))) == 1
    assert genlab("detect", "run=r", "vs=[upside_down]", "n=21")[0] == 0
    assert len(list((run / "applications" / "detect").glob("*.csv"))) == 2


def test_scores_are_what_they_say(run):
    loaded = load_run(Run(run))
    loaded.data.prepare_data()
    loaded.data.setup()
    detector = Detector(loaded, samples=2)
    images = loaded.data.test.x[:7] * (255 // (loaded.data.spec.levels - 1))
    scores = detector(images)
    again = detector(images)
    assert all(torch.equal(scores[name], again[name]) for name in scores)
    torch.testing.assert_close(scores["nll"] + scores["png"], scores["complexity"])
    torch.testing.assert_close(scores["typical"], (scores["nll"] - detector.fitted.nll).abs())
    p = detector.p_values(scores)
    expected = [(1 + (detector.calibration >= s).sum()) / 41 for s in scores["residual"]]
    torch.testing.assert_close(p, torch.stack(expected).double())


def test_a_conditional_run_is_asked_for_all_classes(genlab, tmp_path):
    words = [*WORDS, "model=made", "model.conditional=true", "name=c"]
    code, _, err = genlab("train", *words)
    assert code == 0, err
    loaded = load_run(Run(tmp_path / "runs" / "c"))
    loaded.data.prepare_data()
    loaded.data.setup()
    x = loaded.data.test.x[:5]
    detector = Detector(loaded)
    images = x * (255 // (loaded.data.spec.levels - 1))
    each = [
        loaded.model.log_prob(Batch(x, torch.full((5,), y))).double()
        for y in range(loaded.model.num_classes)
    ]
    mean = torch.stack(each).exp().mean(0).log()
    torch.testing.assert_close(-detector(images)["nll"], mean, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("flat", [False, True])
def test_nats_of_pixels_add_up(flat):
    class Plain(Autoregressive):
        def __init__(self, spec):
            super().__init__(spec, flat=flat)
            from genlab.nn.heads.base import Categorical

            self.head = Categorical(self.canvas)
            self.scale = torch.nn.Parameter(torch.ones(()))
            self.network = lambda x, context: (
                x.mean(1, keepdim=True).expand(-1, self.head.channels, -1, -1)
                * torch.linspace(-1, 1, self.head.channels).view(1, -1, 1, 1)
            )

    spec = ImageSpec(3 if flat else 1, 4, 5, 4)
    model = Plain(spec)
    x = torch.randint(4, (3, *spec.shape), generator=torch.Generator().manual_seed(0)).byte()
    nats = model.pixel_log_prob(Batch(x, None))
    assert nats.shape == (3, 4, 5)
    torch.testing.assert_close(nats.sum((1, 2)), model.log_prob(Batch(x, None)))


def test_sets_that_are_made(run):
    own = torch.randint(256, (6, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
    spec = ImageSpec(1, 8, 8, 256)
    made = {name: odd_images(name, own, spec, 4, 0) for name in TRANSFORMED}
    assert {tuple(x.shape) for x in made.values()} == {(4, 1, 8, 8)}
    assert torch.equal(made["mirrored"].flip(3), own[:4])
    assert torch.equal(made["negative"], 255 - own[:4])
    assert made["constant"].flatten(1).float().std(1).max() == 0
    assert not torch.equal(odd_images("noise", own, spec, 4, 1), made["noise"])


MISTAKES = [
    (["run=r"], ["images=FOLDER", "vs=["]),
    (["run=r", "vs=[mirored]"], ["vs=mirored", "did you mean 'mirrored'"]),
    (["run=r", "vs=[folder]"], ["vs=folder", "data.path", "name the folder"]),
    (["run=r", "vs=[mnist]"], ["vs=mnist", "1x28x28", "1x8x8"]),
    (["run=r", "vs=[noise]", "alpha=0.001"], ["alpha=0.001", "999", "40"]),
    (["run=r", "vs=[noise]", "alpha=1"], ["alpha=1"]),
    (["run=r", "vs=[noise]", "score=png"], ["score=png", "residual"]),
    (["run=r", "images=nothing"], ["images=nothing", "no such"]),
]


def test_mistakes_are_one_line(genlab, run):
    for words, parts in MISTAKES:
        code, _, err = genlab("detect", *words)
        assert code == 2, (words, err)
        assert len(err.strip().splitlines()) == 1, err
        for part in parts:
            assert part in err, (words, err)


def test_a_model_without_likelihood_or_a_run_without_validation_says_so(genlab):
    assert genlab("train", *WORDS, "model=gan_mlp", "name=g")[0] == 0
    code, _, err = genlab("detect", "run=g", "vs=[noise]")
    assert code == 2
    assert "has no likelihood to detect by" in err
    words = [word for word in WORDS if not word.startswith("data.val_size")]
    assert genlab("train", *words, "model=made", "data.val_size=4", "name=v")[0] == 0
    code, _, err = genlab("detect", "run=v", "vs=[noise]")
    assert code == 2
    assert "has 4 validation images" in err
