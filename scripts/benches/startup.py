"""Start-up: each command in a process of its own."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from benches.timing import Bench, Spent, Variant

__all__ = ["BENCHES"]


def command(*words: str) -> Callable[[], Spent]:
    """The CPU time of a child is what the kernel adds up when it ends."""

    def run() -> Spent:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "genlab", *words],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        wall = time.perf_counter() - wall
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Spent(cpu, wall, 1)

    return run


def startup() -> Sequence[Variant]:
    return [
        Variant("genlab --help", command("--help")),
        Variant("genlab list", command("list")),
        Variant("genlab train --cfg job", command("train", "--cfg", "job")),
    ]


BENCHES = [Bench("start-up", "calls", startup)]
