"""Normals, mixtures and priors against torch.distributions."""

import itertools

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from genlab.nn.latents.distributions import Mixture, fit_mixture, kl_from_standard, normal_log_prob
from genlab.nn.latents.priors import FittedPrior, LearnedPrior, VampPrior
from genlab.nn.latents.running import RunningNormal


def mixture(components=4, dim=3, dtype=torch.float64):
    logits, mean, log_std = (
        torch.randn(*shape, dtype=dtype)
        for shape in ((components,), (components, dim), (components, dim))
    )
    return Mixture(logits.log_softmax(0), 3 * mean, 0.5 * log_std)


def oracle(m):
    return MixtureSameFamily(
        Categorical(logits=m.log_weights), Independent(Normal(m.mean, m.log_std.exp()), 1)
    )


def test_the_normal_density():
    z, mean, log_std = torch.randn(3, 5, 7, 4, dtype=torch.float64).unbind()
    expected = Normal(mean, log_std.exp()).log_prob(z).sum(-1)
    torch.testing.assert_close(normal_log_prob(z, mean, log_std), expected)


def test_the_divergence_from_the_standard_normal():
    mean, log_std = 3 * torch.randn(2, 50, 6, dtype=torch.float64)
    expected = kl_divergence(Normal(mean, log_std.exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_from_standard(mean, log_std), expected)


def test_the_mixture_density():
    m, z = mixture(), 3 * torch.randn(2, 11, 3, dtype=torch.float64)
    torch.testing.assert_close(m.log_prob(z), oracle(m).log_prob(z))


def test_the_mixture_draws_from_its_density():
    m = mixture()
    z = m.sample(200_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(z.mean(0), oracle(m).mean, rtol=0, atol=0.03)
    torch.testing.assert_close(z.var(0), oracle(m).variance, rtol=0.02, atol=0)
    cold = m.sample(1000, temperature=1e-9)
    distance = torch.cdist(cold, m.mean).min(1).values
    torch.testing.assert_close(distance, torch.zeros(1000).double(), rtol=0, atol=1e-6)


def test_a_fit_of_one_component_is_the_moments():
    z = torch.randn(500, 3, dtype=torch.float64) * torch.tensor([1.0, 2.0, 0.1]) + 5
    m = fit_mixture(z, 1, steps=2)
    torch.testing.assert_close(m.mean[0], z.mean(0))
    torch.testing.assert_close((2 * m.log_std[0]).exp(), z.var(0, correction=0))


def test_a_fit_never_gets_worse_and_finds_what_made_the_codes():
    truth = Mixture(
        torch.tensor([0.2, 0.3, 0.5]).double().log(),
        torch.tensor([[-5.0, 0.0], [0.0, 5.0], [6.0, -2.0]]).double(),
        torch.tensor([[0.0, -1.0], [-0.5, 0.0], [0.3, 0.2]]).double(),
    )
    z = truth.sample(6000, generator=torch.Generator().manual_seed(1))
    likelihood = [
        fit_mixture(z, 3, generator=torch.Generator().manual_seed(3), steps=n).log_prob(z).mean()
        for n in (0, 1, 2, 4, 8, 60)
    ]
    assert all(b >= a - 1e-9 for a, b in itertools.pairwise(likelihood))
    found = fit_mixture(z, 3, generator=torch.Generator().manual_seed(3), steps=60)
    order = found.mean[:, 0].argsort()
    torch.testing.assert_close(
        found.log_weights[order].exp(), truth.log_weights.exp(), rtol=0, atol=0.03
    )
    torch.testing.assert_close(found.mean[order], truth.mean, rtol=0, atol=0.1)
    torch.testing.assert_close(found.log_std[order], truth.log_std, rtol=0, atol=0.1)


def test_a_fit_does_not_shrink_onto_a_single_code():
    z = torch.cat([torch.randn(50, 2), torch.full((50, 2), 9.0)])
    m = fit_mixture(z, 5, generator=torch.Generator().manual_seed(0), steps=100)
    assert all(part.isfinite().all() for part in m)
    assert (2 * m.log_std).exp().min() > 0.9e-3 * z.var(0).min()


def test_the_priors_are_the_mixtures_that_they_say():
    def posterior(images, context):
        flat = images.flatten(1)
        return flat[:, :2], flat[:, 2:] if context is None else context

    learned = LearnedPrior(5, 2)(posterior)
    assert learned.mean.shape == (5, 2)
    torch.testing.assert_close(learned.log_weights.exp().sum(), torch.tensor(1.0))
    vamp = VampPrior(6, (1, 2, 2))
    m = vamp(posterior)
    torch.testing.assert_close(m.mean, vamp.logits.sigmoid().flatten(1)[:, :2])
    torch.testing.assert_close(m.log_weights.exp(), torch.full((6,), 1 / 6))
    vamp = VampPrior(6, (1, 2, 2), context=2)
    torch.testing.assert_close(vamp(posterior).log_std, vamp.context)


def test_a_prior_not_yet_fitted_is_the_standard_normal():
    prior, z = FittedPrior(7, 3), torch.randn(20, 3)
    zero = torch.zeros(3)
    torch.testing.assert_close(prior(None).log_prob(z), normal_log_prob(z, zero, zero))
    codes = torch.randn(400, 3) + 4
    prior.fit(codes)
    once = [b.clone() for b in prior.buffers()]
    assert prior(None).log_prob(codes).mean() > normal_log_prob(codes, zero, zero).mean() + 10
    torch.manual_seed(9)
    prior.fit(codes)
    torch.testing.assert_close(list(prior.buffers()), once)


def test_the_running_normal_is_the_mixture_of_its_steps():
    """A step with share s leaves (1 - s) of the old distribution and s of the step's."""
    running = RunningNormal(2, decay=0.75).double()
    first = torch.randn(50, 2, dtype=torch.float64) + 3
    second = 2 * torch.randn(30, 2, dtype=torch.float64) - 1
    mean, square = torch.zeros(2).double(), torch.eye(2).double()  # E[z z^T] at first
    for z in (first, second):
        running.observe(z[:20])
        running.observe(z[20:])  # two portions of one step
        running.update()
        mean = 0.75 * mean + 0.25 * z.mean(0)
        square = 0.75 * square + 0.25 * z.T @ z / len(z)
    torch.testing.assert_close(running.mean, mean)
    torch.testing.assert_close(running.covariance, square - torch.outer(mean, mean))


def test_a_step_without_codes_changes_nothing():
    running = RunningNormal(2)
    running.update()
    torch.testing.assert_close(running.mean, torch.zeros(2))
    torch.testing.assert_close(running.covariance, torch.eye(2))


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_running_normal_draws_what_it_fitted(temperature):
    z = torch.randn(1000, 3) @ torch.tensor([[2.0, 1, 0], [0, 0.5, 1], [0, 0, 0.1]]) + 2
    running = RunningNormal(3)
    running.fit(z)
    draws = running.sample(100_000, temperature=temperature)
    torch.testing.assert_close(draws.mean(0), z.mean(0), rtol=0, atol=0.05)
    expected = temperature**2 * torch.cov(z.T, correction=0)
    torch.testing.assert_close(torch.cov(draws.T), expected, rtol=0, atol=0.08)
