"""Import of torchmetrics without scipy.signal, which costs a second and is used by nobody here.

Lightning needs torchmetrics' base class. torchmetrics (1.9) imports scipy.signal to put back a
name, ``hamming``, that a package for the quality of speech misses: a fifth of what a command
imports. While torchmetrics is imported, a stand-in has that name; whatever else it is asked for, it
fetches from the module itself.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from types import ModuleType
from typing import Any

__all__ = ["install"]

SIGNAL = "scipy.signal"


class StandIn(ModuleType):
    """What torchmetrics finds as scipy.signal."""

    @staticmethod
    def hamming(*args: Any, **kwargs: Any) -> Any:
        """The window that torchmetrics looks for, under the name that it had until scipy 1.13."""
        return import_module("scipy.signal.windows").hamming(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(SIGNAL) is self:
            del sys.modules[SIGNAL]
        return getattr(import_module(SIGNAL), name)


@contextmanager
def stand_in() -> Iterator[None]:
    """Inside, a stand-in is scipy.signal, unless that is imported already or not installed."""
    spec = None if SIGNAL in sys.modules or find_spec("scipy") is None else find_spec(SIGNAL)
    mine = StandIn(SIGNAL)
    if spec is not None:
        mine.__path__ = list(spec.submodule_search_locations or ())
        sys.modules[SIGNAL] = mine
    try:
        yield
    finally:
        if sys.modules.get(SIGNAL) is mine:
            del sys.modules[SIGNAL]


class LeanLoader(SourceFileLoader):
    """Runs a module's code beside the stand-in."""

    def exec_module(self, module: ModuleType) -> None:
        with stand_in():
            super().exec_module(module)


class LeanFinder(MetaPathFinder):
    """Finds torchmetrics, and nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "torchmetrics":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = LeanLoader(spec.loader.name, spec.loader.path)
        return spec


def install() -> None:
    """Makes the next import of torchmetrics lean; nothing happens where it is imported already."""
    if not any(isinstance(finder, LeanFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, LeanFinder())
