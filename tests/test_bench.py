"""The bench's own arithmetic: who takes turns with whom, what is compared, what counts as worse."""

import importlib
import json
import sys
from pathlib import Path

import pytest

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


def test_a_ratio_that_is_a_quarter_worse_is_named(bench, tmp_path):
    main = bench("bench")

    def of(ratio):
        ratios = [{"fast": "a", "slow": "b", "ratio": ratio, "goal": 1.0}]
        return [{"name": "subject", "ratios": ratios}]

    before = tmp_path / "bench.json"
    before.write_text(json.dumps({"benches": of(2.0)}))
    assert main.worse(of(1.61), before) == []
    assert main.worse(of(1.59), before) == ["subject: a against b: 1.59, was 2.00"]
    assert main.worse(of(9.0), before) == []


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
