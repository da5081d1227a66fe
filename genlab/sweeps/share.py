"""Share of a machine for each of several jobs at a time: its threads, and one GPU."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genlab.system.locks import Lock

__all__ = ["Share", "gpus", "share_of"]

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Share:
    """Division of a machine among a launcher's jobs.

    Args:
        slots: How many jobs run at a time on one machine; None leaves that to the launcher.
        threads: CPU threads of a job; None takes what the environment says.
        deal: Deal out the machine's GPUs, one each; a scheduler does it itself.
    """

    slots: int | None = None
    threads: int | None = None
    deal: bool = False

    @contextmanager
    def taken(self, folder: Path) -> Iterator[dict[str, str]]:
        """Environment variables of one job, which waits for its turn first.

        Args:
            folder: Where the locks of the slots lie, one folder a machine.
        """
        threads = {} if self.threads is None else dict.fromkeys(THREADS, str(self.threads))
        environment = {name: os.environ.get(name, value) for name, value in threads.items()}
        if self.slots is None:
            yield environment
            return
        slot, lock = free_slot(folder, self.slots)
        with lock:
            if self.deal and (found := gpus()):
                environment["CUDA_VISIBLE_DEVICES"] = found[slot % len(found)]
            yield environment


def free_slot(folder: Path, slots: int) -> tuple[int, Lock]:
    """The first slot that nobody has, taken; waits until there is one."""
    while True:
        for slot in range(slots):
            lock = Lock(folder / f"slot{slot}.lock")
            if lock.acquire(wait=False):
                return slot, lock
        time.sleep(0.2)


def share_of(launcher: Mapping[str, Any]) -> Share:
    """Share of a launcher's jobs, by its config.

    Args:
        launcher: ``hydra.launcher`` as plain data.
    """
    name = str(launcher["_target_"]).rpartition(".")[2]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = cores or 1
    if name == "JoblibLauncher":
        asked = int(launcher.get("n_jobs", -1))
        slots = asked if asked > 0 else max(1, cores + 1 + asked)
        return Share(slots, max(1, cores // slots), deal=True)
    if name == "LocalLauncher":  # it starts all jobs at once: the slots hold them back
        threads = launcher.get("cpus_per_task") or 1
        return Share(max(1, cores // threads), threads, deal=True)
    if name == "SlurmLauncher":
        return Share(None, launcher.get("cpus_per_task"))
    if name == "RayLauncher":
        asked = (launcher.get("ray") or {}).get("remote", {}).get("num_cpus")
        return Share(None, None if asked is None else max(1, int(asked)))
    return Share()


def gpus() -> list[str]:
    """The GPUs that jobs may use, by what CUDA_VISIBLE_DEVICES calls them; torch is not loaded."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []  # no driver: no GPU of this kind
    return listed.stdout.split()
