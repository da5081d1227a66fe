"""Random streams: keyed by purpose and position, and nobody else's business."""

import random

import numpy as np
import pytest
import torch

from genlab.rng import isolated, key, seed_global, stream


def test_streams_depend_on_all_of_the_key():
    keys = {key(s, p, *i) for s in (0, 1) for p in ("order", "noise") for i in ((0,), (1,), (0, 0))}
    assert len(keys) == 12
    a, b = stream(0, "order", 3), stream(0, "order", 3)
    torch.testing.assert_close(torch.rand(5, generator=a), torch.rand(5, generator=b))


def test_isolated_leaves_the_global_state_alone():
    before = torch.get_rng_state()
    with isolated(0, "preview"):
        first = torch.randn(3)
    with isolated(0, "preview"):
        torch.testing.assert_close(torch.randn(3), first)
    assert torch.equal(torch.get_rng_state(), before)


def legacy():
    return np.random.get_state()[1].tolist()  # noqa: NPY002


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002


def test_isolated_covers_python_and_numpy():
    drawn = []
    for _ in range(2):
        draw()
        before = random.getstate(), legacy(), torch.get_rng_state().tolist()
        with isolated(0, "evaluation", 3):
            drawn.append(draw())
        assert (random.getstate(), legacy(), torch.get_rng_state().tolist()) == before
    assert drawn[0] == drawn[1]
    torch.manual_seed(key(0, "evaluation", 3))
    assert drawn[0][2] == torch.rand(1).item()


def test_isolated_puts_the_state_back_after_an_error():
    before = random.getstate(), legacy()
    with pytest.raises(ZeroDivisionError), isolated(0, "evaluation"):
        1 / draw()[0] // 0
    assert (random.getstate(), legacy()) == before


@pytest.mark.gpu
def test_isolated_covers_every_gpu():
    devices = [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    before = [torch.cuda.get_rng_state(d) for d in devices]
    drawn = []
    for _ in range(2):
        with isolated(0, "evaluation"):
            drawn.append([torch.rand(3, device=d).tolist() for d in devices])
    assert drawn[0] == drawn[1]
    for device, state in zip(devices, before, strict=True):
        assert torch.equal(torch.cuda.get_rng_state(device), state)


def test_seed_global_is_what_manual_seed_is():
    seed_global(0, "noise", 7)
    ours = torch.randn(4)
    torch.manual_seed(key(0, "noise", 7))
    torch.testing.assert_close(torch.randn(4), ours)
