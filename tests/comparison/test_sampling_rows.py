"""A run's numbers of another way of sampling: a row of their own, never averaged with others."""

import csv
import io
import json

import numpy as np
import pytest

from genlab.cli import entry as cli
from genlab.comparison.reading import read_leaderboard
from genlab.comparison.seeds import named, over_seeds

from .synthetic import make_run, make_sweep, value


def evaluate(run, number, sampling, created="2026-01-02", **facts):
    """An evaluation report of a run whose samples were drawn another way."""
    file = next(run.glob("evaluation/closing-*.json"))
    report = json.loads(file.read_text()) | {"values": [value("fd_digits", number)]}
    report |= {"name": "full", "format": 3, "created": created, "sampling": sampling, **facts}
    stem = "-".join(f"{k}{v!r}" for k, v in sampling.items()) or "plain"
    (run / "evaluation" / f"full-{stem}-{created}.json").write_text(json.dumps(report))


def rows(tmp_path, *words):
    """The rows that the command prints, by their names."""
    from contextlib import redirect_stdout

    with redirect_stdout(io.StringIO()) as out:
        assert cli.main(["compare", str(tmp_path), "--json", *words]) == 0
    return {row["name"]: row for row in json.loads(out.getvalue())["runs"]}


@pytest.fixture
def runs(tmp_path):
    """A setting under two seeds, each measured with three ways of sampling, and another setting."""
    for seed, number in enumerate((10.0, 12.0)):
        run = make_run(tmp_path, f"s{seed}", value("fd_digits", number), seed=seed,
            samples_per_second=100.0)  # fmt: skip
        evaluate(run, number - 4, {"temperature": 0.8}, samples_per_second=50.0)
        evaluate(run, number + 7, {"temperature": 0.5, "steps": 3})
    make_run(tmp_path, "other", value("fd_digits", 9.5), settings={"model.latent": 3})
    return tmp_path


def test_each_way_is_a_row_that_is_averaged_with_its_like(runs):
    found = rows(runs)
    means = {name: row["metrics"]["fd_digits"] for name, row in found.items()}
    assert means == {
        "s0 +1 [temperature=0.8]": 7.0,
        "other": 9.5,
        "s0 +1": 11.0,
        "s0 +1 [steps=3 temperature=0.5]": 18.0,
    }
    assert list(found) == list(means)  # the best first, all of them in one block
    assert {row["block"] for row in found.values()} == {1}
    tempered = found["s0 +1 [temperature=0.8]"]
    assert tempered["std"]["fd_digits"] == pytest.approx(np.std([6.0, 8.0], ddof=1))
    assert tempered["runs"] == {"fd_digits": 2}
    assert tempered["sampling"] == {"temperature": 0.8}
    assert (tempered["samples_per_second"], found["s0 +1"]["samples_per_second"]) == (50.0, 100.0)
    assert found["s0 +1"]["sampling"] == {}
    assert found["s0 +1"]["runs_of"] == tempered["runs_of"]


def test_without_averages_each_run_has_its_rows(runs):
    found = rows(runs, "--runs")
    assert {name: row["metrics"]["fd_digits"] for name, row in found.items()} == {
        "s0 [temperature=0.8]": 6.0,
        "s1 [temperature=0.8]": 8.0,
        "other": 9.5,
        "s0": 10.0,
        "s1": 12.0,
        "s0 [steps=3 temperature=0.5]": 17.0,
        "s1 [steps=3 temperature=0.5]": 19.0,
    }


def test_a_number_that_one_seed_has_only_is_of_that_seed(tmp_path):
    for seed in (0, 1):
        run = make_run(tmp_path, f"s{seed}", value("fd_digits", 10.0), seed=seed)
    evaluate(run, 5.0, {"temperature": 0.8})
    board = over_seeds(read_leaderboard([tmp_path]))
    [row] = [row for row in board.rows if row.sampling]
    assert row.name == "s1 [temperature=0.8]"
    assert (row.metrics["fd_digits"].value, row.metrics["fd_digits"].std) == (5.0, None)
    assert board.notes == []


def test_runs_without_a_config_have_their_rows_too(tmp_path):
    run = make_run(tmp_path, "a", value("fd_digits", 10.0))
    evaluate(run, 5.0, {"temperature": 0.8})
    (run / "config.yaml").unlink()
    names = {row.name for row in over_seeds(read_leaderboard([tmp_path])).rows}
    assert names == {"a", "a [temperature=0.8]"}


def test_reports_that_say_nothing_are_of_the_defaults(tmp_path):
    run = make_run(tmp_path, "a", value("fd_digits", 10.0))  # its report is of format 1
    evaluate(run, 5.0, {})
    [row] = read_leaderboard([tmp_path]).rows
    assert (row.name, row.metrics["fd_digits"].value) == ("a", 5.0)


def test_the_newest_report_of_a_way_counts(tmp_path):
    run = make_run(tmp_path, "a", value("fd_digits", 10.0))
    evaluate(run, 6.0, {"temperature": 0.8}, created="2026-01-03")
    evaluate(run, 5.0, {"temperature": 0.8}, created="2026-01-02")
    assert rows(tmp_path)["a [temperature=0.8]"]["metrics"] == {"fd_digits": 6.0}


def test_options_that_print_alike_are_not_one_way(tmp_path):
    run = make_run(tmp_path, "a", value("fd_digits", 10.0))
    evaluate(run, 6.0, {"steps": 1})
    evaluate(run, 5.0, {"steps": "1"})
    assert len(over_seeds(read_leaderboard([tmp_path])).rows) == 3


def test_where_diff_and_csv_know_the_options(runs, capsys):
    assert set(rows(runs, "--where", "sampling.temperature=0.8")) == {"s0 +1 [temperature=0.8]"}
    found = rows(runs, "--diff")
    assert found["s0 +1 [temperature=0.8]"]["config"] == {
        "sampling.temperature": 0.8,
    }
    assert cli.main(["compare", str(runs), "--csv", "-"]) == 0
    table = {row["name"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert table["s0 +1 [temperature=0.8]"]["config.sampling.temperature"] == "0.8"
    assert table["s0 +1"]["config.sampling.temperature"] == ""


def test_a_damaged_way_is_told(tmp_path, capsys):
    make_run(tmp_path, "good", value("fd_digits", 10.0))
    run = make_run(tmp_path, "a", value("fd_digits", 10.0))
    evaluate(run, 5.0, {"temperature": 0.8})
    file = next(run.glob("evaluation/full-*.json"))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"sampling": 3}))
    assert cli.main(["compare", str(tmp_path)]) == 0
    assert f"damaged: {run}" in capsys.readouterr().out


def test_text_markdown_and_page_name_each_way(runs, capsys, monkeypatch):
    monkeypatch.setattr("genlab.comparison.report.page.library", lambda: "")
    for words in ([], ["--markdown"]):
        assert cli.main(["compare", str(runs), *words]) == 0
        assert "s0 +1 [temperature=0.8]" in capsys.readouterr().out.replace("\\", "")
    page = runs / "page.html"
    assert cli.main(["compare", str(runs), "--html", str(page)]) == 0
    text = page.read_text()
    start = text.index('<script type="application/json" id="data">')
    assert "s0 +1 [temperature=0.8]" in text[:start]
    data = json.JSONDecoder().raw_decode(text[start:].partition(">")[2])[0]
    names = [config["name"] for config in data["configs"]]
    assert names.count("s0 +1 [temperature=0.8]") == 1
    # A run's curves are drawn once, for the row of the defaults.
    drawn = [names[curve["config"]] for curve in data["curves"]["quick/fd_digits_2k"]]
    assert sorted(drawn) == ["other", "s0 +1", "s0 +1"]
    assert "3 runs · " in text


def test_an_unfinished_run_is_told_once(tmp_path, capsys):
    run = make_run(tmp_path, "a", value("fd_digits", 10.0), status="stopped")
    evaluate(run, 5.0, {"temperature": 0.8})
    assert cli.main(["compare", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("not finished") == 1


def test_jobs_of_a_sweep_are_called_by_what_they_set_and_how_they_were_drawn(tmp_path):
    jobs = [
        ([f"model={model}", f"seed={seed}"], "done",
         ([value("fd_digits", 10.0 + seed)], {"model": model, "seed": seed}))
        for model in ("vae", "gan") for seed in (0, 1)
    ]  # fmt: skip
    sweep = make_sweep(tmp_path, "mine", jobs)
    for run in sorted(path.parent for path in sweep.glob("*/run.json")):
        if json.loads((run / "run.json").read_text())["model"] == "vae":
            evaluate(run, 5.0, {"temperature": 0.8})
    board = named(over_seeds(read_leaderboard([sweep])))
    assert {row.name for row in board.rows} == {
        "model=vae",
        "model=vae [temperature=0.8]",
        "model=gan",
    }
    single = named(over_seeds(read_leaderboard([tmp_path])))
    assert "mine: model=vae [temperature=0.8]" in {row.name for row in single.rows}
