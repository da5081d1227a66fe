"""Every family's losses and gradients, compiled and not: a graph recorder sees all of them, the
C++ compiler four."""

import logging

import pytest
import torch
from families import NAMES, build, examples, spec_of

from genlab.rng import seed_global
from genlab.training.step.compilation import Compilation
from genlab.training.step.player_toggle import PlayerToggle
from genlab.types import ImageSpec

MNIST = ImageSpec(1, 28, 28, levels=256, num_classes=10)


@pytest.fixture(autouse=True)
def _fresh():
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)
    torch._dynamo.reset()


class Recorder:
    """A backend that runs graphs as they are, and counts them."""

    graphs = 0

    def __call__(self, graph, inputs):
        self.graphs += 1
        return graph.forward


def trace(model, compilation, batch, steps):
    """All losses, parts and gradients of some steps, and the buffers after them."""
    turns, found = PlayerToggle(model), {}
    compilation.start()
    for step in range(steps):
        seed_global(0, "noise", step)
        model.step, model.images_seen = step, step * len(batch.x)
        for player in filter(model.updates, model.players):
            turns.switch(player)

            def work(player=player):
                loss = compilation.loss(batch, player)
                loss.total.backward()
                return loss

            loss = compilation.turn(player, work)
            found |= {(step, player): loss.total.detach().clone()}
            found |= {(step, player, name): part.clone() for name, part in loss.parts.items()}
            for name, parameter in model.named_parameters():
                if parameter.grad is not None:
                    found[step, player, name] = parameter.grad.clone()
                    parameter.data.sub_(parameter.grad, alpha=1e-4)
            model.zero_grad()
            model.after_step(player)
    compilation.end()
    return found | {("after", name): buffer.clone() for name, buffer in model.named_buffers()}


def agree(make, batch, backend, steps, **tolerance):
    model = make()
    if not model.compilable():
        pytest.skip("changes as it trains")
    compiled = trace(model, Compilation(model, True, backend), batch, steps)
    plain = make()
    expected = trace(plain, Compilation(plain), batch, steps)
    assert compiled.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(compiled[key], value, **tolerance, msg=lambda m: f"{key}: {m}")  # noqa: B023


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_what_is_compiled_of_a_family_is_its_loss(name):
    backend = Recorder()
    agree(lambda: build(name, spec_of(name)), examples(spec_of(name)), backend, steps=4)
    assert backend.graphs > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "smaller"),
    [
        ("vae", {"width": 8}),
        ("gan", {"width": 8}),
        ("flow", {"scales": 1, "steps": 1, "top_steps": 1, "dequantization": "uniform"}),
        ("pixelcnn", {"blocks": 2, "width": 16}),
    ],
)
def test_compiled_losses_and_gradients_are_the_eager_ones(name, smaller):
    agree(
        lambda: build(name, MNIST, **smaller),
        examples(MNIST, 8),
        "inductor",
        steps=2,
        rtol=1e-3,
        atol=2e-3,
    )
