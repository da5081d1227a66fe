"""The race on a runner that trains nothing: who goes on, why, and what a kill leaves."""

import json
import random
import re

import pytest

from genlab.cli.entry import main
from genlab.errors import ConfigError, GenlabError
from genlab.racing.journal import Journal
from genlab.racing.planning import check_profile_fits
from genlab.racing.standing import out_reasons, standing
from racing.fake import FACTS, FakeRunner, Killed, decisions, race, record

NAMES = ("a", "b", "c", "d", "e", "f", "g", "h")


def quality(name, amount, seed):
    """Better with training; a the best, h the worst; seeds differ by one in a hundred."""
    draw = random.Random(f"{name} {seed}")
    return (1 + NAMES.index(name) / 4) * (1 + 100 / amount) * draw.gauss(1, 0.01)


def test_the_best_wins_and_every_candidate_has_its_reason(tmp_path):
    verdict, journal = race(tmp_path, record(NAMES), FakeRunner(quality))
    assert (verdict.winner, verdict.told) == ("a", True)
    assert verdict.pairs[0].worse == "b"
    rungs = journal.all("rung")
    assert [line["kept"] for line in rungs] == [["a", "b", "c"], ["a", "b"], ["a", "b"]]
    assert list(rungs[0]["out"]) == ["d", "e", "f", "g", "h"]
    assert set(out_reasons(journal)) == set(NAMES) - {"a", "b"}
    assert all(line["reason"] for line in journal.lines)
    assert "a beats b" in journal.last("verdict")["reason"]


@pytest.mark.parametrize("seconds", [120, 900, 7200])
@pytest.mark.parametrize("n", [2, 5, 8])
def test_the_budget_in_seconds_is_kept_and_used(tmp_path, seconds, n):
    runner = FakeRunner(quality)
    race(tmp_path, record(NAMES[:n], f"{seconds}s"), runner)
    assert 0.85 * seconds - 6 < runner.now <= seconds


def test_overheads_that_turn_out_longer_shorten_the_later_rungs(tmp_path):
    runner = FakeRunner(quality)

    def slower(job, values=runner.values):
        runner.overhead = 5.0 if job.kind == "rung" else 1.0
        return values(job)

    runner.values = slower
    _, journal = race(tmp_path, record(NAMES, "600s"), runner)
    first, *later = journal.all("plan")
    assert later[-1]["rungs"][-1]["amount"] < first["rungs"][-1]["amount"]
    assert runner.now < 1.1 * 600


def test_the_budget_in_images_is_kept_and_used(tmp_path):
    runner = FakeRunner(quality)
    race(tmp_path, record(NAMES, "200000images"), runner)
    seen = sum(1000 * seconds for seconds in runner.amounts.values())
    assert 0.99 * 200_000 < seen <= 200_000


def test_a_runs_training_is_never_thrown_away(tmp_path):
    runner = FakeRunner(quality)
    race(tmp_path, record(NAMES), runner)
    of_a = [job for job in runner.jobs if job.directory == "a-s0"]
    assert [job.kind for job in of_a] == ["inspect", "profile", "rung", "rung", "rung"]
    assert sorted(job.amount for job in of_a[1:]) == [job.amount for job in of_a[1:]]


def test_selection_looks_at_validation_and_the_verdict_at_test_images(tmp_path):
    runner = FakeRunner(quality)
    race(tmp_path, record(NAMES), runner)
    rungs = [job for job in runner.jobs if job.kind == "rung"]
    last = max(job.rung for job in rungs)
    assert {job.split for job in rungs if job.rung < last} == {"val"}
    assert {job.split for job in rungs if job.rung == last} == {"test"}


def test_what_fails_is_out_with_its_reason_and_never_the_race(tmp_path):
    failures = {
        ("a", "profile", 0): "out of memory on the device",
        ("b", 0, 0): "a loss is not finite",
        ("c", 1, 0): "killed by SIGKILL; the machine may be out of memory",
        ("d", 2, 1): "a loss is not finite",
    }
    verdict, journal = race(tmp_path, record(NAMES), FakeRunner(quality, failures=failures))
    out = out_reasons(journal)
    assert [out[name] for name in "abc"] == [failures[key] for key in list(failures)[:3]]
    assert verdict.winner == "d"
    assert journal.all("lost")[0]["candidate"] == "d"


def test_when_all_fail_the_reasons_are_said(tmp_path):
    failures = {(name, 0, 0): f"{name} is broken" for name in NAMES}
    with pytest.raises(GenlabError, match="no candidate is left\na: a is broken\nb: b"):
        race(tmp_path, record(NAMES), FakeRunner(quality, failures=failures))


def test_what_is_not_finite_is_out(tmp_path):
    def nan(name, amount, seed):
        return float("nan") if name == "a" else quality(name, amount, seed)

    verdict, journal = race(tmp_path, record(NAMES), FakeRunner(nan))
    assert verdict.winner == "b"
    assert "nan" in out_reasons(journal)["a"]


def test_higher_can_be_better(tmp_path):
    facts = FACTS | {"better": "higher", "name": "modes"}
    verdict, journal = race(tmp_path, record(NAMES), FakeRunner(quality, facts=facts))
    assert verdict.winner == "h"
    assert "-" not in journal.last("verdict")["sentences"][0]


def test_too_slow_candidates_are_dropped_before_the_race(tmp_path):
    _, journal = race(tmp_path, record(NAMES, "300s"), FakeRunner(quality, {"a": 20.0, "b": 60.0}))
    out = out_reasons(journal)
    assert "would see" in out["a"]
    assert "1,000 say something" in out["a"]
    assert list(journal.all("plan")[0]["out"]) == ["a", "b"]


def test_candidates_that_do_not_suit_the_data_are_out(tmp_path):
    names = {
        "a": {}, "b": {"least_images": 10_000}, "c": {"most_dims": 100}, "d": {"labels": True},
        "e": {"least_images": 1000, "most_dims": 784}, "f": {},
    }  # fmt: skip
    refused = {"f": "takes sequence data"}
    _, journal = race(tmp_path, record(names), FakeRunner(quality), refused)
    fits = {line["candidate"]: (line["fits"], line["reason"]) for line in journal.all("fit")}
    assert [fits[name][0] for name in "abcdef"] == [True, False, False, False, True, False]
    assert "5,000 images are at least 1,000" in fits["e"][1]
    assert fits["f"][1] == "takes sequence data"


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ("12s", r"budget=12s: too small for one rung of two candidates .* budget=\d+s would do"),
        ("5000images", r"each of 8 candidates would see 80 images.* budget=\d+images would do"),
    ],
)
def test_a_budget_that_is_too_small_says_what_would_do(tmp_path, budget, said):
    with pytest.raises(ConfigError, match=said) as error:
        race(tmp_path, record(NAMES, budget), FakeRunner(quality))
    enough = str(error.value).split("budget=")[2].split()[0]
    (tmp_path / "again").mkdir()
    few = NAMES if budget.endswith("images") else NAMES[:2]
    race(tmp_path / "again", record(few, enough), FakeRunner(quality))


def test_a_budget_that_ends_before_the_first_steps_costs_nothing(tmp_path, monkeypatch, capsys):
    with pytest.raises(ConfigError, match=r"budget=1s: too small: the first steps of 8 "):
        check_profile_fits(record(NAMES, "1s"), len(NAMES))
    check_profile_fits(record(NAMES, "1000images"), len(NAMES))
    monkeypatch.chdir(tmp_path)
    assert main(["race", "data=synthetic", "budget=5s"]) == 2
    assert "budget=5s: too small: the first steps of" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_no_candidate_fits(tmp_path):
    names = {name: {"labels": True} for name in NAMES}
    with pytest.raises(ConfigError, match="fewer than two candidates fit the data; a: is cond"):
        race(tmp_path, record(names), FakeRunner(quality))


@pytest.mark.parametrize("budget", ["200000images", "900s"])  # times are kept to a millisecond
def test_a_kill_at_any_outcome_changes_no_decision(tmp_path, budget):
    whole = tmp_path / "whole"
    whole.mkdir()
    runner = FakeRunner(quality)
    verdict, journal = race(whole, record(NAMES, budget), runner)
    for kill in range(1, runner.outcomes + 1):
        folder = tmp_path / str(kill)
        folder.mkdir()
        killed = FakeRunner(quality, kill=kill)
        with pytest.raises(Killed):
            race(folder, record(NAMES, budget), killed)
        killed.kill = None
        again, resumed = race(folder, record(NAMES, budget), killed)
        if budget == "900s":
            assert (again.winner, again.told) == (verdict.winner, verdict.told)
            kept = [[line["kept"] for line in x.all("rung")] for x in (resumed, journal)]
            assert kept[0] == kept[1]
        else:
            assert again == verdict
            assert decisions(resumed) == decisions(journal)


def test_a_line_that_was_cut_off_is_found_out_anew(tmp_path):
    verdict, journal = race(tmp_path, record(NAMES, "200000images"), FakeRunner(quality))
    content = journal.path.read_bytes()
    for cut in range(len(content) // 3, len(content), len(content) // 7):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "decisions.jsonl").write_bytes(content[:cut])
        again, resumed = race(folder, record(NAMES, "200000images"), FakeRunner(quality))
        assert again == verdict
        assert decisions(resumed) == decisions(journal)
        assert all(json.loads(line) for line in resumed.path.read_text().splitlines())


def test_a_damaged_journal_is_named(tmp_path):
    (tmp_path / "decisions.jsonl").write_text('{"event": "data"}\n{broken\n{}\n')
    with pytest.raises(ConfigError, match=r"decisions.jsonl:2 is damaged"):
        Journal(tmp_path / "decisions.jsonl")


def test_the_standing_of_a_race(tmp_path):
    asked = record(NAMES, "200000images")
    killed = FakeRunner(quality, kill=14)
    with pytest.raises(Killed):
        race(tmp_path, asked, killed)
    found = standing(Journal(tmp_path / "decisions.jsonl"), asked, running=False)
    assert found["state"] == "stopped"
    assert "rung 0" in found["candidates"]["a"]["reason"]
    killed.kill = None
    _, journal = race(tmp_path, asked, killed)
    found = standing(journal, asked, running=False)
    assert (found["state"], found["budget"]) == ("finished", "200000images")
    states = {name: row["state"] for name, row in found["candidates"].items()}
    assert [states[name] for name in "abc"] == ["winner", "finalist", "out"]


def test_a_race_with_one_finalist_left_can_be_read_again(tmp_path):
    failures = {(name, 0, 0): "broken" for name in NAMES[1:]}
    asked = record(NAMES, "200000images")
    verdict, _ = race(tmp_path, asked, FakeRunner(quality, failures=failures))
    assert (verdict.winner, verdict.pairs) == ("a", ())
    again, journal = race(tmp_path, asked, FakeRunner(quality, kill=1))  # nothing is run anew
    assert again == verdict
    assert "Nobody else came to the end" in journal.last("verdict")["reason"]


def test_more_seeds_can_be_asked_for_until_they_tell(tmp_path):
    def near(name, amount, seed):
        return (10 + 0.3 * NAMES.index(name)) * random.Random(f"{name} {seed}").gauss(1, 0.02)

    asked, runner = record(NAMES[:2], "600s"), FakeRunner(near)
    verdict, journal = race(tmp_path, asked, runner)
    assert not verdict.told
    said = journal.last("verdict")["reason"]
    assert "cannot be told apart within this budget" in said
    assert re.search(
        r"another \d+ minutes? \(3 more seeds of each\) would tell differences of", said
    )
    jobs = len(runner.jobs)
    assert race(tmp_path, asked, runner)[0] == verdict  # nothing is run anew
    assert len(runner.jobs) == jobs
    # A kill in the repetitions does not forget what was asked for
    runner.kill = runner.outcomes + 5
    with pytest.raises(Killed):
        race(tmp_path, asked, runner, seeds=24)
    runner.kill = None
    verdict, journal = race(tmp_path, asked, runner)
    assert {job.seed for job in runner.jobs} == set(range(24))
    assert (verdict.winner, verdict.told) == ("a", True)
    assert [line["seeds"] for line in journal.all("verdict")] == [3, 24]
