"""A race that trains: tiny models on synthetic images, its jobs done in this process.

What a worker's process adds (a lifeline, death and its reason) is tested in test_workers.py.
"""

import json
import subprocess
import sys
import time

import pytest
import torch

from genlab.comparison.report.race_page import make_race_page
from genlab.launch.race_run import misfits_of
from genlab.launch.race_training import JobRunner
from genlab.racing.directory_of_race import RaceDirectory, find_race
from genlab.racing.halving import Race
from genlab.racing.jobs_of_race import Outcome, items_of
from genlab.racing.journal import Journal
from genlab.racing.race_settings import Budget, RaceConfig, RaceRecord
from genlab.training.saving.checkpoint_io import read_checkpoint
from racing.fake import decisions

TINY = ("data=synthetic", "data.limit=128", "data.batch_size=16", "data.val_size=32")
CANDIDATES = {
    "vae": ["model=vae_mlp", "model.hidden=16", "model.latent=4"],
    "small": ["model=vae_mlp", "model.hidden=4", "model.latent=2"],
    "gan": ["model=gan_mlp"],
}


class Here:
    """Does the jobs in this process, up to a number of them."""

    def __init__(self, root, most=1000):
        self.run, self.most = JobRunner(root, None), most

    def __call__(self, jobs):
        for job in jobs:
            if not self.most:
                raise KeyboardInterrupt
            self.most -= 1
            try:
                yield Outcome(job, self.run(job))
            except Exception as error:
                yield Outcome(job, failed=str(error))


def record(tmp_path, budget="9000images", **settings):
    known = {
        "objective": "fd", "eta": 2, "finalists": 2, "seeds": 2, "samples": 64, "least": 64,
        "profile": 0.1, "common": ["scheduler=constant", "callbacks=none", "logger=none"],
        "candidates": {name: {"overrides": words} for name, words in CANDIDATES.items()},
    }  # fmt: skip
    amount = Budget(float(budget.removesuffix("images")), "images")
    return RaceRecord(RaceConfig.of(known | settings), amount, TINY, folder=str(tmp_path))


def raced(place, most=1000):
    asked = place.record()
    journal = Journal(place.journal)
    race = Race(asked, journal, Here(place.path, most), None, lambda d: items_of(place.path / d))
    return race.run(misfits_of(asked)), journal


def said(place):
    """What was decided and measured, whichever worker came first."""
    keys = ("event", "candidate", "seed", "rung", "value", "kept")
    lines = decisions(Journal(place.journal))
    return sorted(json.dumps([line.get(key) for key in keys]) for line in lines)


@pytest.fixture
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("_folder")
def test_a_race_is_the_same_again_and_its_runs_are_those_that_never_stopped(tmp_path):
    from genlab.api import compare, train

    place = RaceDirectory.create(tmp_path / "runs", "race", record(tmp_path), ["genlab", "race"])
    verdict, journal = raced(place)
    assert verdict.winner in CANDIDATES
    # The same seed and budget in images: the same bracket, bit for bit; interrupted, too
    again = RaceDirectory.create(tmp_path / "runs", "again", record(tmp_path), ["genlab", "race"])
    with pytest.raises(KeyboardInterrupt):
        raced(again, most=6)
    assert raced(again)[0] == verdict
    timed = ("overhead", "seconds", "images_per_second", "memory", "reason")
    journals = [decisions(Journal(p.journal)) for p in (place, again)]
    first, second = (
        [{k: v for k, v in line.items() if k not in timed} for line in lines] for lines in journals
    )
    assert first == second
    # A run that went on from rung to rung is one that never stopped
    line = journal.last("measured", candidate=verdict.winner, seed=0)
    words = CANDIDATES[verdict.winner]
    train(
        *TINY, *words, "scheduler=constant", "callbacks=none", "logger=none", "name=whole",
        f"trainer.max_images={line['images_seen']}", "closing.n_samples=64", "metrics=none",
        "trainer.threads=1", "trainer.progress=false",
    )  # fmt: skip
    runs = [tmp_path / "runs" / "whole", place.path / f"{verdict.winner}-s0"]
    a, b = (read_checkpoint(run / "checkpoints" / "last.ckpt") for run in runs)
    for part in (lambda c: c["state_dict"], lambda c: c["genlab"]["ema"]):
        assert part(a).keys() == part(b).keys()
        for name, tensor in part(a).items():
            torch.testing.assert_close(part(b)[name], tensor, rtol=0, atol=0)
    # Its seeds are one setting on the leaderboard
    board = compare(place.path).board
    assert sorted(len(row.runs) for row in board.rows) == [1, 2, 2]
    # The page: verdict, every candidate, the command, nothing from elsewhere
    page = make_race_page(find_race("race", tmp_path / "runs"))
    assert all(name in page for name in CANDIDATES)
    assert f"genlab train run=runs/race/{verdict.winner}-s0" in page
    assert page.count("data:image/png;base64") == 3
    assert "<script" not in page
    assert "http:" not in page
    assert "https:" not in page


@pytest.mark.slow
@pytest.mark.usefixtures("_folder")
def test_a_likelihood_decides_among_those_that_have_one(tmp_path):
    asked = record(tmp_path, objective="bpd", samples=32)
    place = RaceDirectory.create(tmp_path / "runs", "race", asked, ["genlab", "race"])
    verdict, journal = raced(place)
    out = journal.all("out", candidate="gan")
    assert "has no likelihood, so no bpd" in out[0]["reason"]
    items = items_of(place.path / f"{verdict.winner}-s1")
    line = journal.last("measured", candidate=verdict.winner, seed=1)
    assert len(items) == 32
    assert line["value"] == pytest.approx(sum(items) / 32)


@pytest.mark.slow
@pytest.mark.usefixtures("_folder")
def test_an_objective_that_the_data_cannot_have_names_those_that_it_can(tmp_path):
    asked = record(tmp_path, objective="fd_digits")
    place = RaceDirectory.create(tmp_path / "runs", "race", asked, ["genlab", "race"])
    with pytest.raises(Exception, match=r"digits.*trained on images of shape"):
        raced(place)
    asked = record(tmp_path, objective="beauty")
    place = RaceDirectory.create(tmp_path / "runs", "other", asked, ["genlab", "race"])
    with pytest.raises(Exception, match=r"objective=beauty: this data has fd_pixels.*bpd, nll"):
        raced(place)
    assert json.loads((place.path / "race.json").read_text())["seed"] == 0


@pytest.mark.slow
@pytest.mark.usefixtures("_folder")
def test_a_race_that_was_killed_comes_to_the_same_end(tmp_path):
    asked = record(tmp_path, "30000images")
    for name in ("whole", "killed"):
        RaceDirectory.create(tmp_path / "runs", name, asked, ["genlab", "race"])
    raced(find_race("whole", tmp_path / "runs"))
    resume = [sys.executable, "-m", "genlab", "race", "resume", "runs/killed"]
    with subprocess.Popen(resume, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:  # in the middle of a run that goes on
            if "measured" in line:
                time.sleep(0.5)
                process.kill()
                break
    place = find_race("killed", tmp_path / "runs")
    assert not Journal(place.journal).all("verdict")
    done = subprocess.run(resume, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second = (said(find_race(name, tmp_path / "runs")) for name in ("whole", "killed"))
    assert first == second
    assert (place.path / "race.html").stat().st_size > 10_000
