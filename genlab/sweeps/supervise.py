"""Supervisor of a job: starts its process, waits for it, and records what became of it.

This runs wherever the launcher puts it: in the sweep's own process, in a worker of joblib, in a job
of SLURM or a task of Ray. It loads nothing heavy, and what happens to the training process, an
out-of-memory kill for one, does not happen to it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genlab.config.overrides import key_of
from genlab.runs.directory import JOB_DIRECTORY
from genlab.sweeps.jobs import Job, Sweep, job_id, summary_metrics
from genlab.sweeps.objective import Values, values_of
from genlab.sweeps.share import Share
from genlab.system.secrets import redact

__all__ = ["Supervisor", "quoted"]


STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""Signals at which a job keeps everything; any other is its death."""


@dataclass(frozen=True)
class Supervisor:
    """Runs a sweep's jobs; picklable, so that launchers can send it elsewhere.

    Args:
        sweep: The sweep.
        command: The command of the jobs.
        flags: Flags of genlab that a job's process must have, too.
        folder: Where the sweep was started: relative paths count from there.
        root: The directory of all runs.
        always: Overrides that a resumed job needs again: what it may not read from its run.
        group: What the runs belong to; None: the jobs' overrides say it.
        fixed: Keys that have the same value in all jobs, which need not be said of each.
        share: What each job gets of the machine.
        objective: The metrics to return, for a sweeper that optimizes.
    """

    sweep: Sweep
    command: str
    flags: tuple[str, ...]
    folder: Path
    root: Path
    always: tuple[str, ...] = ()
    group: str | None = None
    fixed: frozenset[str] = frozenset()
    share: Share = field(default_factory=Share)
    objective: tuple[str, ...] = ()

    def __call__(self, overrides: Sequence[str]) -> Values:
        """Runs a job to its end, or returns what it came to before.

        Args:
            overrides: The job's.

        Returns:
            Its objective; None where it is not done.
        """
        identity = job_id(overrides)

        def waiting() -> None:
            print(f"sweep  {identity}: still runs from before; waits for it", flush=True)

        with self.share.taken(self.machine()) as environment:
            lock = self.sweep.lock(identity)
            lock.acquire(waiting=waiting)
            with lock:
                job = self.sweep.resolve(self.sweep.read_record(identity))
                if job.state != "done":
                    job = self.attempt(job, overrides, lock.descriptor, environment)
        return values_of(job, self.objective)

    def machine(self) -> Path:
        """The folder of this machine's slots."""
        return self.sweep.path / ".jobs" / f"slots-{os.uname().nodename}"

    def attempt(
        self, job: Job, overrides: Sequence[str], lock: int, environment: Mapping[str, str]
    ) -> Job:
        """Starts a job, or resumes it from its checkpoint, and records what became of it."""
        run = self.sweep.run(job.id)
        begun = run.config_file.is_file() and (run.path / "run.json").is_file()
        words = self.resume_words(run.path) if begun else self.start_words(overrides)
        job = self.sweep.begin(job)
        what = " ".join(redact([word for word in overrides if key_of(word) not in self.fixed]))
        print(f"sweep  {job.id} {'resumes' if begun else 'starts'}: {what}", flush=True)
        started = time.monotonic()
        code, interrupted = self.wait(job, words, lock, environment)
        job = self.sweep.end(job, time.monotonic() - started, **self.verdict(job, code))
        print(f"sweep  {job.id} {job.state}: {detail(job)}", flush=True)
        if interrupted:
            raise KeyboardInterrupt
        return job

    def start_words(self, overrides: Sequence[str]) -> list[str]:
        """The command line of a job that starts."""
        group = [] if self.group is None else [f"group={quoted(self.group)}"]
        return [self.command, *self.flags, *overrides, *group, "hydra.mode=RUN"]

    def resume_words(self, path: Path) -> list[str]:
        """The command line of a job that is resumed."""
        places = [f"run={quoted(str(path))}", f"root={quoted(str(self.root))}"]
        return [self.command, *self.flags, *places, *self.always]

    def wait(
        self, job: Job, words: Sequence[str], lock: int, environment: Mapping[str, str]
    ) -> tuple[int, bool]:
        """Runs a job's process to its end, through a Ctrl-C that it gets, too; a second one kills.

        Returns:
            Its exit code, as `subprocess` has it, and whether there was a Ctrl-C.
        """
        log = self.sweep.log(job.id)
        log.parent.mkdir(mode=0o700, exist_ok=True)
        inherited = {k: v for k, v in os.environ.items() if k != "WANDB_RUN_ID"}  # one run's alone
        with (
            log.open("ab") as output,
            subprocess.Popen(
                [sys.executable, "-m", "genlab.cli.child", *words],
                stdin=subprocess.PIPE,  # the lifeline
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**inherited, **environment, JOB_DIRECTORY: str(log.parent)},
                pass_fds=(lock,),
            ) as process,
        ):
            interruptions = 0
            while True:
                try:
                    return process.wait(), interruptions > 0
                except KeyboardInterrupt:
                    interruptions += 1
                    if interruptions == 2:
                        process.kill()

    def verdict(self, job: Job, code: int) -> dict[str, Any]:
        """State, exit code, reason and metrics of a job whose process has ended.

        Args:
            job: The job.
            code: The process' exit code; minus the signal that ended it.
        """
        run = self.sweep.run(job.id)
        exit_code = 128 - code if code < 0 else code
        if code == 0:
            return {"state": "done", "exit_code": 0, "metrics": summary_metrics(run)}
        if exit_code - 128 in STOPS:
            what = signal.Signals(exit_code - 128).name
            return {"state": "interrupted", "exit_code": exit_code, "reason": f"stopped by {what}"}
        if code < 0:
            try:
                what = signal.Signals(-code).name
            except ValueError:
                what = f"signal {-code}"
            hint = "; the machine may be out of memory" if -code == signal.SIGKILL else ""
            return {"state": "killed", "exit_code": exit_code, "reason": f"{what}{hint}"}
        return {"state": "failed", "exit_code": code, "reason": reason(self.sweep.log(job.id))}


def reason(log: Path) -> str:
    """The reason why a process failed: the last line it printed that says so."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 20000))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    said = [line for line in lines if line]
    errors = [line.partition("error: ")[2] for line in said if line.startswith("genlab: error: ")]
    text = errors[-1] if errors else (said[-1] if said else "it said nothing")
    return str(redact(text))[:400]


def detail(job: Job) -> str:
    """The outcome of a job, for a person."""
    if job.state != "done":
        return f"{job.reason}"
    number = next((item for item in job.metrics.items() if item[0] != "best"), None)
    return f"{job.seconds:.0f} s" + (f", {number[0]} {number[1]:.4g}" if number else "")


def quoted(text: str) -> str:
    """A text as a value of Hydra's override grammar.

    Example:
        >>> quoted("runs/a b's")
        "'runs/a b\\\\'s'"
    """
    escaped = text.replace("\\", "\\\\") if text.endswith("\\") else text
    return "'" + escaped.replace("'", "\\'") + "'"
