"""Runs and reports in the order of time, whatever the zone, the clock change and the name."""

import json

import pytest

from genlab.comparison.reading import read_leaderboard
from genlab.runs.directory import create_run, find_run, list_runs
from genlab.system.clock import moment, now

TIMES = {  # in their order: an hour that comes twice, another zone, another form
    "b": "2026-10-25T02:30:00+0200",
    "a": "2026-10-25T02:10:00+0100",
    "d": "2026-10-25T01:20:00+00:00",
    "c": "2026-10-24T20:30:00.250000-05:00",
}


def test_texts_are_compared_as_times():
    assert sorted(TIMES, key=lambda name: moment(TIMES[name])) == ["b", "a", "d", "c"]
    assert sorted(TIMES.values()) != [TIMES[name] for name in "badc"]
    assert moment(now()) > moment("2026-01-01T00:00:00+0000")
    for wrong in (None, "", "soon", 7):
        assert moment(wrong) == 0


def test_the_last_run_is_the_one_that_began_last(tmp_path):
    for name, created in TIMES.items():
        (tmp_path / name).mkdir()
        mark = {"created": created, "model": "vae", "data": "mnist", "seed": 0}
        (tmp_path / name / "run.json").write_text(json.dumps(mark))
    assert [run.name for run in list_runs(tmp_path)] == ["b", "a", "d", "c"]
    assert find_run("last", tmp_path).name == "c"
    assert [row.name for row in read_leaderboard([tmp_path]).rows] == ["b", "a", "d", "c"]


def test_runs_of_one_second_are_in_their_order(tmp_path):
    made = [create_run(tmp_path, None, "vae", "mnist", 0).name for _ in range(12)]
    assert [run.name for run in list_runs(tmp_path)] == made
    assert find_run("last", tmp_path).name == made[-1]


@pytest.mark.parametrize("n", [1, 3])
def test_a_folder_of_images_is_never_mixed(genlab, tmp_path, n):
    line = ("model=vae_mlp", "model.hidden=8", "model.latent=2", "data=synthetic", "logger=none")
    end = ("trainer.max_images=8", "trainer.epochs=null", "metrics=none", "closing.n_samples=8")
    assert genlab("train", *line, *end, "name=r")[0] == 0
    assert genlab("sample", "run=r", "n=4", "out=drawn")[0] == 0
    assert genlab("sample", "run=r", "n=4", "seed=1", "out=drawn")[0] == 0
    code, _, err = genlab("sample", "run=r", f"n={n}", "out=drawn")
    assert code == 2
    assert "out=drawn" in err
    assert f"none of these {n} images" in err
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 4


def test_samples_of_other_options_have_other_names(genlab, tmp_path):
    line = ("model=vae_mlp", "model.hidden=8", "model.latent=2", "data=synthetic", "logger=none")
    end = ("trainer.max_images=8", "trainer.epochs=null", "metrics=none", "closing.n_samples=8")
    assert genlab("train", *line, *end, "name=r")[0] == 0
    for more in ([], ["seed=1"], ["sampling.temperature=0.5"], ["temperature=0.7"]):
        assert genlab("sample", "run=r", "n=4", *more)[0] == 0
    assert len(list((tmp_path / "runs" / "r" / "sample").glob("*.png"))) == 4
