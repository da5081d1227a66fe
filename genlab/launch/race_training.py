"""Jobs of a race in a worker's process: trains a run up to an amount, and measures it."""

import gc
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.config.check import check, resolved
from genlab.config.overrides import key_of
from genlab.config.saved import load_config, save_config
from genlab.launch.compose import compose
from genlab.launch.resumed import config_and_run
from genlab.racing.jobs_of_race import Job
from genlab.runs.directory import JOB_DIRECTORY, Run
from genlab.sweeps.supervise import quoted
from genlab.system.locks import is_held

if TYPE_CHECKING:
    from genlab.config.schema import Train
    from genlab.experiment.race_jobs import Measurer

__all__ = ["JobRunner"]

PATIENCE = 120
"""Seconds to wait for the worker of a killed race, which is keeping its run's state."""


class JobRunner:
    """Does one job after the other.

    Args:
        root: The race's directory.
        folder: The user's own configs.
    """

    def __init__(self, root: Path, folder: Path | None):
        self.root = root
        self.folder = folder
        self.measurers: dict[str, Measurer] = {}

    def __call__(self, job: Job) -> dict[str, Any]:
        """What a job finds.

        Raises:
            GenlabError: The candidate cannot be trained, or diverged.
        """
        if job.kind == "inspect":
            from genlab.experiment.race_jobs import facts_of

            cfg, _ = compose("train", job.overrides, self.folder)
            return facts_of(check(cfg, "train"), job.objective, job.samples)
        reset_peak()
        started = time.perf_counter()
        run, config, before = self.train(job)
        spent = time.perf_counter() - started
        found = self.measured(job, run, config)
        summary = run.read("summary.json")
        trained = summary["train_seconds"]
        if job.kind == "profile":
            found["overhead"] = spent - trained + found.pop("measuring")
            found["memory"] = peak_mib()
            found["images_per_second"] = summary["images_seen"] / max(trained, 1e-9)
            found["parameters"] = summary["parameters"]
            found["batch"] = config.data["batch_size"] * config.trainer.accumulate
        else:
            found["overhead"] = time.perf_counter() - started - (trained - before)
        gc.collect()
        return found | {"images_seen": summary["images_seen"], "seconds": trained}

    def train(self, job: Job) -> tuple[Run, "Train", float]:
        """Trains a run up to the job's amount, from its checkpoint where it has one.

        Returns:
            The run, its config, and the seconds that it had trained before.
        """
        from genlab.experiment.train_run import train_run

        run = Run(self.root / job.directory)
        wait_for(run)
        begun = run.config_file.is_file() and (run.path / "run.json").is_file()
        end = [f"trainer.max_images={job.amount:.0f}", "trainer.max_time=null"]
        if job.unit == "seconds":
            end = [
                "trainer.max_images=null",
                "trainer.epochs=null",
                f"trainer.max_time={job.amount}",
            ]
        end.append(f"trainer.chunk={job.chunk}")
        if begun:
            trust = [word for word in job.overrides if key_of(word) == "trust"]
            words = [f"run={quoted(str(run.path))}", *trust, *end]
            cfg, invocation = compose("train", words, self.folder)
            cfg, resumed = config_and_run(cfg, invocation.overrides)
        else:
            run.path.mkdir(parents=True, exist_ok=True)
            words = [*job.overrides, *end]
            cfg, invocation = compose("train", words, self.folder)
            resumed = None
        config = check(cfg, "train")
        before = run.read("summary.json").get("train_seconds", 0.0) if begun else 0.0
        if not (begun and arrived(run, job)):
            with as_job(run, words):
                train_run(config, invocation, resumed, close=False)
            note_end(run, config)
        return run, config, before

    def measured(self, job: Job, run: Run, config: "Train") -> dict[str, Any]:
        """What is measured of the run."""
        from genlab.experiment.race_jobs import measurer

        key = f"{job.objective} {config.data}"
        if key not in self.measurers:
            self.measurers[key] = measurer(config, job.objective)
        by = self.measurers[key]
        if job.kind == "profile":
            by.load(run)  # what is fitted or read once is no cost of each measurement
            return {"measuring": by.seconds(run, job.samples)}
        return by.measure(run, job.samples, job.split, keep_items=job.split == "test")


@contextmanager
def as_job(run: Run, words: Sequence[str]) -> Iterator[None]:
    """Inside, this process looks like one that was started to train a run in its directory."""
    argv, sys.argv = sys.argv, ["genlab", "train", *words]
    os.environ[JOB_DIRECTORY] = str(run.path)
    try:
        yield
    finally:
        sys.argv = argv
        del os.environ[JOB_DIRECTORY]


def note_end(run: Run, config: "Train") -> None:
    """Lets a run's own config say to what it was trained: seeds of a candidate are one setting."""
    content = load_config(run.config_file)
    for key in ("max_images", "max_time", "epochs", "chunk"):
        content.trainer[key] = getattr(config.trainer, key)
    plain = resolved(content)[0]
    save_config(plain, run.config_file)


def arrived(run: Run, job: Job) -> bool:
    """True if a run came to the job's amount before its race was killed."""
    if run.read("run.json").get("status") != "trained":
        return False
    summary = run.read("summary.json")
    seen = summary["images_seen"] if job.unit == "images" else summary["train_seconds"]
    return bool(seen >= job.amount)


def wait_for(run: Run) -> None:
    """Waits until nobody else trains a run."""
    ends = time.monotonic() + PATIENCE
    while is_held(run.path / ".lock") and time.monotonic() < ends:
        time.sleep(0.2)


def reset_peak() -> None:
    """Lets the peak of the process's memory begin anew, where the kernel can."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    except OSError:
        return  # the peak is then that of all jobs so far, an upper bound


def peak_mib() -> float:
    """Peak of this process's memory in MiB."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(x.split()[1]) / 1024 for x in lines if x.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
