"""Settings of a race: its config of the group ``race/``, and what was typed beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from genlab.config.annotations import record_problems
from genlab.config.catalog import read_yaml
from genlab.config.overrides import options
from genlab.config.schema import Record
from genlab.config.source import fields, locate
from genlab.errors import ConfigError, nearest
from genlab.racing.allocation import Shape
from genlab.ranges import PositiveFloat, PositiveInt, Range

__all__ = ["OWN", "Budget", "Candidate", "RaceConfig", "RaceRecord", "read_race_config"]

OWN = ("objective", "eta", "finalists", "seeds", "samples", "least", "profile")
"""Keys of a race's config that can be typed."""


@dataclass(kw_only=True)
class Candidate(Record):
    """A candidate: overrides of ``genlab train``, and the data that it suits beyond its class.

    Args:
        overrides: What it sets.
        least_images: Training images below which it is left out.
        most_dims: Entries of an example above which it is left out.
        labels: True leaves it out where the data has no labels.
    """

    overrides: list[str]
    least_images: PositiveInt | None = None
    most_dims: PositiveInt | None = None
    labels: bool = False


@dataclass(kw_only=True)
class RaceConfig(Record):
    """A config of the group ``race/``.

    Args:
        objective: ``fd``, ``kd``, ``bpd``, ``nll``; one with an extractor is ``fd_digits``.
        eta: Factor of training from rung to rung; one in eta goes on.
        finalists: Candidates that are told apart in the end.
        seeds: Runs of each finalist.
        samples: Samples drawn for a measurement, or images of a likelihood.
        least: Images that the first rung must show.
        profile: Seconds of the first steps.
        common: Overrides of every candidate, before its own.
        candidates: The candidates by their names.
    """

    objective: str
    eta: Annotated[int, Range(low=2)]
    finalists: Annotated[int, Range(low=2)]
    seeds: PositiveInt
    samples: Annotated[int, Range(low=2)]
    least: PositiveInt
    profile: PositiveFloat
    common: list[str]
    candidates: dict[str, Any]


@dataclass(frozen=True)
class Budget:
    """What a race may spend.

    Args:
        amount: Seconds of wall time, or images shown to all runs together.
        unit: Which of them.
    """

    amount: float
    unit: Literal["seconds", "images"]

    @property
    def text(self) -> str:
        """As it is typed."""
        if self.unit == "images":
            return f"{self.amount:.0f}images"
        minutes, seconds = divmod(round(self.amount), 60)
        return f"{minutes}m" * bool(minutes) + f"{seconds}s" * bool(seconds or not minutes)


@dataclass(frozen=True)
class RaceRecord:
    """All that decides a race, as race.json keeps it.

    Args:
        config: The race's config.
        budget: What it may spend.
        words: Overrides of all candidates that were typed: the data among them.
        seed: Of the first run of each candidate; the repetitions count up from it.
        workers: Processes that train at a time.
        threads: CPU threads of each.
        folder: Where it was started, from which relative paths count.
        config_dir: The user's own configs.
    """

    config: RaceConfig
    budget: Budget
    words: tuple[str, ...]
    seed: int = 0
    workers: int = 1
    threads: int = 1
    folder: str = "."
    config_dir: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> Shape:
        """How the budget is spent."""
        c = self.config
        return Shape(c.eta, c.finalists, c.seeds, self.workers)

    @property
    def candidates(self) -> dict[str, Candidate]:
        """The candidates by their names."""
        return {name: Candidate.of(each) for name, each in self.config.candidates.items()}

    def overrides(self, candidate: str, seed: int) -> list[str]:
        """The words after ``genlab train`` that begin a candidate's run."""
        own = self.candidates[candidate].overrides
        fixed = [f"seed={seed}", f"trainer.threads={self.threads}", "trainer.progress=false"]
        return [*self.config.common, *own, *self.words, *fixed]

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "RaceRecord":
        """The record of what `plain` made; further keys are the directory's own."""
        known = {key: content[key] for key in cls.__dataclass_fields__ if key in content}
        known |= {
            "config": RaceConfig.of(content["config"]),
            "budget": Budget(**content["budget"]),
            "words": tuple(content["words"]),
        }
        return cls(**known)


def read_race_config(
    name: str, folders: Sequence[Path], given: Mapping[str, Any], only: Sequence[str] = ()
) -> RaceConfig:
    """A config of the group ``race/``, checked.

    Args:
        name: What chooses it.
        folders: Folders of configs; the last one wins.
        given: Values that were typed, by the keys in `OWN`.
        only: Candidates to keep; all if there are none.

    Raises:
        ConfigError: There is none, or something in it is wrong.
    """
    # The file
    files = [p for folder in folders if (p := folder / "race" / f"{name}.yaml").is_file()]
    if not files:
        known = options(folders, "race")
        raise ConfigError(f"race={name}: {', '.join(known)} are allowed{nearest(name, known)}")
    content = read_yaml(files[-1]) | dict(given)
    # Its keys, and those of each candidate
    wrong = [f"{line}" for line in record_errors(RaceConfig, "race", content)]
    candidates = content.get("candidates")
    for key, written in candidates.items() if isinstance(candidates, dict) else ():
        # A list is short for its overrides alone
        each = {"overrides": written} if isinstance(written, list) else written
        content["candidates"] = content["candidates"] | {key: each}
        if isinstance(each, dict):
            wrong += record_errors(Candidate, f"race.candidates.{key}", each)
        else:
            wrong.append(f"race.candidates.{key}: a list of overrides is needed")
    if wrong:
        raise ConfigError("\n".join(wrong))
    # Those that were asked for
    for word in only:
        if word not in content["candidates"]:
            known = list(content["candidates"])
            hint = nearest(word, known)
            raise ConfigError(f"only={word}: race={name} has {', '.join(known)}{hint}")
    if only:
        content["candidates"] = {key: content["candidates"][key] for key in only}
    if len(content["candidates"]) < 2:
        raise ConfigError(f"race={name}: {len(content['candidates'])} candidate; a race needs two")
    return RaceConfig.of(content)


def record_errors(kind: type[Record], path: str, content: Mapping[str, Any]) -> list[str]:
    """What is wrong with a section of a race's config."""
    definition = locate(f"{__name__}.{kind.__name__}")
    assert definition is not None
    return list(record_problems(path, content, fields(definition).values()))
