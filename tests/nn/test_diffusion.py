"""The parts of a denoiser against closed forms: rules, levels, solvers, the ODE's likelihood."""

import itertools
import math

import pytest
import torch

from genlab.nn.diffusion.bound import lowest_level, prior_term, reconstruction_term
from genlab.nn.diffusion.noise_levels import draw_levels, grid, stratified
from genlab.nn.diffusion.output_rules import RULES
from genlab.nn.diffusion.probability_flow import log_density
from genlab.nn.diffusion.solvers import evaluations, solve

SAMPLERS = ("euler", "heun", "dpm2m", "ancestral")
POINTS = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=4)), dtype=torch.float64)
"""The 16 binary images of 1 x 2 x 2."""


@pytest.fixture(autouse=True)
def double():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def gaussian(mean, std):
    """The denoiser of normal data, and where the ODE takes a z of level r."""

    def denoise(z, r):
        return mean + std**2 / (std**2 + r**2) * (z - mean)

    def solution(z, r):
        return mean + (z - mean) * std / math.sqrt(std**2 + r**2)

    return denoise, solution


def mixture(weights, means, variance):
    """The denoiser of a mixture of normals."""

    def denoise(z, r):
        var = variance + r**2
        logits = weights.log() - (z[:, None] - means).square().sum(-1) / (2 * var)
        mean = logits.softmax(1) @ means
        return mean + variance / var * (z - mean)

    return denoise


# --------------------------------------------------------------------------------------------
# Rules


@pytest.mark.parametrize("r", [0.01, 0.5, 3.0, 80.0])
def test_what_a_network_is_asked_for_gives_the_clean_example(r):
    x, eps = torch.randn(1000), torch.randn(1000)
    s, r = torch.tensor(0.6), torch.tensor(r)
    z = x + r * eps
    skip = s**2 / (s**2 + r**2)
    targets = {
        "edm": (x - skip * z) / (r * s / (r**2 + s**2).sqrt()),  # Karras et al. 2022, eq. 8
        "flow": eps - x,
        "noise": eps,
    }
    for name, target in targets.items():
        torch.testing.assert_close(RULES[name].denoised(target, z, r, s), x)


def test_the_target_of_edm_has_unit_variance_at_every_level():
    s = torch.tensor(0.6)
    x, eps = s * torch.randn(200_000), torch.randn(200_000)
    for r in torch.tensor([0.01, 0.5, 3.0, 80.0]):
        z = x + r * eps
        rule = RULES["edm"]
        skip = rule.denoised(torch.zeros_like(z), z, r, s)
        out = rule.denoised(torch.ones_like(z), z, r, s) - skip
        assert abs(((x - skip) / out).std() - 1) < 0.01
        assert abs((z * rule.input_scale(r, s)).std() - 1) < 0.01


@pytest.mark.parametrize("name", RULES)
def test_the_weight_makes_an_error_of_the_output_count_alike_at_all_levels(name):
    rule, s = RULES[name], torch.tensor(0.6)
    for r in torch.tensor([0.01, 0.5, 3.0, 80.0]):
        z = torch.randn(5) * 0
        moved = rule.denoised(torch.full((5,), 1e-4), z, r, s) - rule.denoised(z, z, r, s)
        if name == "bernoulli":  # of a logit; far from 0 its slope is that of tanh
            torch.testing.assert_close(moved, torch.full((5,), 1e-4))
        else:
            torch.testing.assert_close(moved.square() * rule.weight(r, s), torch.full((5,), 1e-8))


def test_binary_entries_that_are_independent_have_a_denoiser_without_a_network():
    """tanh(l + z / r^2) is the posterior mean of an entry that is 1 with log-odds 2 l."""
    z, r = torch.linspace(-3, 3, 13), torch.tensor(0.7)
    p = torch.tensor(0.8)
    up = p * (-(z - 1).square() / (2 * r**2)).exp()
    down = (1 - p) * (-(z + 1).square() / (2 * r**2)).exp()
    found = RULES["bernoulli"].denoised((p / (1 - p)).log() / 2, z, r, torch.tensor(1.0))
    torch.testing.assert_close(found, (up - down) / (up + down))


# --------------------------------------------------------------------------------------------
# Levels


def test_levels_have_the_densities_that_they_say():
    u = (torch.arange(10_000) + 0.5) / 10_000
    normal = draw_levels(u, "normal", 1e-9, 1e9, -0.8, 1.2)
    assert abs(normal.mean() + 0.8) < 1e-4
    assert abs(normal.std() - 1.2) < 1e-2
    straight = draw_levels(u, "logistic", 1e-9, 1e9, 0, 1).exp()
    torch.testing.assert_close(straight / (1 + straight), u)  # uniform times
    cosine = draw_levels(u, "cosine", 1e-9, 1e9, 0, 1).exp()
    torch.testing.assert_close(1 / (1 + cosine**2), (u * math.pi / 2).cos().square())
    uniform = draw_levels(u, "uniform", 0.1, 10.0, 0, 1)
    torch.testing.assert_close(uniform, math.log(0.1) + u * math.log(100))
    for density in ("normal", "logistic", "cosine", "uniform"):
        ends = draw_levels(torch.tensor([0.0, 1.0]), density, 0.1, 10.0, 0, 1)
        assert ends.isfinite().all()
        assert ends.min() >= math.log(0.1) - 1e-9
        assert ends.max() <= math.log(10) + 1e-9


def test_a_share_of_the_levels_is_even():
    u = (torch.arange(10_000) + 0.5) / 10_000
    found = draw_levels(u, "normal", 1e-9, 1e9, -0.8, 1.2, even=0.25)
    plain = draw_levels(u[:7500] / 0.75, "normal", 1e-9, 1e9, -0.8, 1.2)
    torch.testing.assert_close(found[2500:], plain)
    torch.testing.assert_close(found[:2500], draw_levels(u[:2500] * 4, "uniform", 1e-9, 1e9, 0, 1))


def test_quantiles_are_one_in_each_part():
    u = stratified(100)
    torch.testing.assert_close((u.sort().values * 100).floor(), torch.arange(100.0))
    assert not torch.equal(u.argsort(), torch.arange(100))


@pytest.mark.parametrize("name", ["karras", "flow", "log"])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_grids_descend_from_the_highest_level_to_none(name, steps):
    levels = grid(name, steps, 0.002, 80.0)
    assert len(levels) == steps + 1
    assert math.isclose(levels[0], 80.0)
    assert levels[-1] == 0
    assert levels == sorted(set(levels), reverse=True)
    if name != "flow" and steps > 1:
        assert math.isclose(levels[-2], 0.002)


# --------------------------------------------------------------------------------------------
# Solvers


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name", ["karras", "flow", "log"])
def test_a_single_example_is_reached_in_one_step(sampler, name):
    point = torch.randn(1, 3)
    for steps in (1, 5):
        levels = grid(name, steps, 0.002, 80.0)
        found = solve(lambda z, r: point.expand_as(z), torch.randn(9, 3) * 80, levels, sampler)
        torch.testing.assert_close(found, point.expand(9, 3))


@pytest.mark.parametrize(("sampler", "order"), [("euler", 1), ("heun", 2), ("dpm2m", 2)])
def test_the_error_falls_with_the_order_of_a_solver(sampler, order):
    denoise, solution = gaussian(0.3, 0.5)
    z = torch.randn(100) * 10
    errors = [
        # down to a level at which the last step, which is of first order, has nothing left to do
        (solve(denoise, z, grid("log", n, 1e-5, 10.0), sampler) - solution(z, 10.0)).abs().mean()
        for n in (64, 128, 256)
    ]
    for coarse, fine in itertools.pairwise(errors):
        assert abs(math.log2(coarse / fine) - order) < 0.15


def test_the_chain_of_posteriors_gives_the_covariance_of_its_recursion():
    """Linear Gaussian in three dimensions: the sampler's own covariance is a closed recursion."""
    a = torch.randn(3, 3)
    covariance = a @ a.T / 3 + 0.1 * torch.eye(3)
    levels = grid("log", 6, 0.05, 20.0)
    expected = levels[0] ** 2 * torch.eye(3)
    for r, lower in itertools.pairwise(levels):
        gain = covariance @ torch.linalg.inv(covariance + r**2 * torch.eye(3))
        keep = (lower / r) ** 2
        step = keep * torch.eye(3) + (1 - keep) * gain
        expected = step @ expected @ step.T + lower**2 * (1 - keep) * torch.eye(3)

    def denoise(z, r):
        return z @ torch.linalg.inv(covariance + r**2 * torch.eye(3)) @ covariance

    z = torch.randn(200_000, 3) * levels[0]
    found = solve(denoise, z, levels, "ancestral")
    torch.testing.assert_close(found.T.cov(), expected, rtol=0, atol=0.01)


def test_many_ancestral_steps_draw_from_the_data():
    denoise, _ = gaussian(0.3, 0.5)
    found = solve(denoise, torch.randn(50_000) * 80, grid("log", 400, 0.002, 80.0), "ancestral")
    assert abs(found.mean() - 0.3) < 0.01
    assert abs(found.std() - 0.5) < 0.01


def test_one_step_is_the_same_for_all_and_evaluations_are_counted():
    denoise, _ = gaussian(0.3, 0.5)
    z, asked = torch.randn(7) * 80, []

    def counting(z, r):
        asked.append(r)
        return denoise(z, r)

    for steps in (1, 5):
        for sampler in SAMPLERS:
            asked.clear()
            solve(counting, z, grid("karras", steps, 0.002, 80.0), sampler)
            assert len(asked) == evaluations(sampler, steps)
    one = [solve(denoise, z, [80.0, 0.0], sampler) for sampler in SAMPLERS]
    for other in one[1:]:
        torch.testing.assert_close(other, one[0], rtol=0, atol=0)


def test_the_way_up_and_down_ends_where_it_began():
    denoise, _ = gaussian(0.3, 0.5)
    x = torch.randn(100)
    up = grid("karras", 256, 0.002, 80.0)[-2::-1]
    z = solve(denoise, x, up, "heun")
    torch.testing.assert_close(solve(denoise, z, up[::-1], "heun"), x, rtol=0, atol=2e-3)


# --------------------------------------------------------------------------------------------
# The likelihood of the ODE


def mixture_of_sixteen():
    weights = torch.distributions.Dirichlet(torch.full((16,), 0.5)).sample()
    means, variance = POINTS * 0.7, 0.04
    which = torch.multinomial(weights, 300, replacement=True)
    x = means[which] + math.sqrt(variance) * torch.randn(300, 4)
    squared = (x[:, None] - means).square().sum(-1) / (2 * variance)
    constant = 2 * math.log(2 * math.pi * variance)
    truth = (weights.log() - squared - constant).logsumexp(1)
    return mixture(weights, means, variance), x, truth


def test_the_density_of_a_mixture_comes_out_as_steps_double():
    """Errors of RK4 by evaluations: +1.8 at 16, +0.037 at 64, 0.000 at 256, and optimistic."""
    denoise, x, truth = mixture_of_sixteen()
    error = {
        steps: (log_density(denoise, x, low=1e-3, high=80.0, steps=steps) - truth).mean().item()
        for steps in (4, 16, 64)
    }
    assert 0.5 < error[4] < 4
    assert 0.01 < error[16] < 0.1
    assert abs(error[64]) < 0.001


def test_random_signs_estimate_the_divergence_without_bias():
    denoise, x, truth = mixture_of_sixteen()
    x, truth = x[:100], truth[:100]
    generator = torch.Generator().manual_seed(1)
    found = log_density(denoise, x, low=1e-3, high=80.0, steps=32, probes=128, generator=generator)
    error = found - truth
    assert abs(error.mean()) < 0.03
    assert error.square().mean().sqrt() < 0.3


# --------------------------------------------------------------------------------------------
# The bound's ends


@pytest.mark.parametrize(
    ("low", "end", "inner"), [(0.002, 53, 103), (0.0013, 2.7, 6.5), (0.001, 0.1, 0.4)]
)
def test_what_the_lowest_level_hides_is_paid_for(low, end, inner):
    """Nats of an image of 784 pixels, all at an end level, or all inside (256 levels)."""
    for level, nats in ((0, end), (128, inner)):
        values = torch.full((40, 784), level, dtype=torch.uint8)
        x = values.double() * (2 / 255) - 1
        found = reconstruction_term(x, values, 256, low).mean().item()
        assert found == pytest.approx(nats, rel=0.35, abs=0.3)


@pytest.mark.parametrize("levels", [2, 4, 256])
def test_the_reconstruction_is_that_of_all_levels(levels):
    values = torch.randint(levels, (50, 6), dtype=torch.uint8)
    grey = torch.linspace(-1, 1, levels)
    low = 2 / (levels - 1) / 3
    found = reconstruction_term(
        grey[values.long()], values, levels, low, torch.Generator().manual_seed(3)
    )
    z = grey[values.long()] + low * torch.randn(50, 6, generator=torch.Generator().manual_seed(3))
    log_p = (-(z[..., None] - grey).square() / (2 * low**2)).log_softmax(-1)
    expected = -log_p.gather(-1, values.long()[..., None]).sum((1, 2))
    torch.testing.assert_close(found, expected)
    chosen = reconstruction_term(grey[values.long()], values, levels, lowest_level(levels))
    assert chosen.mean() < 0.02 * 6


@pytest.mark.parametrize(("gamma", "nats"), [(5, 2.63), (7, 0.36), (8.76, 0.06)])
def test_what_is_left_at_the_highest_level_is_paid_for(gamma, nats):
    x = torch.ones(1, 784)
    assert prior_term(x, math.exp(gamma / 2)).item() == pytest.approx(nats, abs=0.02)
