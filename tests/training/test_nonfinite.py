"""The layer that a NaN comes from is named."""

import math

import pytest
import torch

from genlab.models.flow import Flow
from genlab.models.vae import VAE
from genlab.training.step.nonfinite import first_nonfinite
from genlab.types import Batch, ImageSpec

SPEC = ImageSpec(1, 4, 4, levels=4)


def batch():
    g = torch.Generator().manual_seed(0)
    return Batch(torch.randint(0, 4, (8, 1, 4, 4), dtype=torch.uint8, generator=g))


def flow():
    return Flow(SPEC, coupling="spline", width=4, top_steps=1, top_width=4)


def vae():
    return VAE(SPEC, network="mlp", hidden=8, latent=2)


@pytest.mark.parametrize("make", [flow, vae])
def test_a_finite_model_has_nothing_to_name_and_is_left_as_it_was(make):
    model = make()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    assert first_nonfinite(model, batch()) is None
    assert torch.equal(random, torch.get_rng_state())
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (flow, "flow.steps.1.steps.3.network.inlet"),
        (flow, "flow.steps.1.steps.-1.rest.steps.1"),
        (vae, "encoder.net.0"),
        (vae, "decoder.net.2"),
    ],
)
def test_broken_weights_are_named(make, name):
    model = make()
    layer = model
    for word in name.split("."):
        layer = layer[int(word)] if word.lstrip("-").isdigit() else getattr(layer, word)
    name = next(n for n, module in model.named_modules() if module is layer)
    weight, parameter = next(iter(layer.named_parameters()))
    with torch.no_grad():
        parameter.view(-1)[0] = math.nan
    said = first_nonfinite(model, batch())
    assert said.startswith(f"{name}")
    assert "weights already" in said
    assert weight in said


def test_an_overflow_is_named_where_it_happens():
    model = vae()
    with torch.no_grad():
        model.decoder.net[0].weight.fill_(1e38)
        model.decoder.net[0].bias.fill_(3e38)
    said = first_nonfinite(model, batch())
    assert said.startswith("decoder.net.0 (Linear): its output is the first")
    said = first_nonfinite(flow(), Batch(torch.full((2, 1, 4, 4), math.inf)))
    assert "its input already was not" in said


def test_a_gradient_that_is_not_finite_is_named():
    model = vae()

    class Steep(torch.nn.Module):
        def forward(self, x):
            return x + (x - x).abs().sqrt()  # 0, with an infinite slope

    model.encoder.net.append(Steep())
    said = first_nonfinite(model, batch())
    assert said.startswith("the gradient of encoder.net.0.weight")
