"""Follower of run directories: keeps the dashboard's store equal to what lies below a root."""

import time
from pathlib import Path
from typing import NoReturn

from genlab.dashboard.run_reader import Rewound, RunReader
from genlab.dashboard.store import Store
from genlab.runs.directory import Run, list_runs
from genlab.system.terminal import notice

__all__ = ["Follower"]

INTERVAL = 0.5
"""Seconds between two polls."""

LONGEST_INTERVAL = 2.0
"""Seconds between two polls where thousands of runs make a poll long."""


class Follower:
    """Copies run directories into a store, and at each poll what is new of them.

    Args:
        root: Where the runs lie.
        store: The store.
    """

    def __init__(self, root: Path, store: Store):
        self.root, self.store = root, store
        self.readers: dict[str, RunReader] = {}
        self.problems: set[str] = set()

    def follow(self) -> NoReturn:
        """Polls until it is interrupted; looking for changes takes a tenth of the time at most.

        Raises:
            StorageError: The store cannot be written to.
        """
        while True:
            begun = time.monotonic()
            self.poll()
            spent = time.monotonic() - begun
            time.sleep(min(max(INTERVAL, 10 * spent), LONGEST_INTERVAL))

    def poll(self) -> None:
        """Copies what is new, of the newest run first, and forgets the runs that were deleted.

        Raises:
            StorageError: The store cannot be written to.
        """
        try:
            runs = {run.name_below(self.root): run for run in reversed(list_runs(self.root))}
        except FileNotFoundError:  # a folder was deleted while it was looked through
            return
        for name in self.readers.keys() - runs.keys():
            self._forget(name)
        for name, run in runs.items():
            try:
                self._update(name, run)
            except FileNotFoundError:  # it has logged nothing yet, or is being deleted
                continue
            except (OSError, TypeError, ValueError) as error:
                self._report(f"{run.path}: not all of it can be shown ({error})")

    def _update(self, name: str, run: Run) -> None:
        reader = self.readers.get(name) or RunReader(run)
        if not reader.changed():
            return
        try:
            new = reader.read()
        except Rewound:
            self._forget(name)
            reader = RunReader(run)
            new = reader.read()
        self.readers[name] = reader
        if new is not None:
            self.store.write(name, new)

    def _forget(self, name: str) -> None:
        del self.readers[name]
        self.store.forget(name)

    def _report(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.add(problem)
            notice(f"genlab: warning: {problem}")
