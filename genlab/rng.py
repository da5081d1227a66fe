"""Separate random streams for separate purposes, keyed by what they are for.

Order, augmentation, noise, previews and evaluation each draw from a stream of their own, keyed by
(seed, purpose, position). So neither the number of workers nor a preview or a validation changes
the training result, and a resumed run needs no saved generator state: position says it all.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

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
    """Global randomness inside is a function of the key; outside it is as if nothing happened."""
    cpu = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
    seed_global(seed, purpose, *position)
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state(cuda)
