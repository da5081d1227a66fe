"""Flows: their density, their bound, their inverse, their labels, and what they refuse."""

import copy
import math

import pytest
import torch

from genlab.errors import ConfigError
from genlab.models.flow import Flow
from genlab.training.step.ema import EMA
from genlab.types import Batch, ImageSpec, Tempered

POINTS = ImageSpec(1, 1, 2, levels=256)
SPEC = ImageSpec(1, 4, 4, levels=4, num_classes=3)
SMALL = {"width": 4, "top_steps": 2, "top_width": 8, "dequantization_width": 4}


def batch(spec=SPEC, n=8, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randint(0, spec.levels, (n, *spec.shape), dtype=torch.uint8, generator=g)
    return Batch(x, torch.arange(n) % max(spec.num_classes, 1))


def digits(n=64, spec=SPEC, seed=0):
    """Images with something to learn: smooth ramps of random slope."""
    g = torch.Generator().manual_seed(seed)
    down, across = torch.rand(2, n, 1, 1, 1, generator=g)
    ramp = down * torch.linspace(0, 1, spec.height).view(1, 1, -1, 1)
    ramp = ramp + across * torch.linspace(0, 1, spec.width)
    x = (ramp / 2 * spec.levels).floor().clamp(0, spec.levels - 1)
    return Batch(x.to(torch.uint8).expand(-1, spec.channels, -1, -1).contiguous())


def fit(model, images, steps, lr=3e-3, size=64):
    """Trains on random batches of the images, the learning rate falling to 0."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        index = torch.randint(len(images.x), (size,))
        y = None if images.y is None else images.y[index]
        optimizer.zero_grad()
        model.loss(Batch(images.x[index], y)).total.backward()
        optimizer.step()
        schedule.step()
    return model


def test_the_density_of_points_integrates_to_one():
    model = Flow(POINTS, coupling="spline", margin=1e-3, **SMALL)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    centres = (torch.arange(600.0) + 0.5) / 600
    y = torch.cartesian_prod(centres, centres).view(-1, 1, 1, 2)
    with torch.no_grad():
        density = model.double().log_density(y.double()).exp()
    assert density.std() > 0.2
    torch.testing.assert_close(density.mean().item(), 1.0, rtol=0, atol=0.01)


@pytest.mark.parametrize("coupling", ["additive", "affine", "spline"])
def test_the_log_density_is_the_normals_carried_through_the_jacobian(coupling):
    model = Flow(SPEC, coupling=coupling, margin=1e-3, **SMALL).double()
    model.loss(batch(n=64))  # initializes the normalization
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    y = torch.rand(2, *SPEC.shape).double()
    for i, found in enumerate(model.log_density(y)):
        jacobian = torch.autograd.functional.jacobian(
            lambda v: model.flow(v.view(1, *SPEC.shape))[0].flatten(), y[i].flatten()
        )
        z = model.flow(y[i : i + 1])[0]
        expected = torch.distributions.Normal(0, 1).log_prob(z).sum()
        expected = expected + torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)


def test_the_bound_is_the_density_at_a_point_of_the_bin():
    model, images = Flow(SPEC, **SMALL).eval(), batch()
    found = model.log_prob(images, generator=torch.Generator().manual_seed(3))
    u = torch.rand(images.x.shape, generator=torch.Generator().manual_seed(3))
    density = model.log_density((images.x + u) / 4)
    torch.testing.assert_close(found, (density - 16 * math.log(4)).detach())
    loss = model.loss(images)
    bits = loss.parts["loss"] / (16 * math.log(2))
    torch.testing.assert_close(loss.parts["bpd"], bits)


@pytest.mark.parametrize("dequantization", ["uniform", "variational"])
def test_more_noise_samples_tighten_the_bound(dequantization):
    model = fit(Flow(SPEC, dequantization=dequantization, **SMALL), digits(), 20)
    images = digits(256, seed=1)
    one, many = (
        model.log_prob(images, samples=k, generator=torch.Generator().manual_seed(0)).mean()
        for k in (1, 32)
    )
    assert many > one + 0.05


@pytest.mark.parametrize("spec", [SPEC, ImageSpec(1, 7, 7), ImageSpec(3, 4, 6), POINTS], ids=str)
@pytest.mark.parametrize("conditional", [False, True])
def test_images_come_back_from_their_codes_bit_for_bit(spec, conditional):
    spec = ImageSpec(*spec.shape, levels=spec.levels, num_classes=3)
    model = Flow(spec, coupling="spline", margin=1e-3, conditional=conditional, steps=2, **SMALL)
    fit(model, batch(spec, 64), 6)
    images = batch(spec, 50, seed=1)
    z = model.encode(images)
    assert z.shape == (50, spec.dims)
    assert torch.equal(model.decode(z, images.y if conditional else None), images.x)
    assert torch.equal(model.reconstruct(images), images.x)


def test_the_temperature_scales_the_latent_numbers():
    model = fit(Flow(SPEC, **SMALL), digits(), 20)
    z = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    found = model.sample(4, options=Tempered(0.3), generator=torch.Generator().manual_seed(0))
    assert torch.equal(found, model.decode(0.3 * z))


def test_labels_move_the_density_and_the_samples():
    model = Flow(SPEC, conditional=True, steps=1, **SMALL)
    x = digits(300).x
    images = Batch(x, (x.flatten(1).float().mean(1) > 0.7).long())
    fit(model, images, 60, lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    right = model.log_prob(images, generator=generator).mean()
    wrong = model.log_prob(Batch(x, 1 - images.y), generator=generator).mean()
    assert right > wrong + 1
    dark, bright = (
        model.sample(200, torch.full((200,), y), generator=generator).float().mean() for y in (0, 1)
    )
    assert bright > dark + 0.2


def test_the_first_batch_reaches_the_average_whatever_its_ramp_and_survives_a_restart():
    model = Flow(SPEC, **SMALL)
    average = EMA(model, halflife=10_000, rampup=1.0)
    fit(model, digits(), 1, lr=0.0)
    average.update(64, 64)
    norms = [m for m in average.model.modules() if type(m).__name__ == "ActNorm"]
    assert norms
    assert all(bool(norm.initialized) for norm in norms)
    for mine, theirs in zip(average.model.buffers(), model.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
    again = Flow(SPEC, **SMALL)
    again.load_state_dict(copy.deepcopy(model.state_dict()))
    far = Batch(3 - digits().x)
    losses = []
    for one in (model, again):
        torch.manual_seed(0)
        losses.append(one.train().loss(far).total)
    torch.testing.assert_close(losses[1], losses[0])


def test_the_default_suits_many_shapes():
    for shape in [(1, 28, 28), (3, 32, 32), (1, 7, 7), (2, 5, 6)]:
        model = Flow(ImageSpec(*shape), **SMALL)
        assert model.sample(2).shape == (2, *shape)


@pytest.mark.parametrize(
    ("spec", "arguments", "message"),
    [
        (ImageSpec(1, 1, 1), {}, "at least 2"),
        (ImageSpec(1, 7, 7), {"top_steps": 0}, "model.top_steps=0"),
        (SPEC, {"scales": 0, "top_steps": 0}, "model.top_steps=0"),
        (SPEC, {"margin": 0.5}, "model.margin=0.5"),
        (ImageSpec(1, 4, 4), {"conditional": True}, "model.conditional"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(spec, arguments, message):
    with pytest.raises(ConfigError, match=message) as error:
        Flow(spec, **arguments)
    assert "\n" not in str(error.value)


def test_what_cannot_be_scored_is_refused_in_one_line():
    model = Flow(SPEC, **SMALL)
    with pytest.raises(ConfigError, match="samples=0"):
        model.log_prob(batch(), samples=0)
    for method in (model.log_prob, model.encode):
        with pytest.raises(ConfigError, match="4 levels"):
            method(Batch(torch.full((1, 1, 4, 4), 4, dtype=torch.uint8)))


@pytest.mark.slow
def test_a_density_of_the_plane_is_recovered_to_its_entropy():
    """Two correlated normals far apart, whose cross-entropy under the flow is their entropy."""
    g = torch.Generator().manual_seed(0)

    def draw(n):
        z = 0.04 * torch.randn(n, 2, generator=g)
        z = z @ torch.tensor([[1.0, 0.8], [0.0, 0.6]])
        side = torch.randint(2, (n, 1), generator=g)
        return (z + 0.3 + 0.4 * side).view(n, 1, 1, 2)

    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.ones(2)),
        torch.distributions.MultivariateNormal(
            torch.tensor([[0.3, 0.3], [0.7, 0.7]]),
            0.04**2 * torch.tensor([[1.0, 0.8], [0.8, 1.0]]),
        ),
    )
    test = draw(40_000)
    entropy = -mixture.log_prob(test.view(-1, 2)).mean()
    model = Flow(POINTS, coupling="spline", scales=0, top_steps=4, top_width=32, mix="riffle")
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 600)
    for _ in range(600):
        optimizer.zero_grad()
        (-model.log_density(draw(512)).mean()).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        cross = -model.eval().log_density(test).mean()
    assert entropy - 0.01 <= cross <= entropy + 0.02


@pytest.mark.slow
def test_variational_dequantization_is_at_least_as_good_after_training():
    spec = ImageSpec(1, 8, 8, levels=8)
    bounds = {}
    for dequantization in ("uniform", "variational"):
        torch.manual_seed(0)
        model = Flow(spec, coupling="affine", dequantization=dequantization, margin=1e-3, **SMALL)
        fit(model, digits(4000, spec), 150, lr=5e-3)
        generator = torch.Generator().manual_seed(0)
        bounds[dequantization] = model.log_prob(digits(2000, spec, 1), generator=generator).mean()
    assert bounds["variational"] >= bounds["uniform"]


@pytest.mark.slow
@pytest.mark.parametrize("coupling", ["affine", "spline"])
def test_a_trained_flow_inverts_in_float32_and_samples_stay_finite(coupling):
    spec = ImageSpec(1, 8, 8, levels=8)
    model = Flow(spec, coupling=coupling, margin=1e-3, steps=4, width=8, top_steps=2, top_width=32)
    fit(model, digits(4000, spec), 150, lr=5e-3)
    model.eval()
    images = digits(500, spec, 1)
    with torch.no_grad():
        y = (images.x + torch.rand(images.x.shape)) / 8
        z, _ = model.flow(y)
        torch.testing.assert_close(model.flow.inverse(z), y, rtol=0, atol=1e-4)
        assert torch.equal(model.decode(model.encode(images)), images.x)
        noise = torch.randn(10_000, spec.dims, generator=torch.Generator().manual_seed(0))
        for part in noise.split(500):
            assert model.flow.inverse(part).isfinite().all()
