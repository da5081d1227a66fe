"""Fixed division of images into those to train on and those set aside for validation or test."""

import torch
from torch import Tensor

from genlab.errors import ConfigError
from genlab.rng import stream

__all__ = ["VAL_SIZE", "divide", "hold_out", "set_aside"]

VAL_SIZE = 5000
"""Training images set aside for validation where a config does not say."""


def divide(
    n: int,
    n_val: int | None,
    n_test: int,
    val_size: float,
    seed: int,
    limit: int | None,
    groups: Tensor | None = None,
) -> dict[str, Tensor]:
    """Indices of the images for training, validation and test in the splits of a data set.

    Args:
        n: Training images of the data set.
        n_val: Its validation images; None where it has none, and some of those for training are
            set aside.
        n_test: Its test images.
        val_size, seed, limit, groups: As for `hold_out`.
    """
    train, val = hold_out(n, val_size if n_val is None else 0, seed, limit, groups)
    if n_val is not None:
        val = limited(n_val, seed, limit)
    return {"train": train, "val": val, "test": limited(n_test, seed, limit)}


def hold_out(
    n: int, val_size: float, seed: int, limit: int | None = None, groups: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Indices of the training and of the validation images, each in rising order.

    Args:
        n: Number of images to divide.
        val_size: How many to validate on; below 1, the share of them.
        seed: Decides which ones.
        limit: At most this many of each; a smaller limit takes a subset of a larger one.
        groups: Group of each image, int64 ``(n,)``. A group stays whole, so there may be somewhat
            fewer validation images than asked for.

    Returns:
        Two int64 tensors without a common element.

    Raises:
        ConfigError: Nothing would be left to train on, or there is a fraction of an image.

    Example:
        >>> train, val = hold_out(10, 0.2, seed=0)
        >>> len(train), len(val)
        (8, 2)
    """
    if val_size >= 1 and val_size != int(val_size):
        raise ConfigError(f"data.val_size={val_size}: must be a whole number, or a share below 1")
    n_val = int(val_size) if val_size >= 1 else round(val_size * n)
    if n_val >= n:
        raise ConfigError(
            f"data.val_size={val_size}: must be less than the {n} training images; "
            "a value below 1 is a share of them"
        )
    order = torch.randperm(n, generator=stream(seed, "validation split"))
    if groups is None:
        val, train = order[:n_val], order[n_val:]
    else:
        held = held_groups(groups, order, n_val)[groups[order]]
        val, train = order[held], order[~held]
    if limit is not None:
        val, train = val[:limit], train[:limit]
    return train.sort().values, val.sort().values


def held_groups(groups: Tensor, order: Tensor, n_val: int) -> Tensor:
    """Whether each group is held out: the first ones of an order of images for which there is room.

    Example:
        >>> held_groups(torch.tensor([0, 0, 0, 1, 2]), torch.arange(5), 2).tolist()
        [False, True, True]
    """
    sizes = groups.bincount()
    held = torch.zeros(len(sizes), dtype=torch.bool)
    room = n_val
    for group in dict.fromkeys(groups[order].tolist()):
        if sizes[group] <= room:
            held[group] = True
            room -= int(sizes[group])
    return held


def limited(n: int, seed: int, limit: int | None) -> Tensor:
    """Indices of at most ``limit`` of n images, in rising order."""
    if limit is None or limit >= n:
        return torch.arange(n)
    return torch.randperm(n, generator=stream(seed, "test limit"))[:limit].sort().values


def set_aside(n: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the training and of the test images of data without a test split, rising."""
    n_test = max(1, round(share * n))
    order = torch.randperm(n, generator=stream(seed, "test split"))
    return order[n_test:].sort().values, order[:n_test].sort().values
