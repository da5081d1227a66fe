"""Start-up: each command in a process of its own."""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benches.timing import Gauges, Spent

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


LIMITS = {"--help": 0.7, "list": 0.7, "train --cfg job": 2.5}
"""CPU seconds that an answer may take."""


def startup(say: Callable[[str], None]) -> dict[str, tuple[float, str]]:
    """Medians of five, after one to warm the disk's cache."""
    found = {}
    for words in LIMITS:
        say(words)
        run = command(*words.split())
        run()
        spent = [run() for _ in range(5)]
        found[f"genlab {words}"] = (statistics.median(s.cpu for s in spent), "s")
        found[f"genlab {words}, wall"] = (statistics.median(s.wall for s in spent), "s")
    return found


BENCHES = [Gauges("start-up", startup, {f"genlab {words}": s for words, s in LIMITS.items()})]
