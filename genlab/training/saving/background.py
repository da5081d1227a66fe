"""A thread that writes checkpoints while training goes on."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

__all__ = ["Writer"]


class Writer:
    """A queue of tasks in a thread, which lives only as long as there are some.

    A task begins when the one before it is done. If that failed, it is not begun: what would be
    copied is not there. What failed is raised by `check` or `wait`, once, as what it was.

    Lightning's ``AsyncCheckpointIO`` (2.6.6) has one thread and clones the tensors, too. It is not
    used, because

    - an error comes up at the next save, when that one has been queued as well, or when the
      strategy is torn down; there it replaces the error that is being handled, if there is one;
      and it stays: each later save is done and raises it again;
    - saves queue up without bound, each with a copy of the whole state;
    - only that end waits for a save, so that who reads or links a file in between (the best
      checkpoint, a rollback, a signal's farewell) finds the one before, or none;
    - tensors are cloned where they lie, which may be a GPU; those that share their memory are
      written twice, and a ``state_dict`` loses its attributes.
    """

    def __init__(self) -> None:
        self.pool: ThreadPoolExecutor | None = None
        self.tasks: list[Future[None]] = []

    def submit(self, task: Callable[[], object]) -> None:
        """Has a task done after those that were submitted before."""
        if self.pool is None:
            # Its thread is no daemon: the interpreter ends only when what was begun is written.
            self.pool = ThreadPoolExecutor(1, "checkpoints")
        before = self.tasks[-1] if self.tasks else None

        def follow() -> None:
            if before is not None:
                before.result()
            task()

        self.tasks.append(self.pool.submit(follow))

    def check(self) -> None:
        """Raises what failed, without waiting for what has not."""
        if any(task.done() and task.exception() is not None for task in self.tasks):
            self.wait()

    def wait(self) -> None:
        """Waits until all is done, and raises what failed first.

        A signal's handler may raise out of it; what was submitted goes on, and can be waited for
        again.
        """
        wait(self.tasks)
        if self.pool is not None:
            self.pool.shutdown()
        tasks, self.tasks, self.pool = self.tasks, [], None
        for task in tasks:
            task.result()
