"""A race on this machine: its candidates composed, its workers started, its journal told."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from genlab.config.check import check
from genlab.config.overrides import key_of
from genlab.errors import ConfigError
from genlab.launch.compose import compose
from genlab.racing.directory_of_race import RaceDirectory
from genlab.racing.halving import Race
from genlab.racing.jobs_of_race import items_of
from genlab.racing.journal import Journal
from genlab.racing.race_settings import RaceRecord
from genlab.racing.verdict import Verdict
from genlab.racing.workers import WorkerPool
from genlab.sweeps.share import gpus
from genlab.system.signals import unwinding

__all__ = ["fixed_words", "machine_share", "misfits_of", "run_race"]

MISFIT = "model: "
"""Begins the line about a model that does not take the data."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")

MIB_A_WORKER = 2000
"""Memory that a worker is taken to need, before any was seen."""


def misfits_of(record: RaceRecord) -> dict[str, str]:
    """Candidates that do not suit the data, by the check of their configs; nothing is loaded.

    Raises:
        ConfigError: A config is wrong otherwise.
    """
    folder = Path(record.config_dir) if record.config_dir else None
    refused = {}
    for name in record.candidates:
        cfg, _ = compose("train", record.overrides(name, record.seed), folder)
        try:
            check(cfg, "train")
        except ConfigError as error:
            if not str(error).startswith(MISFIT) or "\n" in str(error):
                raise ConfigError(f"{error} (candidate {name})") from None
            refused[name] = str(error).removeprefix(MISFIT)
    return refused


def machine_share(candidates: int, workers: int | None, threads: int | None) -> tuple[int, int]:
    """Workers and threads of each that use the machine well: one a GPU, else one a core.

    Args:
        candidates: How many there are: more workers would have nothing to do.
        workers: As typed; None chooses.
        threads: As typed; None divides the cores.

    Raises:
        ConfigError: More threads than the machine has.
    """
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    if workers is None:
        by_memory = int((available_mib() or 1e9) // MIB_A_WORKER)
        many = len(gpus()) or cores // (threads or 1)
        workers = max(1, min(many, candidates, by_memory))
    threads = threads or max(1, cores // workers)
    if workers * threads > cores:
        raise ConfigError(f"workers={workers} threads={threads}: this machine has {cores} cores")
    return workers, threads


def available_mib() -> float | None:
    """MiB of memory that are free, None where that is not known."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(x.split()[1]) / 1024 for x in lines if x.startswith("MemAvailable")), None)


def environments(record: RaceRecord) -> list[Mapping[str, str]]:
    """Environment variables of each worker."""
    found: list[Mapping[str, str]] = []
    there = gpus()
    for slot in range(record.workers):
        threads = dict.fromkeys(THREADS, str(record.threads))
        gpu = {"CUDA_VISIBLE_DEVICES": there[slot % len(there)]} if there else {}
        found.append(threads | gpu)
    return found


def run_race(
    place: RaceDirectory, tell: Callable[[dict[str, Any]], None], seeds: int | None = None
) -> Verdict:
    """Runs a race to its end, from wherever it is.

    Args:
        place: Its directory.
        tell: Called with each decision.
        seeds: Runs of each finalist, more than before; None leaves their number.

    Raises:
        ConfigError: Another process runs it.
        GenlabError: See `Race.run`.
    """
    lock = place.lock()
    if not lock.acquire(wait=False):
        raise ConfigError(f"{place.shown()}: another process runs this race")
    with lock, unwinding():
        record = place.record()
        journal = Journal(place.journal, tell=tell)
        journal.repair()
        refused = {} if journal.all("fit") else misfits_of(record)
        memory = available_mib()
        folder = Path(record.folder)
        with WorkerPool(place.path, folder, environments(record), record.config_dir) as pool:
            race = Race(
                record,
                journal,
                pool,
                None if memory is None else memory / record.workers,
                lambda directory: items_of(place.path / directory),
            )
            return race.run(refused, seeds)


def fixed_words(words: Sequence[str]) -> list[str]:
    """The words that set what the race sets itself."""
    return [word for word in words if key_of(word) in FIXED]


FIXED = (
    "run", "name", "root", "seed", "trainer.max_images", "trainer.max_time", "trainer.epochs",
    "trainer.threads", "trainer.progress", "trainer.chunk", "group", "init_from",
)  # fmt: skip
"""Keys that the race sets."""
