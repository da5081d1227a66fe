"""A metric of the user's own: one .py and one YAML in a folder outside the package."""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from comparison.synthetic import make_run

from genlab.cli.entry import main
from genlab.comparison.ranking import blocks, choose_key
from genlab.comparison.reading import read_leaderboard
from genlab.metrics import suite
from genlab.metrics.base import FeatureMetric, Metric, Number
from genlab.metrics.real import Reference
from genlab.metrics.suite import Suite
from genlab.rng import stream
from genlab.system.paths import cache_dir

OWN = '''
from dataclasses import dataclass

import torch

from genlab.metrics.base import FeatureMetric, Metric, Number
from genlab.ranges import PositiveInt


@dataclass
class Sharpness(Metric):
    """Mean squared difference of pixels some steps apart: of the samples, beside real ones."""

    step: PositiveInt = 1
    numbers = (
        Number("sharpness", "higher", "squared difference of neighbours", "levels²"),
        Number("sharpness_gap", "lower", "its distance from that of real images", "levels²"),
    )

    def measure(self, samples, real):
        ours, theirs = self.of(samples), self.of(real.subset("train", len(samples)))
        return {"sharpness": ours, "sharpness_gap": abs(ours - theirs)}

    def of(self, x):
        return (x[..., self.step :].float() - x[..., : -self.step].float()).square().mean()


class Norm(FeatureMetric):
    """Mean length of the features."""

    numbers = (Number("norm", None, "length of the features"),)
    count = 60

    def measure(self, samples, real):
        return {"norm": samples.features.norm(dim=1).mean()}


class Liar(Metric):
    numbers = (Number("promised", "lower"),)

    def measure(self, samples, real):
        return {"given": 1.0}


class Thief(Norm):
    numbers = (Number("fd", "lower"),)


class Shouter(Norm):
    numbers = (Number("LOUD!", "lower"),)


class NoMetric:
    numbers = ()
'''

SUITE = """# The quick metrics, and how sharp samples are.
defaults: [quick]
metrics:
  - frechet
  - _target_: {folder}.sharp.Sharpness
    step: 2
  - _target_: {folder}.sharp.Norm
"""

TINY = ("model=vae_mlp", "model.hidden=16", "model.latent=4", "data=synthetic", "data.limit=128",
        "data.batch_size=16", "data.val_size=32", "trainer.chunk=2", "trainer.threads=1",
        "trainer.epochs=1", "closing.n_samples=100", "metrics.n_samples=80",
        "logger=none")  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Folder ``mine_N`` in the working directory: modules of one name would be one module here."""
    name = f"mine_{abs(hash(tmp_path))}"
    (tmp_path / name / "metrics").mkdir(parents=True)
    (tmp_path / name / "sharp.py").write_text(OWN)
    (tmp_path / name / "metrics/sharp.yaml").write_text(SUITE.format(folder=name))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # --config-dir appends to it
    return tmp_path / name


@pytest.fixture
def genlab(folder, capsys):
    def run(*words, own=True):
        capsys.readouterr()
        mine = ["--config-dir", folder.name] if own else []
        code = main([words[0], *mine, *words[1:]])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def own(folder):
    return f"trust=[{folder.name}]"


def report(run, name):
    (file,) = run.glob(f"evaluation/{name}-*.json")
    return {value["key"]: value for value in json.loads(file.read_text())["values"]}


def test_it_is_listed_trained_with_measured_beside_its_floor_and_ranked(genlab, folder, tmp_path):
    listed = json.loads(genlab("list", "metrics", "--json")[1])
    assert [e["promise"] for e in listed if e["name"] == "sharp"] == [
        "The quick metrics, and how sharp samples are."
    ]
    # along the way and at the end of two runs, one after the other
    for seed in (0, 1):
        words = (*TINY, "metrics=sharp", own(folder), f"name=r{seed}", f"seed={seed}")
        code, out, err = genlab("train", *words)
        assert code == 0, err
        assert "sharpness_100" in out
    lines = (tmp_path / "runs/r0/metrics.jsonl").read_text().splitlines()
    quick = json.loads(next(line for line in lines if "quick/sharpness_80" in line))
    assert {"quick/floor_sharpness_80", "quick/norm_pixels", "quick/fd_pixels_80"} <= set(quick)
    values = report(tmp_path / "runs/r0", "closing")
    mine = values["sharpness_100"]
    assert (mine["extractor"], mine["n"], mine["better"]) == ("", 100, "higher")
    assert mine["metric_id"] == f"{folder.name}.sharp.Sharpness(step=2)"
    assert mine["number"]["unit"] == "levels²"
    assert mine["floor"] > mine["value"]  # an untrained VAE's samples are smoother than noise
    assert mine["floor_n"] == 100
    # again, from the directory alone
    words = ("run=r0", "metrics=sharp", own(folder), "metrics.n_samples=100")
    code, _, err = genlab("evaluate", *words)
    assert code == 0, err
    assert report(tmp_path / "runs/r0", "sharp")["sharpness_100"]["value"] == mine["value"]
    # ranked by who does not have its code, and without torch
    shutil.rmtree(folder)
    code = (
        "import sys; from genlab.cli.entry import main\n"
        "code = main(sys.argv[1:]); assert 'torch' not in sys.modules; sys.exit(code)"
    )
    words = ["compare", "--runs", "--sort", "sharpness_100", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        check=True, capture_output=True, text=True, env=os.environ,
    )  # fmt: skip
    ranked = json.loads(done.stdout)
    assert [run["rank"] for run in ranked["runs"]] == [1, 2]
    best, second = (run["metrics"]["sharpness_100"] for run in ranked["runs"])
    assert best > second
    assert ranked["numbers"]["sharpness_100"]["better"] == "higher"
    assert ranked["runs"][0]["floors"]["sharpness_100"] == mine["floor"]


@pytest.fixture
def images(tmp_path):
    np.save(
        tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (90, 8, 8), np.uint8)
    )
    return ("evaluate", "images=images.npy", "data=synthetic", "data.limit=128")


def test_it_stands_by_its_target_next_to_the_names_on_the_command_line(genlab, folder, images):
    words = f"metrics.metrics=[frechet,{{_target_: {folder.name}.sharp.Sharpness, step: 3}}]"
    code, out, err = genlab(*images, words, own(folder))
    assert code == 0, err
    for key in ("fd_pixels_90", "sharpness_90", "sharpness_gap_90"):
        assert key in out


def test_the_recipe_of_the_documentation_works(genlab, folder, images, tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    section = text[text.index("## Your own metric") :]
    code = re.search(r"```python\n# mine/sharp.py\n(.*?)```", section, re.DOTALL)[1]
    suite = re.search(r"```yaml\n# mine/metrics/sharp.yaml\n(.*?)```", section, re.DOTALL)[1]
    (folder / "sharp.py").write_text(code)
    (folder / "metrics" / "sharp.yaml").write_text(suite.replace("mine.", f"{folder.name}."))
    count = "metrics.n_samples=null"  # which the quick metrics set
    code, out, err = genlab(*images, "metrics=sharp", count, own(folder))
    assert code == 0, err
    assert "sharpness_gap_90" in out


@pytest.mark.parametrize(
    ("metric", "parts"),
    [
        ("{_target_: FOLDER.sharp.Sharpnes}", ["metrics.metrics.1._target_", "Sharpness"]),
        ("{_target_: FOLDER.sharp.Sharpness, step: 0}", ["metrics.metrics.1.step=0", ">= 1"]),
        ("{_target_: FOLDER.sharp.Sharpness, stop: 1}", ["metrics.metrics.1.stop", "'step'"]),
        ("{_target_: FOLDER.sharp.NoMetric}", ["FOLDER.sharp.NoMetric is no Metric with numbers"]),
        ("{_target_: FOLDER.sharp.Thief}", ["a number called 'fd'", "names must differ"]),
        ("{_target_: FOLDER.sharp.Shouter}", ["a number called 'LOUD!'", "small letters"]),
        ("{_target_: FOLDER.sharp.Liar}", ["Liar.measure returned given", "promised to numbers"]),
    ],
)
def test_one_that_cannot_be_used_is_refused_in_one_line(genlab, folder, images, metric, parts):
    words = f"metrics.metrics=[frechet,{metric}]".replace("FOLDER", folder.name)
    code, _, err = genlab(*images, words, own(folder))
    assert code == 2, err
    (line,) = [line for line in err.strip().splitlines() if not line.startswith("genlab: warning")]
    for part in parts:
        assert part.replace("FOLDER", folder.name) in line


def test_code_that_is_not_trusted_is_not_run(genlab, folder, images):
    (folder / "sharp.py").write_text("raise SystemExit(9)\n" + OWN)
    words = f"metrics.metrics=[{{_target_: {folder.name}.sharp.Sharpness}}]"
    code, _, err = genlab(*images, words)
    assert code == 2
    assert f"add trust=[{folder.name}]" in err


# --- the object itself


def noise(n, generator=None, shape=(1, 8, 8)):
    generator = generator or torch.Generator().manual_seed(n)
    return torch.randint(0, 256, (n, *shape), generator=generator, dtype=torch.uint8)


class Mean(Metric):
    """Mean level."""

    numbers = (Number("mean", "higher", "mean level", "levels", rank=2),)

    def __init__(self, scale=1.0):
        self.scale = scale
        self.calls = []

    def measure(self, samples, real):
        self.calls.append(len(samples))
        return {"mean": self.scale * samples.float().mean()}


def test_a_metric_of_the_samples_themselves_needs_no_extractor(monkeypatch):
    monkeypatch.setattr(suite, "choose", lambda *a, **k: pytest.fail("no extractor is needed"))
    reference = Reference(noise(300), noise(200), "f" * 64, "noise")
    metric = Mean()
    made = Suite(metrics=[metric], n_samples=120, seeds=2)
    assert made.load_extractors("noise", (1, 8, 8)) == []
    assert made.keys([]) == ["mean_120"]
    report = made.run(noise, reference)
    value = report.value("mean_120")
    draws = [noise(120, stream(0, "evaluation", i)).float().mean() for i in range(2)]
    assert value.value == pytest.approx(float(sum(draws)) / 2, rel=1e-6)
    assert value.std == pytest.approx(float(torch.stack(draws).std()), rel=1e-4)
    assert value.floor == pytest.approx(127.5, abs=2)
    assert metric.calls == [120, 120, 120]
    # the floor is known to this process alone, and of these very parameters
    made.run(noise, reference)
    assert metric.calls == [120] * 5
    other = Mean(scale=0.5)
    found = Suite(metrics=[other], n_samples=120).run(noise, reference).value("mean_120")
    assert found.floor == pytest.approx(value.floor / 2)
    assert other.calls == [120, 120]
    assert not (cache_dir() / "floors").exists()


class Length(FeatureMetric):
    """Mean length of features."""

    numbers = (Number("length"),)

    def measure(self, samples, real):
        return {"length": samples.features.norm(dim=1).mean()}


def test_the_floor_of_somebody_elses_code_is_not_kept_on_disk():
    asked = {"extractors": ["pixels", "digits"], "n_samples": 120}
    shape = (1, 28, 28)
    reference = Reference(noise(300, shape=shape), noise(200, shape=shape), "f" * 64, "noise")
    report = Suite(metrics=[Length(), "vendi"], **asked).run(partial(noise, shape=shape), reference)
    floors = [report.value(f"length_{name}_120").floor for name in ("pixels", "digits")]
    assert floors[0] != floors[1]
    kept = [json.loads(file.read_text()) for file in (cache_dir() / "floors").iterdir()]
    assert [set(floor) for floor in kept] == [{"vendi"}, {"vendi"}]


def test_numbers_of_other_parameters_do_not_compare(tmp_path):
    reference = Reference(noise(300), noise(200), "f" * 64, "noise")
    for i, scale in enumerate((1.0, 1.0, 2.0)):
        report = Suite(metrics=[Mean(scale)], n_samples=100, seed=i).run(noise, reference)
        path = make_run(tmp_path, f"r{i}", settings={"model.width": i})
        file = path / "evaluation" / "closing-000080000.json"
        file.parent.mkdir()
        file.write_text(json.dumps({"created": "2026"} | report.to_dict()))
    board = read_leaderboard([tmp_path])
    assert choose_key(board, None) == "mean_100"
    first, second = blocks(board, "mean_100")
    assert sorted(row.name for row in first.rows) == ["r0", "r1"]
    assert [row.metrics["mean_100"].value for row in first.rows] == sorted(
        (row.metrics["mean_100"].value for row in first.rows), reverse=True
    )
    where = f"{Mean.__module__}.Mean"
    assert second.reason == f"other metric ({where}(scale=2.0), not {where}(scale=1.0))"
    assert board.number("mean_2k").text == "mean level (levels), higher is better"
