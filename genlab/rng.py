"""Separate random streams for separate purposes, keyed by what they are for.

Order, augmentation, noise, previews and evaluation each draw from a stream of their own, keyed by
(seed, purpose, position). So neither the number of workers nor a preview or a validation changes
the training result, and a resumed run needs no saved generator state: position says it all.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["isolated", "key", "seed_global", "stream"]


def key(seed: int, purpose: str, *position: int) -> int:
    """A 63-bit key that depends on every bit of its arguments.

    Example:
        >>> key(0, "order", 3) == key(0, "order", 3)
        True
        >>> key(0, "order", 3) == key(0, "noise", 3)
        False
    """
    text = "/".join(map(str, (seed, purpose, *position)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def stream(
    seed: int, purpose: str, *position: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A generator of its own for one purpose at one position."""
    return torch.Generator(device=device).manual_seed(key(seed, purpose, *position))


def seed_global(seed: int, purpose: str, *position: int) -> None:
    """Makes the global randomness of the CPU and of the current GPU a function of the key.

    Called before each optimizer step. `torch.manual_seed` would do, but formats a stack trace for
    each kind of device that is not in use, which takes longer than a step of a small model.
    """
    value = key(seed, purpose, *position)
    torch.default_generator.manual_seed(value)
    if torch.cuda.is_initialized():
        torch.cuda.default_generators[torch.cuda.current_device()].manual_seed(value)


@contextmanager
def isolated(seed: int, purpose: str, *position: int) -> Iterator[None]:
    """Global randomness inside is a function of the key; outside it is as if nothing happened.

    Covers Python, numpy, torch on the CPU and on every CUDA device in use. Samplers should draw
    from the generator that they are given; one that does not is reproducible nevertheless.
    """
    value = key(seed, purpose, *position)
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=devices):
        try:
            random.seed(value)
            np.random.seed(value % 2**32)  # noqa: NPY002
            for generator in (torch.default_generator, *torch.cuda.default_generators):
                generator.manual_seed(value)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002
