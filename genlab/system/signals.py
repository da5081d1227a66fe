"""Signals of a process that is not training: they end it quietly, with 128 + their number.

Imports nothing heavy: the handlers are there before torch is, whose import takes seconds.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["STOPS", "handled", "install", "leave", "set_handlers", "unwinding"]

STOPS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)
"""A terminal's Ctrl-C and its end, and what schedulers send: SLURM's --signal, submitit."""

_unwind = False


def install() -> None:
    """Takes over the signals that ask to stop; those that the parent ignores stay ignored."""
    set_handlers(lambda number: interrupt if number == signal.SIGINT else leave)


def leave(number: int, frame: FrameType | None) -> None:
    """Ends the process: by an exception where something is to be put in order, else at once."""
    if _unwind:
        raise SystemExit(128 + number)
    os._exit(128 + number)


def interrupt(number: int, frame: FrameType | None) -> None:
    """A KeyboardInterrupt, except in an import, where C code may make another error of it."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os.write(2, b"genlab: interrupted\n")
            os._exit(128 + number)
        frame = frame.f_back
    raise KeyboardInterrupt


@contextmanager
def unwinding() -> Iterator[None]:
    """Inside, a signal raises SystemExit: what is open is closed."""
    global _unwind
    before, _unwind = _unwind, True
    try:
        yield
    finally:
        _unwind = before


@contextmanager
def handled(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Inside, the signals that ask to stop are given to a handler."""
    before = set_handlers(lambda number: handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def set_handlers(handler_of: Callable[[int], Any]) -> dict[int, Any]:
    """Sets the handlers of all signals that are not ignored; returns those that were there."""
    before: dict[int, Any] = {}
    if threading.current_thread() is not threading.main_thread():
        return before  # only the main thread may handle signals
    for number in STOPS:
        old = signal.getsignal(number)
        if old is not signal.SIG_IGN:  # nohup, or a job in a shell's background
            signal.signal(number, handler_of(number))
            before[number] = old
    return before
