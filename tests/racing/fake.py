"""A runner of races that trains nothing, on a clock of its own."""

from genlab.racing.halving import Race
from genlab.racing.jobs_of_race import Outcome
from genlab.racing.journal import Journal
from genlab.racing.race_settings import Budget, RaceConfig, RaceRecord

__all__ = ["FACTS", "FakeRunner", "Killed", "decisions", "race", "record"]

FACTS = {
    "kind": "image",
    "shape": [1, 28, 28],
    "levels": 256,
    "classes": 0,
    "dims": 784,
    "train_images": 5000,
    "val_images": 500,
    "objective": "fd_pixels_1k",
    "name": "fd_pixels",
    "better": "lower",
    "note": "",
}


class Killed(Exception):
    """The race's process is gone."""


class FakeRunner:
    """Does jobs at once.

    Args:
        quality: The objective of a candidate by name, amount and seed.
        rates: Images a second by candidate; 1,000 without.
        failures: Why a candidate fails in a rung, by (name, rung, seed).
        kill: Number of the outcome before which the race is killed.
    """

    def __init__(self, quality, rates=None, failures=None, kill=None, overhead=1.0, facts=None):
        self.quality, self.rates, self.failures = quality, rates or {}, failures or {}
        self.kill, self.overhead, self.facts = kill, overhead, facts or FACTS
        self.now, self.outcomes, self.jobs, self.amounts = 0.0, 0, [], {}

    def clock(self):
        return self.now

    def __call__(self, jobs):
        for job in jobs:
            self.outcomes += 1
            if self.outcomes == self.kill:
                raise Killed
            self.jobs.append(job)
            rung = job.kind if job.kind != "rung" else job.rung
            if failed := self.failures.get((job.candidate, rung, job.seed)):
                yield Outcome(job, failed=failed)
            elif job.kind == "inspect":
                yield Outcome(job, dict(self.facts))
            else:
                yield Outcome(job, self.values(job))

    def values(self, job):
        rate = self.rates.get(job.candidate, 1000.0)
        key = job.candidate, job.seed
        seconds = job.amount / rate if job.unit == "images" else job.amount
        self.now += seconds - self.amounts.get(key, 0.0) + self.overhead
        assert seconds >= self.amounts.get(key, 0.0), "a run goes on, never back"
        self.amounts[key] = seconds
        common = {"overhead": self.overhead, "images_seen": round(rate * seconds)}
        if job.kind == "profile":
            known = {"images_per_second": rate, "parameters": 10, "memory": 100.0, "batch": 50}
            return common | known
        value = self.quality(job.candidate, job.amount, job.seed)
        return common | {"value": value, "noise": 0.0, "seconds": seconds, "picture": None}


def record(names, budget="3600s", words=("data=fake",), workers=1, **settings):
    unit = "images" if budget.endswith("images") else "seconds"
    known = {
        "objective": "fd", "eta": 3, "finalists": 2, "seeds": 3, "samples": 100, "least": 1000,
        "profile": 1.0, "common": [],
    }  # fmt: skip
    candidates = names if isinstance(names, dict) else {name: {} for name in names}
    candidates = {name: {"overrides": [f"model={name}"]} | e for name, e in candidates.items()}
    config = RaceConfig.of(known | settings | {"candidates": candidates})
    amount = float(budget.removesuffix("images").removesuffix("s"))
    return RaceRecord(config, Budget(amount, unit), tuple(words), workers=workers)


def race(tmp_path, record, runner, refused=None, memory=None, seeds=None):
    """Runs a race on a runner's clock; returns its verdict and its journal."""
    journal = Journal(tmp_path / "decisions.jsonl", clock=runner.clock)
    journal.repair()
    verdict = Race(record, journal, runner, memory).run(refused or {}, seeds)
    return verdict, journal


def decisions(journal):
    """The lines without their times, and without those of jobs that were started again."""
    lines = [{k: v for k, v in x.items() if k not in ("at", "elapsed")} for x in journal.lines]
    return [line for line in lines if line["event"] != "started"]
