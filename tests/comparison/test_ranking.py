"""What is ranked with what, and what nothing beats."""

import itertools
import json
import random

import pytest

from genlab.cli import entry as cli
from genlab.commands import compare
from genlab.comparison.ranking import blocks, front, front_keys
from genlab.comparison.reading import read_leaderboard
from genlab.errors import ConfigError

from .synthetic import make_run, value


def test_a_front_is_what_no_enumeration_beats(tmp_path):
    noise = random.Random(5)
    points = {}
    for i in range(40):
        fd, prec, seconds = noise.randrange(9), noise.randrange(9) / 10, float(noise.randrange(9))
        numbers = value("fd_digits", fd), value("prec_digits", prec, better="higher")
        make_run(tmp_path, f"r{i:02}", *numbers, seconds=seconds, pictures=False)
        points[f"r{i:02}"] = (fd, -prec, seconds)
    board = read_leaderboard([tmp_path])
    for size in (2, 3):
        for chosen in itertools.permutations(range(3), size):
            names = [["fd_digits", "prec_digits", "seconds"][i] for i in chosen]
            best = {
                a
                for a, p in points.items()
                if not any(
                    all(q[i] <= p[i] for i in chosen) and any(q[i] < p[i] for i in chosen)
                    for q in points.values()
                )
            }
            found = {row.name for row in front(board, front_keys(board, ",".join(names)))}
            assert found == best


def test_what_does_not_compare_beats_nothing(tmp_path):
    make_run(tmp_path, "a", value("fd_digits", 5.0), seconds=50.0)
    make_run(tmp_path, "b", value("fd_digits", 1.0, n=500), seconds=10.0)
    board = read_leaderboard([tmp_path])
    assert {r.name for r in front(board, front_keys(board, "fd_digits,seconds"))} == {"a", "b"}


def test_nan_is_the_last_and_on_no_front(tmp_path):
    for name, number in (("a", "nan"), ("b", 3.0), ("c", "nan"), ("d", 1.0), ("e", "inf")):
        make_run(tmp_path, name, value("fd_digits", number), seconds=1.0)
    board = read_leaderboard([tmp_path])
    assert [row.name for row in blocks(board, "fd_digits")[0].rows] == ["d", "b", "e", "a", "c"]
    assert {r.name for r in front(board, ["fd_digits", "train_seconds"])} == {"d"}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("fd_digits", "names 1 metric; two or more are needed"),
        ("fd_digits,fd_digits", "names 1 metric"),
        (",", "names 0 metric"),
        ("fd_digits,second", "no run has it; did you mean 'seconds'?"),
        ("fd_digits,samples/s", "no run has it"),
        ("fd_digits,nn_ratio_digits", "neither less nor more of it is better"),
    ],
)
def test_a_front_that_makes_no_sense_is_refused(tmp_path, capsys, asked, message):
    make_run(tmp_path, "a", value("fd_digits", 1.0), value("nn_ratio_digits", 1.0, better=None))
    assert cli.main(["compare", str(tmp_path), "--pareto", asked]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_quality_is_held_against_the_evaluations_of_a_sample(tmp_path, capsys):
    make_run(tmp_path, "slow", value("fd_digits", 1.0))
    make_run(tmp_path, "quick", value("fd_digits", 2.0))
    make_run(tmp_path, "worse", value("fd_digits", 3.0))
    for name, nfe in (("slow", 784), ("quick", 1), ("worse", 8)):
        [file] = (tmp_path / name / "evaluation").glob("*.json")
        file.write_text(json.dumps(json.loads(file.read_text()) | {"nfe": nfe}))
    words = ["--runs", "--json", "--pareto", "fd_digits,nfe"]
    assert cli.main(["compare", str(tmp_path), *words]) == 0
    rows = json.loads(capsys.readouterr().out)["runs"]
    assert {row["name"]: row["nfe"] for row in rows} == {"slow": 784, "quick": 1}


def test_a_front_is_shown_alone(tmp_path, capsys):
    make_run(tmp_path, "slow", value("fd_digits", 1.0), seconds=100.0)
    make_run(tmp_path, "quick", value("fd_digits", 2.0), seconds=10.0)
    make_run(tmp_path, "worse", value("fd_digits", 3.0), seconds=20.0)
    assert cli.main(["compare", str(tmp_path), "--runs", "--pareto", "fd_digits,seconds"]) == 0
    out = capsys.readouterr().out
    assert "Pareto front of fd_digits, seconds: 2 of 3 configurations" in out
    assert "worse" not in out
    words = ["--runs", "--json", "--pareto", "seconds,fd_digits"]
    assert cli.main(["compare", str(tmp_path), *words]) == 0
    assert [r["name"] for r in json.loads(capsys.readouterr().out)["runs"]] == ["quick", "slow"]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"data": "fashion"}, "other data (fashion, not mnist)"),
        ({"n": 5000}, "other images (5,000, not 10,000)"),
        ({"split": "test"}, "other split (test, not train)"),
        ({"extractor": "pixels"}, "other extractor (pixels-hash, not digits-hash)"),
    ],
)
def test_the_reason_says_what_differs(tmp_path, capsys, other, reason):
    data = other.pop("data", "mnist")
    make_run(tmp_path, "a", value("fd_digits", 5.0), settings={"model.latent": 1})
    make_run(tmp_path, "b", value("fd_digits", 6.0), settings={"model.latent": 2})
    make_run(tmp_path, "c", value("fd_digits", 1.0, **other), data=data)
    found = blocks(read_leaderboard([tmp_path]), "fd_digits")
    assert [[row.name for row in block.rows] for block in found] == [["a", "b"], ["c"]]
    assert [block.reason for block in found] == ["", reason]
    assert cli.main(["compare", str(tmp_path)]) == 0
    assert f"not comparable with block 1 by fd_digits: {reason}" in capsys.readouterr().out


def test_facts_rank_within_a_data_set_by_their_own_direction(tmp_path):
    make_run(tmp_path, "a", value("fd_digits", 1.0), samples_per_second=10.0)
    make_run(tmp_path, "b", value("fd_digits", 1.0), samples_per_second=1000.0)
    make_run(tmp_path, "c", value("fd_digits", 1.0), samples_per_second=9000.0, data="fashion")
    found = blocks(read_leaderboard([tmp_path]), "samples_per_second")
    assert [[row.name for row in block.rows] for block in found] == [["b", "a"], ["c"]]


def test_a_metric_without_a_direction_ranks_nothing(tmp_path):
    make_run(tmp_path, "a", value("nn_ratio_digits", 1.0, better=None))
    assert [block.ranked for block in blocks(read_leaderboard([tmp_path]), "nn_ratio_digits")] == [
        False
    ]


def test_a_metric_that_no_run_has_is_refused(tmp_path):
    make_run(tmp_path, "a", value("fd_digits", 1.0))
    with pytest.raises(ConfigError, match="--sort fid: no run has it"):
        compare.run([str(tmp_path), "--sort", "fid"])
