"""Under SLURM: a job that is about to be stopped asks for its next turn, and goes on in it."""

import os
import signal
import subprocess
from pathlib import Path

from genlab.runs.directory import JOB_DIRECTORY, Run, list_runs
from genlab.system.terminal import say, warn

__all__ = ["job_of_slurm", "requeue", "requeued_run"]

WARNINGS = [getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name)]
"""What ``sbatch --signal=USR1@90`` and submitit send before a job's time is up."""


def job_of_slurm() -> str | None:
    """The SLURM job that this process is; the jobs of a sweep are their launcher's business."""
    if JOB_DIRECTORY in os.environ:
        return None
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def requeue(received: int | None) -> None:
    """Puts the job back into SLURM's queue if it was a warning that stopped it; says how it went.

    Args:
        received: The signal.
    """
    job = job_of_slurm()
    if job is None or received not in WARNINGS:
        return
    try:
        done = subprocess.run(
            ["scontrol", "requeue", job], capture_output=True, text=True, timeout=60, check=False
        )
        problem = None if done.returncode == 0 else done.stderr.strip() or f"exit {done.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    if problem is None:
        say(f"requeued as SLURM job {job}; it goes on there by itself")
    else:
        warn(f"scontrol requeue {job} failed: {problem.splitlines()[0]}")


def requeued_run(root: Path) -> Run | None:
    """The run that this SLURM job began in an earlier turn; None in its first one."""
    job = job_of_slurm()
    if job is None or not int(os.environ.get("SLURM_RESTART_COUNT") or 0) or not root.is_dir():
        return None
    mine = [run for run in list_runs(root) if run.read("run.json").get("slurm_job") == job]
    return mine[-1] if mine else None
