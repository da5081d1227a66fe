"""The leaderboard in files: nothing is lost, and nothing in a name is a command."""

import csv
import io
import json

import pytest

from genlab.cli import entry as cli
from genlab.comparison.columns import columns
from genlab.comparison.reading import read_leaderboard
from genlab.comparison.table import fitting

from .synthetic import make_run, value


@pytest.fixture
def runs(tmp_path):
    root = tmp_path / "runs"
    for seed in (0, 1):
        make_run(root, f"a{seed}", value("fd_digits", 1.0 + seed), value("recall_digits", 0.5,
            better="higher"), seed=seed, samples_per_second=100.0)  # fmt: skip
    make_run(root, "b|<i>*x*", value("fd_digits", 9.0, n=500), model="gan",
        settings={"model.latent": 7})  # fmt: skip
    return root


def test_csv_holds_every_number_and_every_difference(runs, tmp_path, capsys):
    file = tmp_path / "x.csv"
    assert cli.main(["compare", str(runs), "--csv", str(file)]) == 0
    assert "a0 +1" in capsys.readouterr().out
    first, second = csv.DictReader(io.StringIO(file.read_text()))
    assert (first["name"], first["runs"], first["seed"]) == ("a0 +1", "2", "0,1")
    assert float(first["fd_digits"]) == 1.5
    assert float(first["fd_digits_std"]) == pytest.approx(0.5**0.5)
    assert (first["fd_digits_runs"], first["fd_digits_floor"]) == ("2", "0.07")
    assert (first["rank"], first["comparable"]) == ("1", "yes")
    assert float(first["samples_per_second"]) == 100
    assert second["comparable"] == "other images (500, not 10,000)"
    assert (second["config.model.latent"], first["config.model.latent"]) == ("7", "")
    assert (second["recall_digits"], second["device"]) == ("", "cpu (1 thread)")
    assert cli.main(["compare", str(runs), "--csv", "-"]) == 0
    assert capsys.readouterr().out == file.read_text()


def test_markdown_is_a_table_whatever_the_names(runs, capsys):
    assert cli.main(["compare", str(runs), "--markdown", "--diff"]) == 0
    out = capsys.readouterr().out
    assert r"b\|&lt;i&gt;\*x\*" in out
    assert "<i>" not in out
    tables = [part.splitlines() for part in out.split("\n\n") if part.startswith("|")]
    assert len(tables) == 3
    for table in tables:
        cells = {line.replace(r"\|", "").count("|") for line in table}
        assert len(cells) == 1
    assert "1.5 ± 0.71 (0.07)" in out
    assert "Not comparable: other images (500, not 10,000)" in out


def test_json_is_strict_and_tells_differences(runs, capsys):
    make_run(runs, "n", value("fd_digits", "nan"), settings={"model.latent": 8})
    assert cli.main(["compare", str(runs), "--json", "--diff"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    configs = {row["name"]: row["config"].get("model.latent") for row in found["runs"]}
    assert configs == {"a0 +1": None, "b|<i>*x*": 7, "n": 8}
    assert found["runs"][0]["std"]["fd_digits"] == pytest.approx(0.5**0.5)
    assert len(found["runs"][0]["runs_of"]) == 2


@pytest.mark.parametrize("option", ["--csv", "--html"])
def test_a_file_that_cannot_be_written_is_refused(runs, tmp_path, capsys, plotting, option):
    for name in ("none/x", "."):
        assert cli.main(["compare", str(runs), option, str(tmp_path / name)]) == 2
        err = capsys.readouterr().err.strip()
        assert option in err
        assert "\n" not in err


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 200])
def test_a_terminal_is_never_too_narrow(runs, width):
    board = read_leaderboard([runs])
    found = columns(board, "fd_digits")
    kept = fitting(found, board, width)
    texts = [[c.title, *(c.text(row) for row in board.rows)] for c in kept]
    used = 8 + sum(3 + max(map(len, column)) for column in texts)
    assert used <= width or len(kept) == 2
    assert [c.title for c in kept[:1]] == ["configuration"]
    assert "fd_digits" in [c.title for c in kept]
    assert len(kept) == len(found) or width < 200


def test_differences_are_shown_in_the_terminal(runs, capsys):
    assert cli.main(["compare", str(runs), "--diff"]) == 0
    out = capsys.readouterr().out
    assert "model.latent" in out
    assert "optimizer.lr" not in out
    assert cli.main(["compare", str(runs), "--where", "model=vae", "--diff"]) == 0
    assert "differ in nothing but the seed" in capsys.readouterr().out
