"""What is found below a place, and what is said of what cannot be read."""

import json

import pytest

from genlab.cli import entry as cli
from genlab.comparison.reading import find_runs, read_leaderboard

from .synthetic import make_run, make_sweep, value, write


def test_runs_are_found_wherever_they_are_and_once(tmp_path):
    make_run(tmp_path, "a", value("fd_digits", 1.0))
    make_run(tmp_path / "deep" / "er", "b", value("fd_digits", 1.0))
    make_run(tmp_path / "a" / "wandb", "inner", value("fd_digits", 1.0))  # no run of ours
    make_run(tmp_path, ".trackio", value("fd_digits", 1.0))
    assert [p.name for p in find_runs(tmp_path)] == ["a", "b"]
    found = read_leaderboard([tmp_path, tmp_path / "a", tmp_path / "deep"])
    assert sorted(row.name for row in found.rows) == ["a", "deep/er/b"]


def test_a_half_written_run_is_listed(tmp_path, capsys):
    make_run(tmp_path, "good", value("fd_digits", 1.0))
    for name, files in {
        "no-mark": ["run.json"],
        "new": ["summary.json", "metrics.jsonl", "environment.json"],
        "bare": ["summary.json", "metrics.jsonl", "config.yaml", "environment.json"],
    }.items():
        path = make_run(tmp_path, name, status="running", pictures=False)
        for file in files:
            (path / file).unlink()
    assert cli.main(["compare", str(tmp_path), "--runs"]) == 0
    out = capsys.readouterr().out
    assert f"damaged: {tmp_path / 'no-mark'}: half written: there is no run.json" in out
    assert f"not finished: {tmp_path / 'new'}: running" in out
    assert f"not finished: {tmp_path / 'bare'}: running" in out
    assert "2 without fd_digits" in out


def test_a_damaged_manifest_is_listed(tmp_path, capsys):
    job = (["model=vae"], "done", ([value("fd_digits", 1.0)], {}))
    sweep = make_sweep(tmp_path, "mine", [job])
    next((sweep / ".jobs").glob("*.json")).write_text("{")
    assert cli.main(["compare", str(sweep)]) == 0
    out = capsys.readouterr().out
    assert f"damaged: {sweep}: " in out
    assert "│ 1 │" in out  # its run is there all the same


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        (["bpd_elbo"], "elbo"),
        (["bpd_vlb"], "vlb"),
        (["bpd_iw64", "bpd_elbo", "bpd_iw1000"], "iw1000"),
        (["bpd_iw1000", "bpd_exact"], "exact"),
        (["nll_exact"], None),
    ],
)
def test_bits_per_dimension_are_the_tightest_and_say_which(tmp_path, capsys, keys, kind):
    numbers = [value(key, 2.0 + i, extractor="", floor=None) for i, key in enumerate(keys)]
    make_run(tmp_path, "a", *numbers)
    [row] = read_leaderboard([tmp_path]).rows
    if kind is None:
        assert "bpd" not in row.metrics
        return
    assert row.metrics["bpd"].kind == kind
    assert cli.main(["compare", str(tmp_path), "--sort", "bits/dim"]) == 0
    bound = "≤ " if kind != "exact" else ""
    shown = f"{bound}{2 + keys.index(f'bpd_{kind}')} {kind}"
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize(
    ("device", "machine", "said"),
    [
        ("cpu", {"threads": 1, "gpu": []}, "cpu (1 thread)"),
        ("cpu", {"threads": 8, "gpu": ["H100"]}, "cpu (8 threads)"),
        ("cuda:0", {"threads": 8, "gpu": ["NVIDIA H100"]}, "NVIDIA H100"),
        ("cuda:0", {}, "cuda:0"),
        (None, {}, None),
    ],
)
def test_the_device_is_named(tmp_path, device, machine, said):
    path = make_run(tmp_path, "a", value("fd_digits", 1.0))
    write(path / "summary.json", {"images_seen": 5, "device": device})
    write(path / "environment.json", machine)
    assert read_leaderboard([tmp_path]).rows[0].facts["device"] == said


def test_the_speed_of_another_device_is_none_of_the_run(tmp_path):
    path = make_run(tmp_path, "a", value("fd_digits", 1.0), samples_per_second=50.0)
    assert read_leaderboard([tmp_path]).rows[0].facts["samples_per_second"] == 50.0
    file = next(path.glob("evaluation/*.json"))
    write(file, json.loads(file.read_text()) | {"device": "cuda:0"})
    assert read_leaderboard([tmp_path]).rows[0].facts["samples_per_second"] is None


def test_an_empty_place_is_refused(tmp_path, capsys):
    assert cli.main(["compare", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "there are no runs; start with genlab train" in err
    assert err.count("\n") == 1


def test_an_estimate_has_its_own_sign_and_ranks_among_estimates_alone(tmp_path, capsys):
    numbers = {"exact": "bpd_exact", "bound": "bpd_elbo", "rbm": "bpd_ais", "dbn": "bpd_ais_iw100"}
    for i, (name, key) in enumerate(numbers.items()):
        make_run(tmp_path, name, value(key, 2.0 + i, extractor="", floor=None))
    assert cli.main(["compare", str(tmp_path), "--sort", "bits/dim", "--runs"]) == 0
    out = capsys.readouterr().out
    for shown in ("2 exact", "≤ 3 elbo", "≈ 4 ais", "≈ 5 ais_iw100", "≈ an estimate"):
        assert shown in out
    said = (
        "block 2 is not comparable with block 1 by bits/dim: other likelihood (estimate, not exact"
    )
    assert said in " ".join(out.split())
