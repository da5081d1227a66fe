"""Temporary changes of globals that other libraries read: Hydra, wandb and trackio."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["environment", "replaced"]


@contextmanager
def environment(**variables: str | None) -> Iterator[None]:
    """Inside, environment variables have these values; None means that they are not set."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Inside, an attribute of a module, class or object is another."""
    own = name in vars(owner)
    # as it is stored, so that a classmethod stays one
    before = vars(owner)[name] if own else getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own:
            setattr(owner, name, before)
        else:
            delattr(owner, name)
