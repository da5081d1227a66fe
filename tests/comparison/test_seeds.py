"""Runs that differ in the seed alone are one row: mean, deviation, and of how many."""

import json

import numpy as np
import pytest

from genlab.cli import entry as cli
from genlab.comparison.reading import read_leaderboard
from genlab.comparison.seeds import over_seeds

from .synthetic import make_run, make_sweep, value


def one(tmp_path):
    board = over_seeds(read_leaderboard([tmp_path]))
    assert len(board.rows) == 1
    return board.rows[0], board


def test_mean_and_deviation_are_those_of_numpy(tmp_path):
    numbers, seconds = [3.0, 4.5, 9.25], [100.0, 120.0, 170.0]
    for seed, (number, spent) in enumerate(zip(numbers, seconds, strict=True)):
        make_run(tmp_path, f"s{seed}", value("fd_digits", number), seed=seed, seconds=spent)
    row, board = one(tmp_path)
    found = row.metrics["fd_digits"]
    assert found.value == pytest.approx(np.mean(numbers), rel=1e-12)
    assert found.std == pytest.approx(np.std(numbers, ddof=1), rel=1e-12)
    assert (found.runs, row.facts["seed"], len(row.runs)) == (3, "0,1,2", 3)
    assert row.facts["train_seconds"] == pytest.approx(np.mean(seconds))
    assert board.notes == []


def test_a_setting_of_its_own_is_a_row_of_its_own(tmp_path):
    make_run(tmp_path, "a", value("fd_digits", 1.0), seed=0)
    make_run(tmp_path, "b", value("fd_digits", 2.0), seed=1, settings={"model.latent": 3})
    assert [row.name for row in over_seeds(read_leaderboard([tmp_path])).rows] == ["a", "b"]


def test_of_one_seed_the_newest_that_was_measured_counts(tmp_path):
    make_run(tmp_path, "old", value("fd_digits", 1.0), created="2026-01-01")
    make_run(tmp_path, "new", value("fd_digits", 2.0), created="2026-01-02")
    make_run(tmp_path, "running", created="2026-01-03", status="running")
    row, _ = one(tmp_path)
    assert row.name == "new"
    assert row.metrics["fd_digits"].value == 2.0
    assert row.metrics["fd_digits"].std is None


def test_numbers_that_do_not_compare_are_never_averaged(tmp_path):
    for seed, (number, n) in enumerate([(1.0, 10000), (3.0, 10000), (100.0, 5000)]):
        make_run(tmp_path, f"s{seed}", value("fd_digits", number, n=n), seed=seed)
    row, board = one(tmp_path)
    assert row.metrics["fd_digits"].value == 2.0
    assert row.metrics["fd_digits"].runs == 2
    assert board.notes == ["s0 +2: fd_digits is of 2 of 3 runs; the others were measured otherwise"]


def test_a_bound_and_an_exact_value_are_never_averaged(tmp_path):
    for seed, key in enumerate(["bpd_elbo", "bpd_iw1000", "bpd_iw1000"]):
        number = value(key, 1.0 + seed, extractor="", floor=None)
        make_run(tmp_path, f"s{seed}", number, seed=seed)
    row, _ = one(tmp_path)
    assert (row.metrics["bpd"].value, row.metrics["bpd"].kind) == (2.5, "iw1000")


def test_jobs_of_a_sweep_are_called_by_what_they_set(tmp_path, capsys):
    jobs = [
        (
            [f"model={model}", "data=mnist", f"seed={seed}", f"optimizer.lr={lr}"],
            "done",
            ([value("fd_digits", 10 * lr + seed)], {"model": model, "seed": seed,
             "settings": {"optimizer.lr": lr}}),
        )
        for model, lr in (("vae", 0.00231551737), ("gan", 0.5))
        for seed in (0, 1)
    ]  # fmt: skip
    jobs.append((["model=flow", "seed=0"], "failed", None))
    jobs.append((["model=pixelcnn", "seed=0"], "pending", None))
    sweep = make_sweep(tmp_path, "mine", jobs)
    assert cli.main(["compare", str(sweep), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    names = [row["name"] for row in found["runs"]]
    assert names == [
        "model=vae optimizer.lr=0.002316",
        "model=gan optimizer.lr=0.5",
    ]
    assert [row["runs"]["fd_digits"] for row in found["runs"]] == [2, 2]
    assert found["notes"] == [
        f"sweep {sweep}: 2 of 6 jobs are not done (1 failed, 1 pending); "
        f"genlab sweep resume {sweep}"
    ]
    assert cli.main(["compare", str(tmp_path), "--runs", "--json"]) == 0
    names = [row["name"] for row in json.loads(capsys.readouterr().out)["runs"]]
    assert len(set(names)) == 4
    assert all(name.startswith("mine: model=") for name in names)
