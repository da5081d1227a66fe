"""The quicker step of Adam is torch's own, bit by bit, and is taken."""

import copy
import io

import pytest
import torch
from torch.optim import SGD, Adam, AdamW

from genlab.training.step.quick_adam import quickened

KINDS = [
    (Adam, {}),
    (Adam, {"weight_decay": 0.1, "betas": (0.5, 0.9), "maximize": True}),
    (AdamW, {"weight_decay": 0.1}),
    (Adam, {"amsgrad": True}),
    (Adam, {"fused": False}),
]


def pair(kind, options):
    torch.manual_seed(0)
    mine = [torch.nn.Parameter(torch.randn(*shape)) for shape in ((4, 3), (3,), (2, 2, 2))]
    theirs = copy.deepcopy(mine)
    options = {"lr": 0.1, "fused": True, **options}
    return quickened(kind(mine, **options)), kind(theirs, **options), mine, theirs


def advance(optimizers, weights, *, missing=None, seed=0):
    """A step of both by the same gradients, one of which may be missing."""
    torch.manual_seed(seed)
    grads = [torch.randn_like(w) for w in weights[0]]
    for optimizer, params in zip(optimizers, weights, strict=True):
        for i, (p, g) in enumerate(zip(params, grads, strict=True)):
            p.grad = None if i == missing else g.clone()
        optimizer.step()


def same(optimizers, weights):
    for w, v in zip(*weights, strict=True):
        torch.testing.assert_close(w, v, rtol=0, atol=0)
    states = [optimizer.state_dict() for optimizer in optimizers]
    torch.testing.assert_close(states[0]["state"], states[1]["state"], rtol=0, atol=0)
    assert states[0]["param_groups"] == states[1]["param_groups"]


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_steps_are_those_of_torch(kind, options):
    *optimizers, mine, theirs = pair(kind, options)
    for i in range(8):
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = 0.1 / (i + 1)
        advance(optimizers, (mine, theirs), missing=1 if i in (0, 4) else None, seed=i)
        same(optimizers, (mine, theirs))


def test_a_state_that_was_saved_and_loaded_goes_on():
    *optimizers, mine, theirs = pair(Adam, {})
    for i in range(3):
        advance(optimizers, (mine, theirs), seed=i)
    file = io.BytesIO()
    torch.save(optimizers[0].state_dict(), file)
    advance(optimizers, (mine, theirs), seed=9)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    for optimizer in optimizers:  # back to where it was saved, with the weights of now
        optimizer.load_state_dict(copy.deepcopy(state))
    copied = copy.deepcopy(optimizers[0])
    assert type(copied) is type(optimizers[0])
    for i in range(3):
        advance(optimizers, (mine, theirs), seed=20 + i)
        same(optimizers, (mine, theirs))
    assert int(optimizers[0].state_dict()["state"][2]["step"]) == 6


def test_what_lightning_calls_inside_a_step_has_gradients():
    optimizer, _, mine, _ = pair(Adam, {})

    def closure():
        optimizer.zero_grad()
        loss = sum(w.square().sum() for w in mine)
        loss.backward()
        return loss

    losses = [float(optimizer.step(closure).detach()) for _ in range(5)]
    assert losses == sorted(losses, reverse=True)


def test_the_second_step_leaves_torchs_own_alone(monkeypatch):
    *optimizers, mine, theirs = pair(Adam, {})
    advance(optimizers, (mine, theirs))
    monkeypatch.setattr(Adam, "step", lambda *_: pytest.fail("torch's own step"))
    advance(optimizers[:1], (mine,))


def test_a_hook_sees_each_step():
    *optimizers, mine, theirs = pair(Adam, {})
    seen = []
    optimizers[0].register_step_post_hook(lambda *_: seen.append(1))
    for i in range(3):
        advance(optimizers, (mine, theirs), seed=i)
    assert len(seen) == 3
    same(optimizers, (mine, theirs))


def test_other_optimizers_stay_what_they_are():
    optimizer = SGD([torch.nn.Parameter(torch.ones(1))])
    assert type(quickened(optimizer)) is SGD
