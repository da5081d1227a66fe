"""Process of a job: `genlab` as always, which stops with all of it kept when the sweep dies.

Its standard input is the lifeline: the process that waits for the job holds the other end, and the
kernel closes that when it is gone, however it went.
"""

import os
import signal
import sys
import threading

from genlab.cli.entry import main

__all__ = ["watch_lifeline"]


def watch_lifeline() -> None:
    """Asks this process to stop, as a scheduler would, when the lifeline ends."""

    def watch(lifeline: int) -> None:
        while os.read(lifeline, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    lifeline = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    threading.Thread(target=watch, args=(lifeline,), daemon=True, name="lifeline").start()


if __name__ == "__main__":
    watch_lifeline()
    sys.argv[0] = "genlab"
    sys.exit(main())
