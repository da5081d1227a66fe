"""Random streams: keyed by purpose and position, and nobody else's business."""

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


def test_seed_global_is_what_manual_seed_is():
    seed_global(0, "noise", 7)
    ours = torch.randn(4)
    torch.manual_seed(key(0, "noise", 7))
    torch.testing.assert_close(torch.randn(4), ours)
