"""The learning rate of a run that is resumed to another length, said before it goes on."""

from typing import Any

from genlab.training.generative_module import GenerativeModule

__all__ = ["rate_change"]

NOTABLE = 1.25
"""Factor below which a rate has gone on as it was: from one step to the next it moves, too."""


def rate_change(module: GenerativeModule, checkpoint: dict[str, Any]) -> str | None:
    """A line about the rate where the schedule is stretched over another length than before.

    A schedule is a function of the share of the run that is done, so that a resumed run has from
    here on the rate of a run that was given its length from the beginning. PyTorch's schedulers
    would keep the old length and, at its end, either stay at the lowest rate or rise again.

    Args:
        module: What trains; its length is the new one.
        checkpoint: What the run is resumed from.

    Returns:
        The line; None where the length is the same or the rate does not depend on it.
    """
    schedule, end = module.schedule, module.max_images
    state = checkpoint["genlab"]
    if not schedule.needs_end or end is None or state.get("max_images") == end:
        return None
    seen = int(state["images_seen"])
    group = checkpoint["optimizer_states"][0]["param_groups"][0]
    before, now = group["lr"], group["initial_lr"] * schedule.factor(seen / end)
    if max(before, now) < NOTABLE * min(before, now):
        return None
    done = f"{100 * seen / end:.0f} %"
    return (
        f"learning rate: {before:.1e} at the checkpoint, {now:.1e} now, since the schedule "
        f"{type(schedule).__name__} spans the new length, of which {done} are done"
    )
