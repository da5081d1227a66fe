"""Sweep directory: its jobs, the state of each, and the locks of those that run now.

runs/<sweep>/
    sweep.json        the command that made it, without secrets
    manifest.jsonl    one line a job: id, overrides, state, directory, exit code, metrics
    <id>/             a job's run directory, named by a hash of its overrides
    .jobs/<id>.json   a job's record, written by the one process that has the job
    .jobs/<id>.lock   held while the job runs, by its process and the one that waits for it

The records lie in files of their own, so that jobs on several machines need no common lock; the
manifest is put together from them. Imports nothing heavy.
"""

import hashlib
import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from genlab.errors import ConfigError
from genlab.runs.directory import Run
from genlab.system.clock import now
from genlab.system.locks import Lock, is_held
from genlab.system.paths import write_atomically, write_json
from genlab.system.secrets import redact

__all__ = ["Job", "State", "Sweep", "job_id", "summary_metrics"]

State = Literal["pending", "running", "done", "failed", "killed", "interrupted"]
MARK = "sweep.json"


@dataclass(frozen=True)
class Job:
    """Record of a job: a line of the manifest.

    Args:
        id: Hash of the overrides, which names the run directory, too.
        number: Its place in the sweep, from 0.
        overrides: What it sets beyond the defaults, without secrets.
        state: ``pending``, ``running``, ``done``, ``failed`` (ended by an error), ``killed`` (ended
            by a signal) or ``interrupted`` (stopped with all of it kept).
        exit_code: Of its last process; 128 + n where signal n ended it.
        reason: Why it is not done, in a line.
        attempts: Each start of it: when, where, and the images seen that it resumed from.
        seconds: Wall-clock seconds of all attempts.
        metrics: What the run's summary says.
    """

    id: str
    number: int
    overrides: tuple[str, ...]
    state: State = "pending"
    exit_code: int | None = None
    reason: str | None = None
    attempts: tuple[Mapping[str, Any], ...] = ()
    seconds: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)

    def line(self) -> dict[str, Any]:
        """The record as JSON can hold it."""
        return asdict(self) | {"directory": self.id}


def job_id(overrides: Sequence[str]) -> str:
    """Name of a job: a hash of its overrides, whatever their order.

    Example:
        >>> job_id(["seed=1", "model=vae"]) == job_id(["model=vae", "seed=1"])
        True
        >>> job_id(["seed=../../x"])
        '13ac426c'
    """
    text = "\n".join(sorted(redact(list(overrides))))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Sweep:
    """A sweep's directory, as `genlab.runs.directory.Run` is a run's.

    Args:
        path: The directory, absolute: jobs may run in another one.
    """

    path: Path

    @classmethod
    def create(cls, path: Path, **metadata: Any) -> "Sweep":
        """Makes a new sweep's directory, readable by its owner alone.

        Raises:
            ConfigError: It exists, or cannot be made.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700)
        except FileExistsError:
            if (path / MARK).exists():
                raise ConfigError(
                    f"{path}: the sweep exists; resume it: genlab sweep resume {path}"
                ) from None
            raise ConfigError(f"{path} exists and is no sweep; choose another name=") from None
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written to ({error.strerror})") from None
        write_json(path / MARK, {"created": now(), **redact(metadata)})
        return cls(path.resolve())

    @classmethod
    def open(cls, path: Path) -> "Sweep":
        """A sweep's directory that exists.

        Raises:
            ConfigError: There is none.
        """
        if not (path / MARK).is_file():
            what = "is not a sweep's directory" if path.is_dir() else "does not exist"
            raise ConfigError(f"{path} {what}: it would hold {MARK} and manifest.jsonl")
        return cls(path.resolve())

    def shown(self) -> str:
        """The path as a person would type it."""
        return Run(self.path).shown()

    def metadata(self) -> dict[str, Any]:
        """The command that made the sweep, with its flags, overrides and folder.

        Raises:
            ConfigError: The file is damaged.
        """
        return Run(self.path).read(MARK)

    def run(self, job: str) -> Run:
        """A job's run directory, whether or not it exists yet."""
        return Run(self.path / job)

    def log(self, job: str) -> Path:
        """The file of what a job prints."""
        return self.path / job / "output.log"

    def lock(self, job: str) -> Lock:
        """The lock of a job, not taken yet."""
        return Lock(self.path / ".jobs" / f"{job}.lock")

    def add_jobs(self, jobs: Sequence[Sequence[str]], first: int = 0) -> list[Job]:
        """Writes the records of jobs that are to be run; those that have one keep it.

        Args:
            jobs: Their overrides.
            first: The number of the first.

        Returns:
            The jobs in their order; equal overrides are one and the same job.
        """
        known = {job.id: job for job in self.jobs()}
        added = []
        for number, overrides in enumerate(jobs, first):
            identity = job_id(overrides)
            if identity not in known:
                job = Job(identity, number, tuple(redact(list(overrides))))
                known[identity] = self.write_record(job)
            added.append(known[identity])
        self.write_manifest()
        return added

    def write_record(self, job: Job) -> Job:
        """Writes a job's record; only the holder of its lock does, once it may run."""
        write_json(self.path / ".jobs" / f"{job.id}.json", job.line())
        return job

    def job(self, identity: str) -> Job:
        """A job as it is now; one that was cut off is judged by what it left."""
        job = self.read_record(identity)
        if job.state != "running" or is_held(self.lock(identity).path):
            return job
        return self.resolve(self.read_record(identity))  # it may just have ended, and said so

    def resolve(self, job: Job) -> Job:
        """A job that nobody runs; one whose record says ``running`` was cut off."""
        return cut_off(job, self.run(job.id)) if job.state == "running" else job

    def read_record(self, identity: str) -> Job:
        """A job's record as it was written.

        Raises:
            ConfigError: It is damaged.
        """
        path = self.path / ".jobs" / f"{identity}.json"
        try:
            line = json.loads(path.read_text(encoding="utf-8"))
            del line["directory"]
            job = Job(**line)
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{path} is damaged: {error}; without it, the job starts") from None
        if job.state not in get_args(State):
            raise ConfigError(f"{path} is damaged: state {job.state!r}")
        return replace(job, overrides=tuple(job.overrides), attempts=tuple(job.attempts))

    def jobs(self) -> list[Job]:
        """All jobs as they are now, in their order."""
        found = [self.job(file.stem) for file in (self.path / ".jobs").glob("*.json")]
        return sorted(found, key=lambda job: (job.number, job.id))

    def write_manifest(self) -> list[Job]:
        """Writes manifest.jsonl from the records.

        Returns:
            The jobs in it.
        """
        with Lock(self.path / ".jobs" / "manifest.lock"):
            jobs = self.jobs()
            lines = "".join(json.dumps(job.line()) + "\n" for job in jobs)
            write_atomically(self.path / "manifest.jsonl", lines.encode())
        return jobs

    def begin(self, job: Job) -> Job:
        """Records that a job starts or resumes."""
        attempt = {"started": now(), "host": socket.gethostname(), "pid": os.getpid()}
        attempts = (*job.attempts, attempt)
        return self.update(
            replace(job, state="running", exit_code=None, reason=None, attempts=attempts)
        )

    def end(self, job: Job, seconds: float, **values: Any) -> Job:
        """Records what became of a job after so many more seconds."""
        job = with_start(job, self.run(job.id))
        return self.update(replace(job, seconds=round(job.seconds + seconds, 3), **values))

    def update(self, job: Job) -> Job:
        """Writes a job's record and the manifest."""
        self.write_record(job)
        self.write_manifest()
        return job


def cut_off(job: Job, run: Run) -> Job:
    """The record of a job whose process and supervisor are both gone, by what the run says."""
    job = with_start(job, run)
    status = run.read("run.json").get("status")
    if status == "finished":
        return replace(job, state="done", exit_code=0, metrics=summary_metrics(run))
    if status == "interrupted":
        return replace(job, state="interrupted", reason="stopped with the sweep")
    if status in ("failed", "diverged"):
        return replace(job, state="failed", reason="an error; output.log has it")
    return replace(job, state="killed", reason="its process is gone; it may have been killed")


def with_start(job: Job, run: Run) -> Job:
    """The record whose last attempt has the images seen that it started from, once known."""
    start = run.read("run.json").get("started_from")
    if not job.attempts or start is None or "images_seen" in job.attempts[-1]:
        return job
    last = {**job.attempts[-1], "images_seen": start}
    return replace(job, attempts=(*job.attempts[:-1], last))


def summary_metrics(run: Run) -> dict[str, float]:
    """The numbers of a run's summary: its metrics, what made its best checkpoint, and its costs.

    ``best`` is the value of the monitored metric, under whatever name; ``seconds`` are those of
    training alone.
    """
    summary = run.read("summary.json")
    found: dict[str, Any] = {}
    if summary.get("best_metric") and summary.get("best") is not None:
        found |= dict.fromkeys(("best", str(summary["best_metric"])), summary["best"])
    found |= summary.get("metrics") or {}
    costs = {"images_seen": "images_seen", "parameters": "parameters", "seconds": "train_seconds"}
    found |= {key: summary.get(name) for key, name in costs.items()}
    return {key: float(value) for key, value in found.items() if value is not None}
