"""What is known of a number: as its report says it, or as its key does in older reports."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from genlab.cli import entry as cli
from genlab.comparison.columns import columns
from genlab.comparison.numbers import number_of_key, number_of_value, order
from genlab.comparison.ranking import blocks, choose_key
from genlab.comparison.reading import read_leaderboard
from genlab.metrics.base import Number
from genlab.metrics.builtin import BUILT_IN
from genlab.metrics.extractors.inception import INCEPTION
from genlab.metrics.keys import metric_key
from genlab.metrics.likelihood import BITS, NATS
from genlab.metrics.measure import as_named

from .synthetic import make_run, value

OLDER = Path(__file__).parent / "run_of_format_1"
"""A run that genlab wrote when reports held no numbers yet: `model=vae_mlp data=synthetic`."""

NUMBERS = [number for metric in BUILT_IN.values() for number in metric.numbers]
EXTRACTORS = {
    name: SimpleNamespace(name=name, id=INCEPTION.sha256, modes=modes)
    for name, modes in (("inception", 0), ("digits", 10), ("fashion", 10), ("pixels", 0))
}


def in_format_2(entry):
    """An entry of an older report as today's says it."""
    numbers = [n for n in (*NUMBERS, NATS, BITS) if entry["key"].startswith(f"{n.name}_")]
    number = max(numbers, key=lambda number: len(number.name))
    extractor = EXTRACTORS[entry["extractor"]] if entry["extractor"] else None
    return entry | {"metric_id": "", "number": asdict(as_named(number, entry["key"], extractor))}


def test_a_run_of_format_1_is_ranked_and_shown_like_one_of_format_2(tmp_path, capsys):
    shutil.copytree(OLDER, tmp_path / "older")
    shutil.copytree(OLDER, tmp_path / "newer")
    config = tmp_path / "newer" / "config.yaml"
    config.write_text(config.read_text().replace("latent: 4", "latent: 5"))
    shown = []
    for name in ("older", "newer"):
        board = read_leaderboard([tmp_path / name])
        shown.append(([c.title for c in columns(board, "fd_pixels_160")], choose_key(board, None)))
        for file in (tmp_path / "newer" / "evaluation").glob("*.json"):
            report = json.loads(file.read_text())
            report |= {"format": 2, "values": [in_format_2(v) for v in report["values"]]}
            file.write_text(json.dumps(report))
    assert shown[0] == shown[1]
    assert shown[0][1] == "fd_pixels_100"
    assert {"fd_pixels_160", "bits/dim", "prec_pixels_160", "recall_pixels_160"} <= set(shown[0][0])
    board = read_leaderboard([tmp_path])
    for key in board.keys:
        (block,) = blocks(board, key)
        assert len(block.rows) == 2, key
        assert block.ranked == (key not in ("kd_std_pixels_160", "nn_ratio_pixels_160"))
        one, other = (row.metrics[key].number for row in board.rows)
        assert (one.better, one.rank, one.shown) == (other.better, other.rank, other.shown), key
    assert cli.main(["compare", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "not comparable" not in out
    assert "11.03" in out


@pytest.mark.parametrize("extractor", EXTRACTORS.values(), ids=lambda extractor: extractor.name)
@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)
def test_older_reports_are_told_what_todays_say(number, extractor):
    key = metric_key(number, extractor, 10_000, 10_000)
    today = as_named(number, key, extractor)
    older = number_of_value({"key": key, "better": number.better})
    assert (older.better, older.rank, older.shown) == (today.better, today.rank, today.shown)
    if today.shown:
        assert older.name == today.name


def test_the_default_is_a_published_name_then_the_datas_own_extractor_then_bits():
    ranked = ["fid_10k", "fd_digits", "fd_fashion", "fd_pixels", "bpd", "nll_elbo", "kd_digits"]
    assert sorted(set(ranked), key=lambda key: order(number_of_key(key), key)) == ranked


def test_a_number_that_ranks_first_is_what_runs_are_ranked_by(tmp_path, capsys):
    """Whatever it is called: its report says so, and what it is."""
    mine = Number("mine", "higher", "what counts", "points", rank=-1)
    for i in range(2):
        entry = value("mine_2k", 5.0 + i, better="higher", extractor="") | {"number": asdict(mine)}
        make_run(tmp_path, f"r{i}", entry, value("fd_digits", 1.0), settings={"model.latent": i})
    board = read_leaderboard([tmp_path])
    assert choose_key(board, None) == "mine_2k"
    assert [row.name for row in blocks(board, "mine_2k")[0].rows] == ["r1", "r0"]
    assert board.number("mine_500") == mine
    assert cli.main(["compare", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "by mine_2k ↑" in out
    assert "mine_2k: what counts (points), higher is better" in out


def test_a_report_with_a_number_that_makes_no_sense_is_damaged(tmp_path, capsys):
    make_run(tmp_path, "good", value("fd_digits", 1.0))
    for name, number in (("odd", {"nome": "fd"}), ("text", "fd")):
        make_run(tmp_path, name, value("fd_digits", 1.0) | {"number": number})
    assert cli.main(["compare", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("\ndamaged: ") == 2
