"""Settings of callbacks in a checkpoint: those that a run is resumed with count."""

import inspect
from collections.abc import Iterable
from typing import Any

import pytorch_lightning as pl

__all__ = ["keep_settings"]

OF_SESSION = ("stopping_reason", "stopping_reason_message")
"""What `EarlyStopping` keeps with its state and is of one session: why that one ended."""


def keep_settings(callbacks: Iterable[pl.Callback], states: dict[str, Any]) -> None:
    """Puts the callbacks' own settings into the states that a checkpoint has of them, in place.

    What a callback was constructed with is a setting and no state, but Lightning's keep some of it
    with theirs: `EarlyStopping` would go back to the patience that the run began with.

    Args:
        callbacks: The callbacks of this session.
        states: The checkpoint's section ``callbacks``.
    """
    for callback in callbacks:
        state = states.get(callback.state_key)
        if isinstance(state, dict):
            fresh = callback.state_dict()
            names = (*inspect.signature(type(callback)).parameters, *OF_SESSION)
            state |= {name: fresh[name] for name in names if name in state and name in fresh}
