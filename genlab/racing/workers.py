"""Workers of a race: processes that each do one job at a time, and are replaced when they die.

What happens to a worker, an out-of-memory kill for one, ends the candidate whose job it had, with
the reason, and never the race.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from genlab.errors import GenlabError, StorageError
from genlab.racing.jobs_of_race import Job, Outcome
from genlab.runs.directory import JOB_DIRECTORY

__all__ = ["WorkerPool"]

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that somebody sends who wants a process to stop; no candidate is to blame for them."""

PATIENCE = 60
"""Seconds that a worker has to keep the state of its run."""


@dataclass
class Worker:
    """A worker's process.

    Args:
        process: The process.
        job: What it does now.
        until: When it is given up.
        heard: What it has said of its answer so far.
    """

    process: "subprocess.Popen[bytes]"
    job: Job | None = None
    until: float | None = None
    heard: bytes = b""


@dataclass
class WorkerPool:
    """The workers of a race.

    Args:
        root: The race's directory.
        folder: Where the race was started.
        environments: Environment variables of each worker: its threads, its GPU.
        config_dir: The user's own configs.
        command: What starts a worker.
    """

    root: Path
    folder: Path
    environments: Sequence[Mapping[str, str]]
    config_dir: str | None = None
    command: Sequence[str] = (sys.executable, "-m", "genlab.cli.race_worker")
    workers: dict[int, Worker] = field(default_factory=dict)

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __call__(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Does jobs, as many at a time as there are workers; yields what came of each.

        Raises:
            GenlabError: A worker was asked to stop by somebody else.
            StorageError: A disk is full, which is no candidate's fault.
        """
        waiting = deque(jobs)
        while waiting or any(worker.job for worker in self.workers.values()):
            for slot in range(len(self.environments)):
                if waiting and (slot not in self.workers or self.workers[slot].job is None):
                    self.give(slot, waiting.popleft())
            for slot, failed in self.listen():
                worker = self.workers[slot]
                assert worker.job is not None
                job, worker.job = worker.job, None
                if failed is not None:
                    self.bury(self.workers.pop(slot))
                    yield Outcome(job, failed=failed)
                else:
                    line, _, worker.heard = worker.heard.partition(b"\n")
                    yield outcome(job, json.loads(line))

    def give(self, slot: int, job: Job) -> None:
        """Gives a job to a worker, which is started if it is not there."""
        if slot not in self.workers:
            self.workers[slot] = self.start(slot)
        worker = self.workers[slot]
        worker.job, worker.heard = job, b""
        worker.until = None if job.timeout is None else time.monotonic() + job.timeout
        assert worker.process.stdin is not None
        try:
            worker.process.stdin.write(json.dumps(job.plain()).encode() + b"\n")
            worker.process.stdin.flush()
        except BrokenPipeError:
            return  # it is dead, and `listen` will find out why

    def start(self, slot: int) -> Worker:
        """A new worker, in a session of its own: a Ctrl-C is the race's, who tells it."""
        inherited = {
            k: v for k, v in os.environ.items() if k not in ("WANDB_RUN_ID", JOB_DIRECTORY)
        }
        process = subprocess.Popen(
            [*self.command, str(self.root), self.config_dir or ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env={**inherited, **self.environments[slot]},
            start_new_session=True,
        )
        return Worker(process)

    def listen(self) -> list[tuple[int, str | None]]:
        """Waits until a worker has answered, died or taken too long.

        Returns:
            The slots, each with the reason why it failed, or None.
        """
        busy = {slot: worker for slot, worker in self.workers.items() if worker.job}
        with selectors.DefaultSelector() as selector:
            for slot, worker in busy.items():
                selector.register(worker.process.stdout, selectors.EVENT_READ, slot)  # type: ignore[arg-type]
            ready = [key.data for key, _ in selector.select(timeout=1.0)]
        found: list[tuple[int, str | None]] = []
        for slot, worker in busy.items():
            assert worker.process.stdout is not None
            if slot in ready:
                said = os.read(worker.process.stdout.fileno(), 65536)
                worker.heard += said
                if not said:
                    found.append((slot, self.death(worker)))
                elif b"\n" in worker.heard:
                    found.append((slot, None))
            elif worker.until is not None and time.monotonic() > worker.until:
                worker.process.kill()
                worker.process.wait()
                assert worker.job is not None
                found.append((slot, f"took longer than {worker.job.timeout:,.0f} s"))
        return found

    def death(self, worker: Worker) -> str:
        """Why a worker's process ended.

        Raises:
            GenlabError: Somebody asked it to stop.
        """
        code = worker.process.wait()
        number = -code if code < 0 else code - 128
        names = {known.value: known.name for known in signal.Signals}
        if number in STOPS:
            raise GenlabError(f"a worker was stopped by {names[number]}; resume the race")
        if code < 0:
            hint = "; the machine may be out of memory" if number == signal.SIGKILL else ""
            return f"killed by {names.get(number, number)}{hint}"
        return f"its process ended with exit code {code}; output.log may say why"

    def bury(self, worker: Worker) -> None:
        """Closes what is left of a worker whose process has ended."""
        for pipe in (worker.process.stdin, worker.process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # what was written to it was not read
                pipe.close()

    def close(self) -> None:
        """Ends all workers; one that trains keeps its run's state first."""
        for worker in self.workers.values():
            assert worker.process.stdin is not None
            with suppress(BrokenPipeError):  # it is gone
                worker.process.stdin.close()
        ends = time.monotonic() + PATIENCE
        for worker in self.workers.values():
            try:
                worker.process.wait(max(0.1, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            self.bury(worker)
        self.workers.clear()


def outcome(job: Job, answer: Mapping[str, object]) -> Outcome:
    """What came of a job, by its worker's answer.

    Raises:
        StorageError: A disk is full.
    """
    if "values" in answer:
        values = answer["values"]
        assert isinstance(values, dict)
        return Outcome(job, values)
    if answer.get("of_the_machine"):
        raise StorageError(str(answer["failed"]))
    return Outcome(job, failed=str(answer["failed"]))
