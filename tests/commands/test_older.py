"""A run and an exported model of the code before the rooms were rebuilt are read as they were.

``tests/older`` was made with genlab 0.1.0 at commit 5bca815: a VAE of 8 hidden units, 128 images.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from genlab.experiment.trained import load_run
from genlab.rng import stream
from genlab.runs.directory import Run

OLDER = Path(__file__).parents[1] / "older"


@pytest.fixture
def old(tmp_path):
    """A copy of the run, where the command looks for runs."""
    return Path(shutil.copytree(OLDER / "run", tmp_path / "runs" / "old"))


def test_an_older_run_draws_what_it_drew(old):
    """From one stream for all, as that code drew; by now each image has a stream of its own."""
    loaded = load_run(Run(old))
    x = loaded.modality.display(loaded.model.sample(16, generator=stream(0, "samples")))
    with np.load(OLDER / "samples.npz") as file:
        same = file["images"] == x.permute(0, 2, 3, 1).numpy()
    assert same.mean() > 0.99  # all of them on the machine that made it; others round otherwise


def test_an_older_run_is_evaluated_compared_and_resumed(old, genlab, tmp_path):
    before = json.loads((old / "summary.json").read_text())
    few = ("metrics.extractors=[pixels]", "metrics.metrics=[frechet]", "metrics.n_samples=100")
    code, _, err = genlab("evaluate", "run=old", *few)
    assert code == 0, err
    code, out, err = genlab("compare", "runs")
    assert code == 0, err
    assert "old" in out
    code, _, err = genlab("train", "run=old", "trainer.epochs=3")
    assert code == 0, err
    after = json.loads((old / "summary.json").read_text())
    assert (before["images_seen"], after["images_seen"]) == (128, 192)


def test_an_older_run_and_a_new_one_of_its_setting_are_one_row(old, genlab):
    words = json.loads((old / "run.json").read_text())["command"][2:]
    kept = [word for word in words if not word.startswith(("logger", "name", "closing.n"))]
    for name, n in (("new", 100), ("other", 99)):
        changed = ["logger=none", "seed=1", f"name={name}", f"closing.n_samples={n}"]
        code, _, err = genlab("train", *kept, *changed)
        assert code == 0, err
    code, out, err = genlab("compare", "runs", "--json")
    assert code == 0, err
    rows = {row["name"]: row for row in json.loads(out)["runs"]}
    assert rows.keys() == {"old +1", "other"}
    assert [Path(path).name for path in rows["old +1"]["runs_of"]] == ["old", "new"]
    reports = [file for name in ("old", "new") for file in old.parent.glob(f"{name}/evaluation/*")]
    values = [
        {value["key"]: value["value"] for value in json.loads(file.read_text())["values"]}
        for file in reports
    ]
    for key in ("fd_pixels_100", "nll_elbo_16"):
        mean = sum(value[key] for value in values) / 2
        assert rows["old +1"]["metrics"][key] == pytest.approx(mean, rel=1e-12)


def test_an_older_export_is_a_start(genlab, tmp_path):
    words = ["model=vae_mlp", "model.hidden=8", "model.latent=2", "data=synthetic"]
    small = ["data.limit=64", "data.levels=4", "data.batch_size=8", "data.val_size=16"]
    end = ["trainer.epochs=1", "logger=none", "closing.n_samples=100", "callbacks.samples=null"]
    metrics = ["metrics.extractors=[pixels]", "metrics.metrics=[frechet]", "metrics.n_samples=100"]
    start = f"init_from={OLDER / 'export'}"
    code, out, err = genlab("train", *words, *small, *end, *metrics, start)
    assert code == 0, err
    assert "init_from" in out
