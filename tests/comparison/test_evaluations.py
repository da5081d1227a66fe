"""Quality against evaluations in the report: which rows are a line, and what is drawn of them."""

import json
import re

import pytest
from browser import browse, needs_chromium

from genlab.cli import entry as cli
from genlab.comparison.reading import read_leaderboard
from genlab.comparison.report.evaluations import lines, swept_metrics
from genlab.comparison.seeds import named, over_seeds

from .synthetic import make_run, value

pytest.importorskip("vl_convert")
pytestmark = pytest.mark.usefixtures("plotting")

FLOOR = 0.07


def report(run, number, sampling, nfe, when):
    """A report of a run's samples drawn with so many evaluations."""
    file = next(run.glob("evaluation/closing-*.json"))
    found = json.loads(file.read_text())
    found |= {"values": [value("fd_digits", number) | {"floor": FLOOR}], "format": 3, "nfe": nfe}
    found |= {"name": "full", "created": f"2026-01-{when:02d}", "sampling": sampling}
    target = run / "evaluation" / f"full-{when}.json" if sampling else file
    target.write_text(json.dumps(found))


def curve(run, start, options, numbers):
    """Reports of a run by steps."""
    for i, (steps, number) in enumerate(numbers.items()):
        report(run, number, options | {"steps": steps}, steps, start + i)


@pytest.fixture
def runs(tmp_path):
    """A setting under two seeds with two samplers, one of another kind, one that was not swept."""
    root = tmp_path / "runs"
    for seed in (0, 1):
        run = make_run(root, f"edm{seed}", value("fd_digits", 3.0 + seed), model="edm", seed=seed)
        report(run, 3.0 + seed, {}, 8, 1)
        curve(run, 2, {}, {2: 60.0 + seed, 32: 2.0 + seed})
        curve(run, 10, {"sampler": "euler"}, {4: 30.0 + seed, 16: 6.0 + seed})
    run = make_run(root, "edm2", value("fd_digits", 5.0), model="edm", seed=2)  # not all of them
    report(run, 5.0, {}, 8, 1)
    run = make_run(root, "gan", value("fd_digits", 5.3), model="gan")
    report(run, 5.3, {}, 1, 1)
    make_run(root, "older", value("fd_digits", 9.0), model="vae")  # nobody counted
    return root


def rows_of(root, averaged=True):
    board = read_leaderboard([root])
    return named(over_seeds(board) if averaged else board)


def test_a_line_is_a_run_under_several_steps(runs):
    board = rows_of(runs)
    found = {
        line.name: [int(board.rows[i].facts["nfe"]) for i in line.rows]
        for line in lines(board.rows)
    }
    assert found == {"edm0 +2": [2, 8, 32], "edm0 +1 [sampler=euler]": [4, 16], "gan": [1]}
    assert swept_metrics(board, board.rows, "fd_digits") == ["fd_digits"]


def test_without_averages_each_run_is_a_line(runs):
    board = rows_of(runs, averaged=False)
    names = sorted(line.name for line in lines(board.rows))
    assert names == ["edm0", "edm0 [sampler=euler]", "edm1", "edm1 [sampler=euler]", "edm2", "gan"]


def page_of(runs, *words):
    file = runs.parent / "report.html"
    assert cli.main(["compare", str(runs), "--html", str(file), *words]) == 0
    return file.read_text()


def test_the_page_has_the_numbers_the_floor_and_a_table(runs):
    page = page_of(runs)
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    found = data["evaluations"]
    assert found["metrics"] == ["fd_digits"]
    (edm,) = (line for line in found["lines"] if line["name"] == "edm0 +2")
    numbers = [data["numbers"]["fd_digits"][i][0] for i in edm["rows"]]
    assert [data["numbers"]["nfe"][i][0] for i in edm["rows"]] == [2, 8, 32]
    assert numbers == [60.5, 4.0, 2.5]
    assert {found["floors"]["fd_digits"][i] for i in edm["rows"]} == {FLOOR}
    section = page[page.index('<section id="evaluations">') :]
    table = section[: section.index("</section>")]
    cells = re.findall(r'<th class="n">(\d+)</th>', table)
    assert cells == ["2", "4", "8", "16", "32"]
    assert "60.5 ± 0.71</td>" in table
    assert "gan" not in table  # a point is no curve; it is in the chart
    assert "lower is better; floor, real images against real ones: 0.07" in table


def test_without_a_curve_there_is_no_section(tmp_path):
    run = make_run(tmp_path / "runs", "gan", value("fd_digits", 5.3), model="gan")
    report(run, 5.3, {}, 1, 1)
    make_run(tmp_path / "runs", "vae", value("fd_digits", 9.0))
    page = page_of(tmp_path / "runs")
    assert 'id="evaluations"' not in page
    assert 'id="nfe-chart"' not in page


@pytest.mark.slow
@needs_chromium
def test_a_browser_draws_the_curves(runs, tmp_path):
    page_of(runs)
    dom, said, asked = browse((tmp_path / "report.html").as_uri(), tmp_path)
    chart = dom[dom.index('id="nfe-chart"') :]
    chart = chart[: chart.index("<h3>")]
    assert "evaluations of the network a sample" in chart
    assert "floor: real images" in chart
    assert "edm0 +1 [sampler=euler]" in chart
    assert chart.count("mark-line") >= 1
    assert not said
    assert not asked
