"""Evaluating changes nothing: every global random state is the same before and after."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["isolated_rng"]


@contextmanager
def isolated_rng(seed: int) -> Iterator[None]:
    """Inside, the global generators start from the seed; afterwards they are where they were.

    Samplers should draw from the generator that they are given; one that does not is
    reproducible nevertheless. Covers Python, numpy, torch on the CPU and on every CUDA device.
    """
    cuda = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    state, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=cuda):
        try:
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002
            torch.manual_seed(seed)
            yield
        finally:
            random.setstate(state)
            np.random.set_state(legacy)  # noqa: NPY002
