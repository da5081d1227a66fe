"""The bound by the probability-flow ODE, against densities and entropies in closed form."""

import itertools
import math

import pytest
import torch

from genlab.models.diffusion import Diffusion
from genlab.nn.diffusion import ode_bound as module
from genlab.nn.diffusion.bound import lowest_level
from genlab.nn.diffusion.ode_bound import ode_bound
from genlab.types import Batch, ImageSpec

POINTS = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=4)), dtype=torch.float64)
"""The 16 binary images of 1 x 2 x 2."""


@pytest.fixture(autouse=True)
def double():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def mixture(variance, scale):
    """Sixteen weighted normals: their denoiser, and their density at a level."""
    weights = torch.distributions.Dirichlet(torch.full((16,), 0.5)).sample()
    means = POINTS * scale

    def logits(z, r):
        return weights.log() - (z[:, None] - means).square().sum(-1) / (2 * (variance + r**2))

    def denoise(z, r):
        mean = logits(z, r).softmax(1) @ means
        return mean + variance / (variance + r**2) * (z - mean)

    def log_p(z, r):
        return logits(z, r).logsumexp(1) - 2 * math.log(math.tau * (variance + r**2))

    return weights, denoise, log_p


def of_points(dequantization, steps=64, draws=100):
    """The bound of each of the 16 binary images under their own perfect denoiser."""
    weights, denoise, _ = mixture(0.0, 1.0)
    values = ((POINTS + 1) / 2).long().repeat(draws, 1)
    found = ode_bound(
        denoise, POINTS.repeat(draws, 1), values, levels=2, low=lowest_level(2), high=80.0,
        steps=steps, dequantization=dequantization, generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    return weights, found.view(draws, 16).mean(0)


def test_a_perfect_denoisers_bound_is_the_entropy():
    weights, bound = of_points("normal")
    entropy = -(weights * weights.log()).sum()
    assert 0.95 < bound.exp().sum() < 1.003
    assert float(-(weights * bound).sum()) == pytest.approx(float(entropy), abs=0.04)


def test_uniform_noise_over_a_bin_is_far_looser():
    """Where the values are spikes: log(6 / sqrt(2 pi)) - 36 / 24 = -0.627 nats an entry."""
    weights, bound = of_points("uniform")
    lost = float((weights * (weights.log() - bound)).sum())
    assert lost == pytest.approx(4 * 0.627, rel=0.1)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("levels", [4, 256])
def test_it_is_the_density_of_the_noisy_images(monkeypatch, levels, exact):
    """Both bounds of quantized points of a mixture, against its density at the lowest level."""
    monkeypatch.setattr(module, "EXACT", 64 if exact else 0)
    weights, denoise, log_p = mixture(0.04, 0.7)
    which = torch.multinomial(weights, 300, replacement=True)
    cleaner = POINTS[which] * 0.7 + 0.2 * torch.randn(300, 4)
    values = ((cleaner + 1) / 2 * (levels - 1)).round().clamp(0, levels - 1).long()
    x, low, width = values * (2 / (levels - 1)) - 1, lowest_level(levels), 2 / (levels - 1)

    def bound(dequantization):
        generator = torch.Generator().manual_seed(3)
        return ode_bound(
            denoise, x, values, levels=levels, low=low, high=80.0, steps=128,
            dequantization=dequantization, generator=generator,
        )  # fmt: skip

    u = torch.rand(x.shape, generator=torch.Generator().manual_seed(3)) - 0.5
    truth = log_p(x + width * u, low) + 4 * math.log(width)
    error = bound("uniform") - truth
    assert abs(error.mean()) < (0.002 if exact else 0.3)
    assert not exact or error.abs().max() < 0.05
    eps = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    truth = log_p(x + low * eps, low) + eps.square().sum(1) / 2
    truth = truth + 4 * math.log(low * math.sqrt(math.tau))
    error = bound("normal") - truth  # what is left is the reconstruction, below 0.01 an entry
    assert -0.04 - (0 if exact else 0.3) < error.mean() < (0.002 if exact else 0.3)


def test_the_error_is_optimistic_and_below_the_change_by_halving():
    """What stands beside the number is larger than its error, on a mixture that is known."""
    weights, denoise, log_p = mixture(0.04, 0.7)
    which = torch.multinomial(weights, 300, replacement=True)
    values = ((POINTS[which] * 0.7 + 0.2 * torch.randn(300, 4) + 1) * 127.5).round()
    values = values.clamp(0, 255).long()
    x, low = values / 127.5 - 1, lowest_level(256)

    def mean(steps):
        generator = torch.Generator().manual_seed(3)
        return ode_bound(
            denoise, x, values, levels=256, low=low, high=80.0, steps=steps,
            dequantization="uniform", generator=generator,
        ).mean()  # fmt: skip

    u = torch.rand(x.shape, generator=torch.Generator().manual_seed(3)) - 0.5
    truth = log_p(x + u / 127.5, low).mean() - 4 * math.log(127.5)
    found = {steps: float(mean(steps) - truth) for steps in (2, 4, 8, 16, 32)}
    for steps in (4, 8, 16, 32):
        assert found[steps] > -0.002
        assert abs(found[steps]) < found[steps // 2] - found[steps]
    assert found[4] > 0.5
    assert abs(found[32]) < 0.01


def test_an_untrained_models_images_sum_to_less_than_one_once_the_steps_suffice():
    """As the exact-likelihood contract asks: all 16 images of random weights."""
    torch.manual_seed(0)
    model = Diffusion(ImageSpec(1, 2, 2, levels=2), network="mlp", width=16).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.requires_grad_(False)
    images = ((POINTS + 1) / 2).to(torch.uint8).view(16, 1, 2, 2)

    def total(steps):
        draws = Batch(images.repeat(20, 1, 1, 1))
        generator = torch.Generator().manual_seed(0)
        found = model.log_prob_ode(draws, steps=steps, generator=generator)
        return float(found.view(20, 16).mean(0).exp().sum())

    sums = [total(steps) for steps in (32, 64)]
    assert 0 < sums[1] < 1
    assert sums[0] == pytest.approx(sums[1], rel=1e-2)


def test_labels_count_and_nothing_of_the_model_moves():
    torch.set_default_dtype(torch.float32)
    model = Diffusion(
        ImageSpec(1, 4, 4, levels=256, num_classes=3), network="mlp", width=16, conditional=True
    ).requires_grad_(False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    x = torch.randint(0, 256, (3, 1, 4, 4), dtype=torch.uint8)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def nats(y):
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            return model.log_prob_ode(Batch(x, torch.tensor(y)), steps=4, generator=generator)

    one, same, other = nats([0, 1, 2]), nats([0, 1, 2]), nats([0, 1, 0])
    assert torch.equal(one, same)
    assert torch.equal(one[:2], other[:2])
    assert one[2] != other[2]
    assert not one.requires_grad
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
