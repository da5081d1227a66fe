"""The race: looks at the data, profiles, trains rung by rung, repeats the finalists, judges.

Everything that was decided is in the journal, and only that: each step first looks whether it
stands there. A candidate that fails is out with its reason; the race goes on with the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from genlab.errors import ConfigError
from genlab.racing.allocation import regrown
from genlab.racing.bracket import Rung, promoted
from genlab.racing.decided import Decided, directory
from genlab.racing.fitting_data import Facts, why_in, why_out
from genlab.racing.jobs_of_race import Job, Runner
from genlab.racing.journal import Journal
from genlab.racing.planning import plan_images, plan_seconds
from genlab.racing.race_settings import RaceRecord
from genlab.racing.verdict import Verdict, judge
from genlab.racing.wording import cost_of_more, number, sentences

__all__ = ["Race"]

FIRST_IMAGES = 512
"""Images of the profile under a budget in images."""

CHUNK_SECONDS = 0.5
"""Training goes on in steps of the trainer of about so long, so that rungs end on time."""

RESERVE = 5.0
"""Seconds that the page takes."""


@dataclass
class Race:
    """A race.

    Args:
        record: What decides it.
        journal: What was decided so far.
        runner: Runs its jobs.
        memory: MiB that a worker has, None where that is not known.
        items: Reads what each test image gave a finalist's run, by its directory.
    """

    record: RaceRecord
    journal: Journal
    runner: Runner
    memory: float | None = None
    items: Callable[[str], Sequence[float]] = lambda directory: ()

    @cached_property
    def decided(self) -> Decided:
        """What the journal says."""
        return Decided(self.record, self.journal, self.items)

    def run(self, refused: Mapping[str, str], seeds: int | None = None) -> Verdict:
        """Races to the end, from wherever the journal is.

        Args:
            refused: Candidates whose configs cannot be composed with this data, and why.
            seeds: Runs of each finalist, more than before; None leaves their number.

        Raises:
            ConfigError: No candidate fits, the budget is too small, there is no such objective.
            GenlabError: All candidates failed.
        """
        names = [name for name in self.record.candidates if name not in refused]
        if len(names) < 2:
            reasons = "; ".join(f"{name}: {why}" for name, why in refused.items())
            raise ConfigError(f"fewer than two candidates fit the data: {reasons}")
        facts = self.facts(names)
        if seeds is not None and seeds != len(self.decided.seeds):
            self.journal.add("more", f"{seeds} seeds of each finalist", seeds=seeds)
        self.fit(facts, refused)
        self.profile(facts)
        rungs = self.plan()
        for k in range(len(rungs)):
            rungs = self.rung(rungs, k, facts)
        return self.verdict(rungs, facts)

    # Before the race

    def facts(self, names: list[str]) -> Facts:
        """What is known of the data; the first candidate that can be built tells."""
        if (line := self.journal.last("data")) is None:
            failures = []
            for name in names:
                (outcome,) = self.runner([self.job("inspect", name, self.record.seed)])
                if outcome.failed is None:
                    facts = Facts.of(outcome.values)
                    line = self.journal.add("data", facts.text, **asdict(facts))
                    break
                failures.append(f"{name}: {outcome.failed}")
            else:
                raise ConfigError(f"no candidate fits the data; {'; '.join(failures)}")
        return Facts.of(line)

    def fit(self, facts: Facts, refused: Mapping[str, str]) -> None:
        """Decides of each candidate whether it suits the data."""
        for name, candidate in self.record.candidates.items():
            if not self.journal.all("fit", candidate=name):
                why = refused.get(name) or why_out(candidate, facts)
                reason = why or why_in(candidate, facts)
                self.journal.add("fit", reason, candidate=name, fits=why is None)
        if len(self.journal.all("fit", fits=True)) < 2:
            reasons = [f"{x['candidate']}: {x['reason']}" for x in self.journal.all("fit")]
            raise ConfigError(f"fewer than two candidates fit the data; {'; '.join(reasons)}")

    def profile(self, facts: Facts) -> None:
        """Trains the first steps of each candidate; they count for its first rung."""
        images = self.record.budget.unit == "images"
        amount = (
            min(FIRST_IMAGES, self.record.config.least) if images else self.record.config.profile
        )
        jobs = [
            self.job("profile", name, self.record.seed, amount=amount, chunk=1, facts=facts)
            for name in self.decided.alive
            if not self.journal.all("profile", candidate=name)
        ]
        for outcome in self.runner(jobs):
            name, found = outcome.job.candidate, outcome.values
            if outcome.failed is not None:
                self.journal.add("out", outcome.failed, candidate=name, rung=None)
                continue
            rate, parameters = found["images_per_second"], found["parameters"]
            reason = f"{rate:,.0f} images/s, {parameters:,} parameters"
            reason += f", {found['overhead']:.2g} s to start, validate and measure"
            self.journal.add("profile", reason, candidate=name, **found)
        self.decided.check_alive()

    def plan(self) -> list[Rung]:
        """The bracket."""
        if (line := self.journal.last("plan")) is not None:
            return [Rung(**rung) for rung in line["rungs"]]
        dropped: dict[str, str] = {}
        names = self.decided.alive
        if self.record.budget.unit == "images":
            rungs = plan_images(self.record, names)
        else:
            left = self.record.budget.amount - self.journal.elapsed - RESERVE
            profiles = {name: self.decided.profile(name) for name in names}
            rungs, dropped = plan_seconds(self.record, profiles, left, self.memory)
        self.keep_plan(rungs, f"fills budget={self.record.budget.text}", dropped)
        return rungs

    def keep_plan(
        self, rungs: Sequence[Rung], reason: str, dropped: Mapping[str, str] | None = None
    ) -> None:
        """Notes the bracket, and who is left out of it."""
        unit, rows = self.record.budget.unit, [asdict(rung) for rung in rungs]
        row = ", ".join(f"{r.size} to {number(r.amount)} {unit}" for r in rungs)
        out = dict(dropped or {})
        self.journal.add("plan", f"{row}: {reason}", unit=unit, rungs=rows, out=out)

    # The rungs

    def rung(self, rungs: list[Rung], k: int, facts: Facts) -> list[Rung]:
        """Trains all that are left up to a rung, and decides who goes on.

        Returns:
            The bracket, its later rungs fitted to the time that is left.
        """
        if self.journal.all("rung", rung=k):
            return rungs
        # Fit the rest to the time that is left
        began = self.journal.all("started", rung=k)
        if k and self.record.budget.unit == "seconds" and not began:
            left = self.record.budget.amount - self.journal.elapsed - RESERVE
            overheads = [self.decided.profile(name).overhead for name in self.decided.alive]
            rungs = regrown(rungs, k, left, overheads, self.record.shape)
            self.keep_plan(rungs, f"fills the {left:,.0f} s that are left")
        # Train and measure
        rung, last = rungs[k], k == len(rungs) - 1
        jobs = [
            self.measuring(name, self.record.seed, rung, last, facts)
            for name in self.decided.alive
            if not self.journal.all("measured", candidate=name, rung=k, seed=self.record.seed)
        ]
        self.train(jobs)
        # Decide
        self.decided.check_alive()
        scores = {
            name: self.decided.score(name, self.record.seed, k, facts)
            for name in self.decided.alive
        }
        kept, out = promoted(scores, rung.keep)
        reasons = {
            name: f"{facts.name} {number(abs(scores[name]))} in rung {k}, place {place} of "
            f"{len(scores)}; the best {len(kept)} go on"
            for place, name in enumerate(out, len(kept) + 1)
        }
        row = ", ".join(f"{name} {number(abs(scores[name]))}" for name in kept)
        what = "are the finalists" if last else "go on"
        self.journal.add("rung", f"{row} {what}", rung=k, kept=kept, out=reasons)
        return rungs

    def train(self, jobs: Sequence[Job]) -> None:
        """Runs jobs of a rung, and notes what came of each."""
        for job in jobs:
            what = f"seed {job.seed} to {number(job.amount)} {job.unit}"
            where = {"candidate": job.candidate, "seed": job.seed, "rung": job.rung}
            self.journal.add("started", what, **where, directory=job.directory)
        for outcome in self.runner(jobs):
            job = outcome.job
            where = {"candidate": job.candidate, "seed": job.seed, "rung": job.rung}
            if outcome.failed is None:
                value = number(outcome.values["value"])
                seen = (
                    f"{outcome.values['images_seen']:,} images, {outcome.values['seconds']:.1f} s"
                )
                self.journal.add("measured", f"{value} after {seen}", **where, **outcome.values)
            elif job.seed == self.record.seed:
                self.journal.add("out", outcome.failed, candidate=job.candidate, rung=job.rung)
            else:
                self.journal.add("lost", outcome.failed, **where)

    def verdict(self, rungs: list[Rung], facts: Facts) -> Verdict:
        """Repeats the finalists under other seeds, and judges; each look at them is one more."""
        k, seeds = len(rungs) - 1, self.decided.seeds
        looks = self.journal.all("verdict")
        if not (looks and looks[-1]["seeds"] >= len(seeds)):
            # The repetitions
            jobs = [
                self.measuring(name, seed, rungs[k], True, facts)
                for seed in seeds[1:]
                for name in self.decided.alive
                if not self.decided.repeated(name, seed, k)
            ]
            self.train(jobs)
            # The judgement
            look = len(looks) + 1
            verdict = judge(self.decided.finalists(k, facts), look=look)
            overheads = [self.decided.profile(name).overhead for name in self.decided.alive]
            more = cost_of_more(verdict, rungs[k].amount, overheads, self.record)
            said = sentences(verdict, facts, self.record, rungs[k].amount, more)
            values = {"sentences": said, "seeds": len(seeds), **verdict.plain()}
            self.journal.add("verdict", " ".join(said), **values)
        return judge(self.decided.finalists(k, facts), look=len(self.journal.all("verdict")))

    # Jobs

    def job(self, kind: Any, name: str, seed: int, **values: Any) -> Job:
        """A job of a candidate."""
        facts = values.pop("facts", None)
        return Job(
            kind=kind,
            candidate=name,
            seed=seed,
            overrides=tuple(self.record.overrides(name, seed)),
            directory=directory(name, seed),
            unit=self.record.budget.unit,
            objective=facts.name if facts else self.record.config.objective,
            samples=self.record.config.samples,
            **values,
        )

    def measuring(self, name: str, seed: int, rung: Rung, last: bool, facts: Facts) -> Job:
        """The job that trains a candidate up to a rung: what is chosen by is not what is judged by.

        Selection looks at validation images, the verdict at test images.
        """
        profile = self.decided.profile(name)
        step = self.decided.batch(name) / max(profile.images_per_second, 1e-9)
        in_time = self.record.budget.unit == "seconds"
        timed = 60 + 5 * (rung.amount + profile.overhead)
        return self.job(
            "rung", name, seed,
            amount=rung.amount,
            rung=rung.number,
            split="test" if last or not facts.val_images else "val",
            chunk=max(1, min(16, round(CHUNK_SECONDS / step))) if in_time else 16,
            timeout=timed if in_time else None,
            facts=facts,
        )  # fmt: skip
