"""The bench's own arithmetic: who takes turns with whom, what is compared, what counts as worse."""

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from genlab.types import Batch, Loss

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield importlib.import_module
    for name in [n for n in sys.modules if n == "bench" or n.split(".")[0] == "benches"]:
        del sys.modules[name]


def test_variants_take_turns_after_a_warm_up_each(bench):
    timing = bench("benches.timing")
    turns = []

    def variant(name, cost):
        def run():
            turns.append(name)
            return timing.Spent(cpu=cost, wall=2 * cost, units=10)

        return timing.Variant(name, run)

    subject = timing.Bench(
        "subject",
        "images",
        lambda: [variant("a", 1.0), variant("b", 3.0), timing.Missing("c", "not here")],
        {("a", "b"): 2.5, ("a", "c"): 2.0},
    )
    found = subject.measure(2, lambda text: None)
    assert turns == ["a", "b"] * 3
    a, b, c = found["rows"]
    assert (a["per_cpu_second"], a["per_second"], a["spread"]) == (10.0, 5.0, 0.0)
    assert b["per_cpu_second"] == pytest.approx(10 / 3)
    assert c == {"name": "c", "why": "not here"}
    assert found["ratios"] == [{"fast": "a", "slow": "b", "ratio": pytest.approx(3), "goal": 2.5}]


def test_medians_are_of_the_cost_of_a_unit(bench):
    timing = bench("benches.timing")
    runs = [timing.Spent(cpu, cpu, units) for cpu, units in ((1, 1), (4, 2), (30, 3))]
    row = timing.Row("x", runs)
    assert row.cost == 2
    assert row.spread == pytest.approx((10 - 1) / 2 / 2)


def figures(ratio, name="subject"):
    ratios = [{"fast": "a", "slow": "b", "ratio": ratio, "goal": 1.0}]
    return [{"name": name, "ratios": ratios, "rows": [], "unit": "images"}]


@pytest.fixture
def before(bench, tmp_path):
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({"machine": {"threads": 1}, "benches": figures(2.0)}))
    return bench("benches.before").Before(path)


def test_a_ratio_that_is_a_quarter_worse_is_named(before):
    assert before.worse(figures(1.61)) == []
    assert before.worse(figures(1.59)) == ["subject: a against b: 1.59, was 2.00"]
    assert before.worse(figures(9.0)) == []
    assert before.compared(figures(1.0)) == 1
    assert before.compared(figures(1.0, "another")) == 0


@pytest.mark.parametrize("text", ["", "[]", '{"benches": []}', '{"machine": {"threads": 1}}'])
def test_a_file_without_figures_is_refused_before_anything_is_measured(bench, tmp_path, text):
    path = tmp_path / "bench.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="holds no figures"):
        bench("benches.before").Before(path)


class Subject:
    """Ratios in place of a bench, one for each time it is measured."""

    name = "subject"

    def __init__(self, *ratios):
        self.ratios = list(ratios)

    def measure(self, repeats, say):
        return figures(self.ratios.pop(0))[0]


@pytest.mark.parametrize(
    ("ratios", "message"), [((2.1,), None), ((1.2, 1.9), None), ((1.2, 1.3), "1.30, was 2.00")]
)
def test_a_worse_ratio_fails_where_a_second_try_has_it_too(bench, before, capsys, ratios, message):
    main, subject = bench("bench"), Subject(*ratios)
    results = [main.measured(subject, 5, before, main.Console(width=100))]
    assert subject.ratios == []
    if message is None:
        main.conclude(before, results)
        assert "1 of 1 ratios" in capsys.readouterr().out
    else:
        with pytest.raises(SystemExit, match=message):
            main.conclude(before, results)


def test_a_check_that_compares_nothing_fails(bench, before):
    with pytest.raises(SystemExit, match="nothing was compared"):
        bench("bench").conclude(before, figures(2.0, "another"))


def test_every_bench_has_a_name_of_its_own_and_goals_between_its_variants(bench):
    main = bench("bench")
    benches = [b for subject in main.SUBJECTS for b in subject.BENCHES]
    names = [b.name for b in benches]
    assert len(set(names)) == len(names) >= 12
    assert {name.split(":")[0].split()[0] for name in names} >= {"vae", "gan", "flow", "pixelcnn"}


@pytest.mark.slow
def test_the_quickest_bench_runs(bench):
    evaluation = bench("benches.evaluation")
    found = evaluation.BENCHES[1].measure(1, lambda text: None)
    assert found["rows"][0]["per_cpu_second"] > 100


def test_figures_are_held_against_their_limits(bench, capsys):
    timing, main = bench("benches.timing"), bench("bench")
    gauges = timing.Gauges(
        "memory", lambda say: {"a": (1.2, "x"), "b": (3.0, "MiB")}, {"a": 1.1, "b": 4.0}
    )
    found = gauges.measure(5, lambda text: None)
    assert found["figures"] == [
        {"name": "a", "value": 1.2, "unit": "x", "limit": 1.1},
        {"name": "b", "value": 3.0, "unit": "MiB", "limit": 4.0},
    ]
    main.show(found, main.Console(width=100))
    shown = [line for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert ["MISSED" in line for line in shown] == [True, False]


def test_costs_are_wall_times_where_a_gpu_does_the_work(bench, monkeypatch):
    timing = bench("benches.timing")
    row = timing.Row("x", [timing.Spent(cpu=1.0, wall=8.0, units=2)])
    assert row.cost == 0.5
    monkeypatch.setattr(timing, "BASIS", "wall")
    assert (row.cost, row.cpu) == (4.0, 0.5)


def test_operations_are_counted_forwards_and_backwards(bench):
    device = bench("benches.device")
    toy = nn.Linear(8, 3)
    toy.players = ("model",)
    toy.player = toy.frozen = lambda name: toy
    toy.after_step = lambda name: None
    toy.loss = lambda batch, player: Loss(toy(batch.x).sum(), {})
    x = torch.randn(5, 8)
    # A product forwards, and one for the weights; the images need no gradient.
    assert device.flops(toy, Batch(x)) == 2 * (2 * 5 * 8 * 3)


def test_the_time_to_a_target_is_that_of_the_first_line_below_it(bench, tmp_path):
    device, history = bench("benches.device"), tmp_path / "metrics.jsonl"
    rows = [{"seconds": 1}, {"seconds": 2, "val/nll": 120}, {"seconds": 3, "val/nll": 99}]
    history.write_text("\n".join(map(json.dumps, rows)))
    assert device.seconds_until(history, "val/nll", 100) == 3
    assert device.seconds_until(history, "val/nll", 90) is None


def test_a_gpu_has_benches_of_its_own(bench):
    found = bench("benches.device").benches("cuda")
    assert [b.name for b in found][:4] == ["cuda: vae", "cuda: gan", "cuda: flow", "cuda: pixelcnn"]
    assert all(goal == 0.9 for b in found[:4] for goal in b.goals.values())
