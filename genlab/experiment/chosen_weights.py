"""Choice of a checkpoint's weights: the average, the trained ones, or one made of snapshots."""

import math
import re
from typing import Any

from genlab.errors import ConfigError, nearest
from genlab.runs.directory import Run
from genlab.training.saving.ema_files import Profiles

__all__ = ["chosen_weights", "width_asked"]

WORDS = ("auto", "ema", "raw")
WIDTH = re.compile(r"ema:(.+)")


def width_asked(weights: str) -> float | None:
    """The relative width that ``ema:WIDTH`` asks for; None for the words.

    Raises:
        ConfigError: It is neither.

    Example:
        >>> width_asked("ema:0.10"), width_asked("raw")
        (0.1, None)
    """
    match = WIDTH.fullmatch(weights)
    if match is None and weights in WORDS:
        return None
    try:
        width = float(match[1]) if match else math.nan
    except ValueError:
        width = math.nan
    if not math.isfinite(width):
        hint = ";" if match else nearest(weights, WORDS) or ";"
        raise ConfigError(
            f"weights={weights}{hint} auto, ema, raw and ema:WIDTH are allowed, ema:0.1 for the "
            "average whose relative width is 0.1"
        )
    return width


def chosen_weights(
    run: Run, checkpoint: dict[str, Any], weights: str
) -> tuple[dict[str, Any], str]:
    """The weights that a user asks for, and their name: ``ema``, ``raw`` or ``ema:WIDTH``.

    Args:
        run: The run.
        checkpoint: One of its checkpoints.
        weights: ``ema``, ``raw``, ``ema:WIDTH``, or ``auto``: the average where it was kept.

    Raises:
        ConfigError: The run has no such weights.
        DataError: A snapshot is damaged.
    """
    width, average = width_asked(weights), checkpoint["genlab"]["ema"]
    if weights == "ema" and average is None:
        raise ConfigError(f"weights=ema: {run.shown()} was trained with ema.enabled=false")
    if width is None:
        name = "raw" if weights == "raw" or average is None else "ema"
        return (average if name == "ema" else model_part(checkpoint)), name
    # What is not averaged, buffers for one, comes from the weights that the run hands out.
    rest = average if average is not None else model_part(checkpoint)
    return rest | posthoc(run, checkpoint, width, weights), f"ema:{width:g}"


def posthoc(run: Run, checkpoint: dict[str, Any], width: float, asked: str) -> dict[str, Any]:
    """The average of a width that ends at a checkpoint, by the snapshots up to it.

    Raises:
        ConfigError: The run kept none, or they do not reach this width.
    """
    state = checkpoint.get("callbacks", {}).get("EmaSnapshots")
    if not state or not state["images"]:
        raise ConfigError(
            f"weights={asked}: {run.shown()} kept no snapshots of averages, callbacks=ema_snapshots"
            " keeps them in training; auto, ema and raw are allowed"
        )
    profiles = Profiles(run.checkpoint().parent, state)
    low, high = profiles.reachable()
    if not low <= width <= high:
        raise ConfigError(
            f"weights={asked}: widths from {low:g} to {high:g} can be reconstructed from the "
            f"{len(profiles.files)} snapshots of {run.shown()} up to this checkpoint"
        )
    return profiles.reconstruct(width)


def model_part(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The model's own tensors in the Lightning module's state."""
    prefix = "model."
    return {
        name[len(prefix) :]: tensor
        for name, tensor in checkpoint["state_dict"].items()
        if name.startswith(prefix)
    }
