"""Options of sampling: declared by a family, checked before weights are read, and written down."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from commands.conftest import TINY
from genlab.config.sampling import build_options, check_options
from genlab.errors import ConfigError
from genlab.experiment.trained import load_run
from genlab.models.vae import VAE
from genlab.ranges import PositiveInt
from genlab.runs.directory import Run
from genlab.types import ImageSpec, SamplingOptions, Tempered

FAMILY = '''
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from genlab.models.base import GenerativeModel
from genlab.ranges import PositiveInt
from genlab.types import Loss, SamplingOptions


@dataclass(frozen=True)
class Steps(SamplingOptions):
    steps: PositiveInt = 3
    sampler: Literal["euler", "heun"] = "euler"


class Grey(GenerativeModel):
    """All pixels as bright as there were steps."""

    sampling_options = Steps
    draws_in_steps = True

    def __init__(self, spec):
        super().__init__(spec)
        self.level = nn.Parameter(torch.zeros(()))

    def loss(self, batch, player="model"):
        return Loss((self.level - batch.x.float().mean()).square(), {})

    def draw(self, n, y, generator, options):
        x = torch.zeros(n, *self.spec.shape, dtype=torch.uint8)
        for step in range(options.steps):
            x += 1
            self.report_progress(step + 1, options.steps, x)
        return x
'''


@dataclass(frozen=True)
class Steps(SamplingOptions):
    steps: PositiveInt | None = 3


def test_a_record_is_built_of_a_plain_mapping():
    assert build_options(Tempered(), {"temperature": 0.5}) == Tempered(0.5)
    assert build_options(Tempered(), {}) == Tempered(1.0)
    assert build_options(Steps(), {"steps": None}).steps is None


@pytest.mark.parametrize(
    ("record", "given", "line"),
    [
        (Tempered, {"temprature": 1}, "sampling.temprature=1: unknown key 'temprature'; did you "
         "mean 'temperature'? sampling takes temperature"),
        (Tempered, {"steps": 1}, "sampling.steps=1: unknown key 'steps'; sampling takes"),
        (Tempered, {"temperature": 0}, "sampling.temperature=0: a number > 0 is needed"),
        (Tempered, {"temperature": "hot"}, "sampling.temperature=hot: a number > 0 is needed"),
        (Steps, {"steps": 2.0}, "sampling.steps=2.0: an integer >= 1 or null is needed; write 2"),
    ],
)  # fmt: skip
def test_what_a_record_does_not_take_is_one_line(record, given, line):
    with pytest.raises(ConfigError) as caught:
        build_options(record(), given)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigError) as caught:
        check_options("genlab.models.vae.VAE", {"steps": 3, "temperature": -1})
    assert len(str(caught.value).splitlines()) == 2
    check_options("genlab.models.vae.VAE", {"temperature": 0.5})
    check_options("no.such.Family", {"anything": 1})  # the family's record is asked later


def test_a_record_refuses_what_is_out_of_its_range_by_itself():
    for record in (lambda: Tempered(0.0), lambda: Tempered(-1), lambda: Steps(0)):
        with pytest.raises(ConfigError, match="must be >"):
            record()


def test_a_family_takes_no_record_of_anothers():
    model = VAE(ImageSpec(1, 2, 2), network="mlp", hidden=4, latent=2)
    with pytest.raises(ConfigError, match="VAE draws with Tempered, not Steps"):
        model.sample(1, options=Steps())
    with pytest.raises(ConfigError, match="VAE draws with Tempered, not Steps"):
        model.latent(1, options=Steps())


@pytest.fixture
def grey(genlab, tmp_path, monkeypatch):
    """A run of a family whose sampling has options of its own, and no temperature."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "greyed/model").mkdir(parents=True)
    (tmp_path / "greyed/greyness.py").write_text(FAMILY)
    (tmp_path / "greyed/model/grey.yaml").write_text("# Grey.\n_target_: greyed.greyness.Grey\n")
    tiny = [word for word in TINY if not word.startswith("model")]
    own = ("--config-dir", "greyed", "model=grey", "trust=[greyed]")
    code, _, err = genlab("train", *own, *tiny, "trainer.epochs=1", "name=grey")
    assert code == 0, err

    def run(*words, command="sample"):
        n = ["n=4"] if command == "sample" else []
        return genlab(command, "run=grey", "trust=[greyed]", *n, *words)

    return run


def drawn(path):
    with np.load(path) as file:
        return int(file["images"].max()), json.loads(str(file["provenance"]))["sampling"]


def test_a_familys_own_options_are_taken_checked_and_written_down(grey, tmp_path):
    assert grey("out=a.npz")[0] == 0
    assert drawn(tmp_path / "a.npz") == (3, {"steps": 3, "sampler": "euler"})
    assert grey("out=b.npz", "sampling.steps=7", "sampling.sampler=heun")[0] == 0
    assert drawn(tmp_path / "b.npz") == (7, {"steps": 7, "sampler": "heun"})
    assert grey("out=c.npz", "sampling={steps: 2}")[0] == 0
    assert drawn(tmp_path / "c.npz")[0] == 2
    assert grey("gif=true", "out=d.gif", "sampling.steps=5")[0] == 0

    checkpoint = tmp_path / "runs/grey/checkpoints/best.ckpt"
    checkpoint.write_bytes(b"")  # what is wrong is said before weights are read
    for words, line in (
        (["sampling.stepz=7"], "sampling.stepz=7: unknown key 'stepz'; did you mean 'steps'?"),
        (["sampling.steps=0"], "sampling.steps=0: an integer >= 1 is needed"),
        (["sampling.sampler=hoin"], "sampling.sampler=hoin: one of euler, heun is needed"),
        (
            ["temperature=0.5"],
            "sampling.temperature=0.5: unknown key 'temperature'; sampling takes steps, sampler",
        ),
    ):
        code, _, err = grey(*words)
        assert code == 2
        assert line in err, err


def test_several_values_are_a_curve_of_quality_against_evaluations(grey, tmp_path):
    code, out, err = grey("sampling.steps=2,3,5", *FEW, command="evaluate")
    assert code == 0, err
    folder = tmp_path / "runs" / "grey" / "evaluation"
    found = [json.loads(file.read_text()) for file in folder.glob("full-*.json")]
    ways = [report["sampling"] for report in found]
    assert sorted(ways, key=str) == [{"steps": 2}, {"steps": 5}, {}]  # 3 is the default
    assert {report["nfe"] for report in found} == {1}  # as it says of itself
    lines = [line.split() for line in out.splitlines()]
    start = lines.index(["steps", "nfe", "fd_pixels_100", "samples/s"])
    rows = [line for line in lines[start + 2 :] if line][:4]
    assert [row[0] for row in rows] == ["2", "3", "5", "floor"]
    of_steps = {report["sampling"].get("steps", 3): report["values"][0] for report in found}
    for row in rows[:3]:
        assert float(row[2]) == pytest.approx(of_steps[int(row[0])]["value"], rel=1e-3)
    assert float(rows[3][1]) == pytest.approx(of_steps[2]["floor"], rel=1e-3)
    code, _, err = grey("sampling.steps=2,0", *FEW, command="evaluate")
    assert code == 2
    assert "sampling.steps=0: an integer >= 1 is needed" in err


FEW = ("metrics.extractors=[pixels]", "metrics.metrics=[frechet]", "metrics.n_samples=100")


def test_an_evaluation_with_other_options_is_a_report_and_a_row_of_its_own(grey, genlab, tmp_path):
    folder = tmp_path / "runs" / "grey"
    before = {name: (folder / name).read_text() for name in ("summary.json", "metrics.jsonl")}

    def reports():
        found = [json.loads(file.read_text()) for file in folder.glob("evaluation/full-*.json")]
        return {report["sampling"].get("steps", 3): report for report in found}

    for words in (["sampling.steps=7"], ["sampling={steps: 9, sampler: euler}"]):
        code, out, err = grey(*words, *FEW, command="evaluate")
        assert code == 0, err
        assert "steps" in out
    assert {steps: report["sampling"] for steps, report in reports().items()} == {
        7: {"steps": 7},
        9: {"steps": 9},
    }
    # The run's own numbers stay those of the defaults.
    assert {name: (folder / name).read_text() for name in before} == before
    assert grey("sampling.steps=3", *FEW, command="evaluate")[0] == 0
    assert {steps: report["sampling"] for steps, report in reports().items()}[3] == {}
    # All images are as bright as there were steps: the distance is known.
    data = load_run(Run(folder)).data
    data.prepare_data()
    data.setup()
    levels = data.spec.levels
    real = data.train.x.flatten(1).double().numpy() / (levels - 1)
    for steps, report in reports().items():
        shift = np.square(real.mean(0) - steps / (levels - 1)).sum()
        expected = shift + real.var(0, ddof=1).sum()
        [found] = [v["value"] for v in report["values"] if v["key"] == "fd_pixels_100"]
        assert found == pytest.approx(expected, rel=1e-3)
    code, out, err = genlab("compare", "runs", "--json", "--sort", "fd_pixels_100")
    assert code == 0, err
    found = {row["name"]: row["metrics"]["fd_pixels_100"] for row in json.loads(out)["runs"]}
    assert found == {
        f"grey{label}": next(
            v["value"] for v in reports()[steps]["values"] if v["key"] == "fd_pixels_100"
        )
        for label, steps in (("", 3), (" [steps=7]", 7), (" [steps=9]", 9))
    }

    (folder / "checkpoints" / "best.ckpt").write_bytes(b"")  # wrong options come before weights
    for words, line in (
        (["sampling.stepz=7"], "sampling.stepz=7: unknown key 'stepz'; did you mean 'steps'?"),
        (["sampling.steps=0"], "sampling.steps=0: an integer >= 1 is needed"),
    ):
        code, _, err = grey(*words, *FEW, command="evaluate")
        assert (code, err.count("\n")) == (2, 1)
        assert line in err


def test_options_for_somebody_elses_images_are_refused(genlab):
    code, _, err = genlab("evaluate", "images=x", "data=synthetic", "sampling.temperature=0.5")
    assert (code, err.count("\n")) == (2, 1)
    assert "sampling: somebody else's images are there already" in err


def test_the_old_name_of_the_temperature_is_the_option(trained, genlab, tmp_path):
    images = []
    for word in ("temperature=0.5", "sampling.temperature=0.5", "seed=0"):
        assert genlab("sample", "run=tiny", "n=4", "out=x.npz", word)[0] == 0
        with np.load(tmp_path / "x.npz") as file:
            images.append(file["images"])
    assert np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])
    assert drawn(tmp_path / "x.npz")[1] == {"temperature": 1.0}
    code, _, err = genlab("sample", "run=tiny", "temperature=0.5", "sampling.temperature=0.6")
    assert code == 2
    assert "temperature=0.5 and sampling.temperature=0.6 are the same option" in err
