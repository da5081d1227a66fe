"""MeanFlow against closed forms: a point, a Gaussian, differences, and what it draws."""

import pytest
import torch
from torch.func import jvp

from genlab.errors import ConfigError
from genlab.models.mean_flow import MeanFlow, MeanFlowSampling
from genlab.nn.diffusion.mean_velocity import draw_times, prepare, with_target
from genlab.types import Batch, ImageSpec

SPREAD = 0.7
prepare()


def wide(t):
    return t[:, None]


def sigma(t):
    """Deviation of ``(1 - t) x + t e`` where x has the deviation `SPREAD`."""
    return ((1 - t) ** 2 * SPREAD**2 + t**2).sqrt()


def gaussian_velocity(z, r, t):
    """Mean velocity of Gaussian data, whose flow only scales: ``z_r = z_t sigma(r) / sigma(t)``."""
    return z * wide((1 - sigma(r) / sigma(t)) / (t - r))


def points(n, seed=0):
    draw = torch.Generator().manual_seed(seed)
    r, t = torch.rand(2, n, generator=draw, dtype=torch.float64).sort(0).values
    return torch.randn(n, 2, generator=draw, dtype=torch.float64), r, t


def test_the_identity_gives_back_the_mean_velocity_of_a_point():
    z, r, t = points(50)
    u, target = with_target(lambda z, r, t: (z - 3) / wide(t), z, (z - 3) / wide(t), r, t)
    torch.testing.assert_close(target, u)


def test_the_identity_gives_back_the_mean_velocity_of_a_gaussian():
    z, r, t = points(50)
    slope = (t - (1 - t) * SPREAD**2) / sigma(t) ** 2  # d log sigma / dt
    u, target = with_target(gaussian_velocity, z, z * wide(slope), r, t)
    torch.testing.assert_close(target, u, rtol=1e-9, atol=1e-9)


def test_single_pairs_of_data_and_noise_have_the_mean_velocity_as_their_mean():
    n = 200_000
    draw = torch.Generator().manual_seed(0)
    x, e = torch.randn(2, n, 1, generator=draw, dtype=torch.float64)
    x = SPREAD * x
    r, t = torch.full((2, n), 0.2, dtype=torch.float64)
    t = t + 0.5
    z = (1 - wide(t)) * x + wide(t) * e
    u, target = with_target(gaussian_velocity, z, e - x, r, t)
    slope = ((target - u) * z).mean() / z.square().mean()  # of the residual's regression on z
    assert abs(slope) < 0.01
    assert abs((target - u).mean()) < 0.01


def test_forward_differentiation_of_the_network_equals_differences():
    torch.manual_seed(0)
    model = MeanFlow(ImageSpec(1, 8, 8), width=16).double().eval()
    for parameter in model.parameters():  # the head begins at 0
        torch.nn.init.normal_(parameter, std=0.1)
    z, v = torch.randn(2, 3, 1, 8, 8, dtype=torch.float64)
    r, t = torch.tensor([[0.1, 0.3, 0.0], [0.5, 0.4, 1.0]], dtype=torch.float64)
    _, target = with_target(model.velocity, z, v, r, t)
    h = 1e-5
    ahead, behind = (model.velocity(z + s * h * v, r, t + s * h) for s in (1, -1))
    expected = v - (t - r)[:, None, None, None] * (ahead - behind) / (2 * h)
    torch.testing.assert_close(target, expected, rtol=1e-6, atol=1e-7)
    assert (target - v).abs().max() > 1e-3  # the slope is something


def test_no_gradient_goes_through_the_target():
    weight = torch.tensor(2.0, requires_grad=True)
    z, r, t = (x.float() for x in points(5))
    u, target = with_target(lambda z, r, t: weight * z * wide(t - r), z, z, r, t)
    assert u.requires_grad
    assert not target.requires_grad
    (grad,) = torch.autograd.grad(u.sum(), weight)
    torch.testing.assert_close(grad, (z * wide(t - r)).sum())


def test_times_are_in_order_and_logistic_normal():
    torch.manual_seed(0)
    r, t = draw_times(100_000, -0.4, 1.0, torch.device("cpu"))
    assert (r <= t).all()
    both = torch.logit(torch.cat([r, t]))
    torch.testing.assert_close(both.mean(), torch.tensor(-0.4), atol=0.02, rtol=0)
    torch.testing.assert_close(both.std(), torch.tensor(1.0), atol=0.02, rtol=0)


class Exact(MeanFlow):
    """The mean velocity of Gaussian data in place of a network."""

    def velocity(self, z, r, t, label=None):
        flat = gaussian_velocity(z.flatten(1), r, t)
        return flat.view_as(z)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_exact_mean_velocity_leads_to_the_same_image_in_any_number_of_steps(steps):
    model = Exact(ImageSpec(1, 4, 4), width=8)
    model.mean.fill_(0.0), model.std.fill_(0.5)
    z = torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = ((z * SPREAD * 0.5 + 1) / 2 * 255).round().clamp(0, 255)
    found = model._flow(z, None, steps).float()
    assert (found - expected).abs().max() <= 1  # of 255: rounding


def test_evaluations_are_those_of_the_network():
    model = MeanFlow(ImageSpec(1, 4, 4), width=8)
    seen = []
    model.network.register_forward_hook(lambda *_: seen.append(1))
    for options in (None, MeanFlowSampling(steps=3)):
        seen.clear()
        model.sample(2, options=options)
        assert len(seen) == model.evaluations(options)
    assert model.evaluations() == 1
    with pytest.raises(ConfigError, match="steps"):
        MeanFlowSampling(steps=0)


@pytest.mark.parametrize("spans", [0.0, 1.0])
def test_what_is_learned_without_spans_is_flow_matching(spans):
    """With one time only the target is the velocity itself: the error is that of e - x."""
    torch.manual_seed(0)
    model = MeanFlow(ImageSpec(1, 4, 4), width=8, spans=spans, power=0.0)
    x = torch.randint(256, (64, 1, 4, 4), dtype=torch.uint8)
    model.begin([Batch(x)])
    torch.manual_seed(1)
    found = model.loss(Batch(x)).parts["error"]
    torch.manual_seed(1)
    scaled = ((x / 127.5 - 1 - model.mean) / model.std)[torch.randperm(64)]
    noise = torch.randn_like(scaled)
    expected = (noise - scaled).square().mean()  # the network begins at 0, its slope too
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_it_learns_to_draw_two_images_in_one_step():
    torch.manual_seed(0)
    model = MeanFlow(ImageSpec(1, 4, 4, levels=4), width=64, spans=0.5)
    x = torch.zeros(64, 1, 4, 4, dtype=torch.uint8)
    x[32:] = 3
    model.begin([Batch(x)])
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(600):
        optimizer.zero_grad()
        model.loss(Batch(x)).total.backward()
        optimizer.step()
    means = model.sample(200).float().mean((1, 2, 3))
    assert ((means < 0.5) | (means > 2.5)).float().mean() > 0.5
    assert 0.25 < (means > 1.5).float().mean() < 0.75


def test_jvp_is_there_without_a_warning(recwarn):
    MeanFlow(ImageSpec(1, 4, 4), width=8)
    jvp(torch.sin, (torch.ones(2),), (torch.ones(2),))
    assert not recwarn.list
