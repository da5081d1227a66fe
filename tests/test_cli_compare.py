"""genlab compare ranks only what compares, and says what it could not read."""

import json
import subprocess
import sys

import pytest
from comparison.synthetic import make_run
from comparison.synthetic import value as full

from genlab.cli import entry as cli
from genlab.comparison.ranking import blocks, choose_key
from genlab.comparison.reading import read_leaderboard
from genlab.errors import ConfigError


def value(key, number, n=10000, extractor="e", better="lower", floor=0.5):
    return {
        "key": key,
        "value": number,
        "better": better,
        "n": n,
        "split": "test",
        "floor": floor,
        "extractor": "digits",
        "extractor_id": extractor,
    }


def make(root, name, *values, data="d", created="2026-01-01", **facts):
    folder = root / name
    (folder / "evaluation").mkdir(parents=True, exist_ok=True)
    identity = {"created": "2026", "model": "vae", "data": "mnist", "seed": 0, "fingerprint": data}
    (folder / "run.json").write_text(json.dumps(identity))
    (folder / "summary.json").write_text(json.dumps({"images_seen": 10, **facts}))
    report = {"created": created, "fingerprint": data, "values": list(values)}
    (folder / "evaluation" / f"{created}.json").write_text(json.dumps(report))
    return folder


def names(block):
    return [row.path.name for row in block.rows]


def test_equals_are_ranked_best_first(tmp_path):
    make(tmp_path, "b", value("fd_digits", 2.0))
    make(tmp_path, "a", value("fd_digits", 3.0))
    make(tmp_path, "c", value("fd_digits", 1.0))
    board = read_leaderboard([tmp_path])
    assert [names(block) for block in blocks(board, "fd_digits")] == [["c", "b", "a"]]


def test_higher_can_be_better(tmp_path):
    make(tmp_path, "a", value("is", 2.0, better="higher"))
    make(tmp_path, "b", value("is", 9.0, better="higher"))
    assert [names(b) for b in blocks(read_leaderboard([tmp_path]), "is")] == [["b", "a"]]


@pytest.mark.parametrize(
    "other", [{"data": "x"}, {"n": 5000}, {"extractor": "x"}], ids=["data", "images", "extractor"]
)
def test_what_differs_in_kind_is_never_ranked_together(tmp_path, capsys, other):
    make(tmp_path, "a", value("fd_digits", 2.0))
    make(tmp_path, "b", value("fd_digits", 3.0))
    data = other.pop("data", "d")
    make(tmp_path, "c", value("fd_digits", 1.0, **other), data=data)
    found = blocks(read_leaderboard([tmp_path]), "fd_digits")
    assert [names(block) for block in found] == [["a", "b"], ["c"]]
    assert cli.main(["compare", str(tmp_path)]) == 0
    assert "block 2 is not comparable with block 1" in capsys.readouterr().out


def test_the_newest_report_counts(tmp_path):
    make(tmp_path, "a", value("fd_digits", 2.0), created="2026-01-01")
    make(tmp_path, "a", value("fd_digits", 1.0), created="2026-01-02")
    assert read_leaderboard([tmp_path]).rows[0].metrics["fd_digits"].value == 1.0


def test_damaged_runs_are_listed_and_fail_nothing(tmp_path, capsys):
    make(tmp_path, "good", value("fd_digits", 2.0))
    (make(tmp_path, "cut", value("fd_digits", 1.0)) / "summary.json").write_text('{"images')
    (make(tmp_path, "odd", value("fd_digits", 1.0)) / "evaluation/x.json").write_text("[]")
    make(tmp_path, "words", value("fd_digits", 1.0), images_seen="many")
    (make(tmp_path, "binary", value("fd_digits", 1.0)) / "run.json").write_bytes(b"\xff\x00")
    assert cli.main(["compare", str(tmp_path), "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert [row["run"] for row in out["runs"]] == [str(tmp_path / "good")]
    assert len(out["damaged"]) == 4
    assert cli.main(["compare", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("\ndamaged: ") == 4


def test_a_run_without_an_evaluation_is_shown_without_a_rank(tmp_path, capsys):
    make(tmp_path, "a", value("fd_digits", 2.0))
    make(tmp_path, "b")
    assert cli.main(["compare", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "1 without fd_digits" in out
    assert cli.main(["compare", str(tmp_path), "--json"]) == 0
    ranks = {r["run"][-1]: r["rank"] for r in json.loads(capsys.readouterr().out)["runs"]}
    assert ranks == {"a": 1, "b": None}


def test_runs_of_a_sweep_are_told_apart(tmp_path, capsys):
    for sweep in ("first", "second"):
        make(tmp_path / sweep, "0", value("fd_digits", 2.0))
    assert cli.main(["compare", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "first/0" in out
    assert "second/0" in out


def test_floors_stand_beside_values(tmp_path, capsys):
    make(tmp_path, "a", value("fd_digits", 2.25, floor=0.125))
    assert cli.main(["compare", str(tmp_path)]) == 0
    assert "2.25 (0.125)" in capsys.readouterr().out


def test_the_key_is_chosen_or_refused_by_name(tmp_path, capsys):
    make(tmp_path, "a", value("nll", 2.0), value("fd_digits", 1.0))
    board = read_leaderboard([tmp_path])
    assert choose_key(board, None) == "fd_digits"
    assert choose_key(board, "nll") == "nll"
    with pytest.raises(ConfigError, match="did you mean 'fd_digits'"):
        choose_key(board, "fd_digit")
    assert cli.main(["compare", str(tmp_path / "none")]) == 2
    (tmp_path / "empty").mkdir()
    assert cli.main(["compare", str(tmp_path / "empty")]) == 2
    assert "there are no runs" in capsys.readouterr().err


def test_two_hundred_runs_are_quick_and_need_no_torch(tmp_path):
    for i in range(200):
        path = make_run(
            tmp_path, f"run{i:03}", full("fd_digits", i / 7), full("nll_elbo", 80 + i / 9),
            seed=i % 4, settings={"optimizer.lr": 1e-4 * (1 + i // 4)}, pictures=False,
        )  # fmt: skip
        if i % 10 == 0:
            file = ("summary.json", "run.json")[i % 20 == 0]
            (path / file).write_text('{"cut off')
    code = (
        "import sys, time\nfrom genlab.cli.entry import main\n"
        "assert main(['compare', *sys.argv[1:]]) == 0\nassert 'torch' not in sys.modules\n"
        "print('seconds', time.process_time())\n"
    )
    words = ["--where", "model.width=16", "--diff", "--csv", str(tmp_path / "x.csv")]
    for more in ([], words):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), *more],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        assert done.stdout.count("\ndamaged: ") == 20
        # of one thread, so that other processes on the machine do not count
        assert float(done.stdout.split("seconds")[-1]) < 2
