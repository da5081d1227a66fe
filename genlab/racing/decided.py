"""What a journal says of a race: who is left, what was measured, how many seeds were asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from genlab.errors import GenlabError
from genlab.racing.allocation import Profile
from genlab.racing.fitting_data import Facts
from genlab.racing.journal import Journal
from genlab.racing.race_settings import RaceRecord
from genlab.racing.verdict import Finalist

__all__ = ["Decided", "directory"]


def directory(name: str, seed: int) -> str:
    """The directory of a candidate's run below that of the race."""
    return f"{name}-s{seed}"


@dataclass(frozen=True)
class Decided:
    """Reads a journal.

    Args:
        record: What decides the race.
        journal: Its journal.
        items: Reads what each test image gave a finalist's run, by its directory.
    """

    record: RaceRecord
    journal: Journal
    items: Callable[[str], Sequence[float]] = lambda directory: ()

    @property
    def seeds(self) -> range:
        """The seeds of a finalist: those of the config, or as many as were asked for later."""
        line = self.journal.last("more")
        count = line["seeds"] if line else self.record.config.seeds
        return range(self.record.seed, self.record.seed + count)

    @property
    def alive(self) -> list[str]:
        """The candidates that are not out, in their order."""
        out = {line["candidate"] for line in self.journal.all("out")}
        for event in ("plan", "rung"):
            out |= {name for line in self.journal.all(event) for name in line["out"]}
        fits = [line["candidate"] for line in self.journal.all("fit", fits=True)]
        return [name for name in fits if name not in out]

    def check_alive(self) -> None:
        """Refuses to go on without candidates.

        Raises:
            GenlabError: None is left; says why.
        """
        if not self.alive:
            lines = [f"{x['candidate']}: {x['reason']}" for x in self.journal.all("out")]
            raise GenlabError("no candidate is left\n" + "\n".join(lines))

    def repeated(self, name: str, seed: int, rung: int) -> bool:
        """True if a repetition was measured, or was lost."""
        where = {"candidate": name, "seed": seed, "rung": rung}
        return bool(self.journal.all("measured", **where) or self.journal.all("lost", **where))

    def score(self, name: str, seed: int, rung: int, facts: Facts) -> float:
        """The objective of a run in a rung, lower is better."""
        line = self.journal.last("measured", candidate=name, seed=seed, rung=rung)
        assert line is not None, f"{name} was not measured"
        return float(line["value"]) * (-1 if facts.better == "higher" else 1)

    def finalists(self, rung: int, facts: Facts) -> list[Finalist]:
        """What is known of those that are left after the last rung."""
        return [self.finalist(name, rung, facts) for name in self.alive]

    def finalist(self, name: str, rung: int, facts: Facts) -> Finalist:
        """What is known of one of them."""
        found = [
            (seed, line)
            for seed in self.seeds
            if (line := self.journal.last("measured", candidate=name, seed=seed, rung=rung))
        ]
        values = tuple(self.score(name, seed, rung, facts) for seed, _ in found)
        rows = [tuple(self.items(directory(name, seed))) for seed, _ in found]
        whole = rows and all(rows)
        means = (sum(x) / len(x) for x in zip(*rows, strict=True)) if whole else ()
        return Finalist(name, values, tuple(line["noise"] for _, line in found), tuple(means))

    def profile(self, name: str) -> Profile:
        """What a candidate's jobs cost; the newest overhead counts."""
        line = self.journal.last("profile", candidate=name)
        assert line is not None, f"{name} was not profiled"
        newest = self.journal.last("measured", candidate=name) or line
        rate, memory = line["images_per_second"], line.get("memory")
        return Profile(rate, newest["overhead"], memory, line["parameters"])

    def batch(self, name: str) -> int:
        """Images of a candidate's optimizer step."""
        line = self.journal.last("profile", candidate=name)
        assert line is not None, f"{name} was not profiled"
        return int(line["batch"])
