"""Process of a race's worker: does the jobs that it reads from its standard input, a line each.

It answers on its standard output, a JSON object a line; what training prints goes into the run's
output.log. Its standard input is also its lifeline: when it ends, the race is gone, and the worker
stops with all of it kept. One process does many jobs, so that torch is imported once.
"""

import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path

from genlab.cli.entry import plain_warnings
from genlab.errors import StorageError
from genlab.launch.messages import explain
from genlab.launch.race_training import JobRunner
from genlab.racing.jobs_of_race import Job
from genlab.system.secrets import redact
from genlab.system.signals import install, unwinding

__all__ = ["main"]


def main(root: str, folder: str = "") -> None:
    """Works until the race is over.

    Args:
        root: The race's directory.
        folder: The user's own configs, empty without.
    """
    install()
    plain_warnings(False)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    lines = read_lines()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    import genlab.commands.train  # before any job, whose time counts
    import genlab.experiment.race_jobs  # noqa: F401

    run_job = JobRunner(Path(root), Path(folder) if folder else None)
    while (line := lines.get()) is not None:
        job = Job(**json.loads(line))
        log = Path(root) / job.directory / "output.log"
        log.parent.mkdir(mode=0o700, exist_ok=True)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.close(output)
        answer = answered(run_job, job)
        sys.stdout.flush()
        for descriptor in (1, 2):
            os.dup2(null, descriptor)
        print(json.dumps(answer), file=answers, flush=True)


def answered(run_job: JobRunner, job: Job) -> dict[str, object]:
    """The answer to a job: what it found, or why it failed."""
    try:
        with unwinding():
            return {"values": run_job(job)}
    except Exception as error:
        known = explain(error)
        text = str(known) if known else f"{type(error).__name__}: {error}"
        if known is None:
            import traceback

            print(redact(traceback.format_exc()), file=sys.stderr, flush=True)
        reason = redact(" ".join(text.split()))[:400]
        return {"failed": reason, "of_the_machine": isinstance(known, StorageError)}


def read_lines() -> "queue.SimpleQueue[str | None]":
    """The lines of standard input as they come, then None; their end asks this process to stop."""
    found: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    lifeline = os.fdopen(os.dup(0), encoding="utf-8")

    def read() -> None:
        for line in lifeline:
            found.put(line)
        found.put(None)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=read, daemon=True, name="lifeline").start()
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
