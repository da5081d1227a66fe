"""genlab race: which family and which setting is best for this data within this budget."""

import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genlab.commands.parser import Parser
from genlab.config.folders import config_dir, config_folder
from genlab.config.home import expand_words
from genlab.config.overrides import key_of, options
from genlab.errors import ConfigError, GenlabError, nearest
from genlab.racing.decided import Decided
from genlab.racing.directory_of_race import RaceDirectory, find_race
from genlab.racing.journal import Journal
from genlab.racing.planning import check_profile_fits
from genlab.racing.race_settings import OWN, Budget, RaceRecord, read_race_config
from genlab.system.secrets import redact

__all__ = ["run"]

KEYS = ("budget", "race", "only", "seed", "workers", "threads", "name", "root", *OWN)
"""Keys of the race itself; all others are the candidates'."""

IMAGES = re.compile(r"(\d[\d_]*) ?images?")

ENDLESS = ("constant", "plateau")
"""Schedulers that need not know when a run ends."""

HELP = """\
usage: genlab race data=NAME budget=30m [race=quick|families|thorough] [key=value ...]
       genlab race resume DIR        go on with a race that was stopped or killed;
                                     seeds=6: more runs of the finalists, until they are told apart
       genlab race status DIR        how it stands; --json for all of it

Which of several models is best for this data within this budget, and can the number be trusted?
Successive halving over resumable runs, then a verdict with its certainty, and a page.

  budget=30m          wall time of the whole race, or budget=200000images, the same on every machine
  race=quick          the candidates, a config of the group race/ (families)
  only=vae,gan        these of them
  objective=fd        what decides: fd, kd, bpd, nll, fd_pixels ...
  eta, finalists, seeds, samples, least     other than the race's config has them
  seed=0              of the first run of each candidate
  workers, threads    runs at a time on this machine, and CPU threads of each
  name, root          of the race's directory
  --config-dir DIR    take configs from DIR, too, before those of genlab

Any other key=value goes to every candidate: data.limit=1000, trainer.accelerator=gpu.
"""


def run(argv: Sequence[str]) -> int:
    """Starts a race, resumes one or shows how one stands; loads no torch.

    Raises:
        ConfigError: Something that was typed is wrong, or the race cannot be run so.
        GenlabError: The race came to no end.
    """
    if not argv or "--help" in argv or "-h" in argv:
        print(HELP, end="")
        return 0 if argv else 2
    if argv[0] not in ("resume", "status"):
        return go(start(argv))
    parser = Parser(prog=f"genlab race {argv[0]}")
    parser.add_argument("race", metavar="DIR", help="the race's directory, or last")
    parser.add_argument("--root", default="runs", help="where to look for the last one")
    if argv[0] == "status":
        parser.add_argument("--json", action="store_true", help="as JSON")
    else:
        parser.add_argument("more", nargs="*", metavar="seeds=N", help="more runs of the finalists")
    args = parser.parse_args(list(argv[1:]))
    place = find_race(args.race, Path(args.root))
    if argv[0] == "resume":
        folder = place.record().folder
        if not Path(folder).is_dir():
            raise ConfigError(f"{place.shown()}: was started in {folder}, which is not there")
        seeds = more_seeds(place, args.more)
        os.chdir(folder)
        return go(place, seeds)
    show(place, args.json)
    return 0


def start(argv: Sequence[str]) -> RaceDirectory:
    """The directory of a new race, everything typed checked."""
    from genlab.launch.race_run import machine_share, misfits_of

    # The words
    folder = config_folder(argv)
    own, words = split(argv)
    folders = [config_dir(), *([folder] if folder else [])]
    given = {key: value_of(key, own[key]) for key in OWN if key in own}
    only = [name for name in own.get("only", "").split(",") if name]
    config = read_race_config(own.get("race", "families"), folders, given, only)
    workers, threads = machine_share(
        len(config.candidates), *(whole(key, own.get(key)) for key in ("workers", "threads"))
    )
    record = RaceRecord(
        config=config,
        budget=budget_of(own.get("budget")),
        words=tuple(words),
        seed=whole("seed", own.get("seed", "0"), 0) or 0,
        workers=workers,
        threads=threads,
        folder=os.getcwd(),
        config_dir=str(folder.resolve()) if folder else None,
    )
    # What can be wrong with the candidates is found before the directory is made
    misfits_of(record)
    data = next((word.partition("=")[2] for word in words if key_of(word) == "data"), "data")
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    name = own.get("name", f"{stamp}_race-{data}")
    root = Path(own.get("root", "runs"))
    check_profile_fits(record, len(record.candidates))
    return RaceDirectory.create(root, name, record, ["genlab", "race", *redact(list(argv))])


def split(argv: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The race's own keys, and the words for its candidates.

    Raises:
        ConfigError: A word is no ``key=value``, a key is given twice, or is the race's to set.
    """
    from genlab.launch.race_run import fixed_words

    own: dict[str, str] = {}
    words: list[str] = []
    rest = expand_words(list(argv))
    while rest:
        word = rest.pop(0)
        if word in ("--config-dir", "-cd"):
            rest[:1] = []
        elif not word.startswith("--config-dir="):
            key, sign, value = word.partition("=")
            if word.startswith("-") or not sign:
                known = ("resume", "status", "--config-dir", *(f"{key}=" for key in KEYS))
                raise ConfigError(f"{word}: key=value is needed{nearest(word, known)}")
            if key in KEYS:
                if key in own or not value:
                    raise ConfigError(f"{word}: {key} needs one value")
                own[key] = value
            else:
                words.append(word)
    if fixed := fixed_words(words):
        raise ConfigError(f"{fixed[0]}: the race sets it; budget= says how long it takes")
    for word in words:
        if key_of(word) == "scheduler" and word.partition("=")[2] not in ENDLESS:
            raise ConfigError(f"{word}: no run of a race knows its end; {' or '.join(ENDLESS)}")
    if not any(key_of(word) == "data" for word in words):
        names = ", ".join(options([config_dir()], "data"))
        raise ConfigError(f"data: no value; what is to be modelled? data={names}")
    typo = [word for word in words if "." not in key_of(word) and nearest(key_of(word), KEYS)]
    if typo and not any(key_of(word) in ("data", "trust") for word in typo):
        raise ConfigError(f"{typo[0]}: unknown key{nearest(key_of(typo[0]), KEYS)}")
    return own, words


def budget_of(text: str | None) -> Budget:
    """What was typed for the budget.

    Raises:
        ConfigError: It cannot be read.
    """
    from genlab.training.intervals import seconds_of

    if text is None:
        raise ConfigError("budget: no value; budget=30m, or budget=200000images")
    if match := IMAGES.fullmatch(text.strip()):
        if images := int(match[1].replace("_", "")):
            return Budget(images, "images")
        raise ConfigError(f"budget={text}: at least one image is needed")
    try:
        return Budget(seconds_of(text, "budget"), "seconds")
    except ConfigError:
        raise ConfigError(
            f"budget={text}: a time such as 90s, 30m or 2h, or 200000images, is needed"
        ) from None


def value_of(key: str, text: str) -> Any:
    """A value of the race's config as its type has it; the check of the config refuses others."""
    if key == "objective":
        return text
    try:
        return float(text) if key == "profile" else int(text.replace("_", ""))
    except ValueError:
        return text


def whole(key: str, text: str | None, least: int = 1) -> int | None:
    """A whole number that was typed, None where none was.

    Raises:
        ConfigError: It is none.
    """
    if text is None:
        return None
    if not text.isdecimal() or int(text) < least:
        raise ConfigError(f"{key}={text}: an integer >= {least} is needed")
    return int(text)


def more_seeds(place: RaceDirectory, words: Sequence[str]) -> int | None:
    """How many seeds of each finalist were asked for; None where none were.

    Raises:
        ConfigError: Something else was typed, or no more than there are.
    """
    if not words:
        return None
    key, sign, value = words[0].partition("=")
    if key != "seeds" or not sign or len(words) > 1:
        raise ConfigError(f"{words[-1]}: a resumed race keeps its settings; seeds=N may grow")
    seeds = whole("seeds", value)
    there = len(Decided(place.record(), Journal(place.journal)).seeds)
    if seeds is None or seeds < there:
        raise ConfigError(f"seeds={value}: the finalists have {there} each; more can be added")
    return seeds


def go(place: RaceDirectory, seeds: int | None = None) -> int:
    """Runs a race to its end, and writes its page."""
    from genlab.comparison.report.race_page import make_race_page
    from genlab.launch.race_run import run_race
    from genlab.system.paths import write_atomically

    print(f"race   {place.shown()}: every decision in decisions.jsonl", flush=True)
    try:
        run_race(place, tell, seeds)
    except (KeyboardInterrupt, SystemExit):
        print(f"stopped, all of it kept; resume: genlab race resume {place.shown()}", flush=True)
        raise
    except ConfigError:
        raise
    except GenlabError as error:
        raise GenlabError(f"{error}\nresume: genlab race resume {place.shown()}") from error
    folder = place.record().config_dir
    page = make_race_page(place, [Path(folder)] if folder else [])
    write_atomically(place.page, page.encode())
    print(f"page   {place.shown()}/race.html", flush=True)
    return 0


def tell(line: dict[str, Any]) -> None:
    """Prints a decision."""
    if line["event"] == "started":
        return
    who = line.get("candidate", "")
    if line["event"] == "measured" and line["seed"]:
        who += f" seed {line['seed']}"
    what = line["event"]
    if what == "fit":
        what = "in" if line["fits"] else "out"
    at = f"{line['elapsed']:7.1f} s"
    print(f"{at}  {what:8} {who}{': ' if who else ''}{line['reason']}", flush=True)
    for name, reason in line["out"].items() if line["event"] in ("plan", "rung") else ():
        print(f"{at}  {'out':8} {name}: {reason}", flush=True)


def show(place: RaceDirectory, as_json: bool) -> None:
    """Prints how a race stands."""
    from genlab.racing.standing import standing
    from genlab.system.locks import is_held

    journal = Journal(place.journal)
    found = standing(journal, place.record(), is_held(place.lock().path))
    if as_json:
        print(json.dumps({**found, "race": str(place.path), "decisions": journal.lines}, indent=2))
        return
    print(
        f"{place.shown()}: {found['state']}, {found['elapsed']:.0f} s of budget={found['budget']}"
    )
    width = max(map(len, found["candidates"]), default=0)
    for name, row in found["candidates"].items():
        print(f"  {name:{width}}  {row['state']:9}  {row['reason']}")
    if found["verdict"]:
        print(found["verdict"])
    elif found["state"] != "running":
        print(f"Next:\n  genlab race resume {place.shown()}", file=sys.stdout)
