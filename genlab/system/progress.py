"""Telling how far an evaluation is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

__all__ = ["Advance", "Progress", "bars", "quiet"]

Advance = Callable[[int], None]
"""Told the number of images that are newly done."""

Progress = Callable[[str, int], Advance]
"""``(what, how many images) -> advance``: announces a step and says how to report on it."""


def quiet(what: str, total: int) -> Advance:
    """Says nothing."""
    return lambda done: None


@contextmanager
def bars(console: Console | None = None) -> Iterator[Progress]:
    """A bar for each step in the terminal, gone when all is done; a step that is not reported on
    (real images from the cache, say) gets none."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True) as shown:

        def progress(what: str, total: int) -> Advance:
            task = shown.add_task(what, total=total, visible=False)
            return lambda done: shown.update(task, advance=done, visible=True)

        yield progress
