"""The bounds of the VAE on a linear Gaussian model, whose evidence is known in closed form.

x = W z + b + s e with z, e standard normal: log p(x) is a normal's, and the true posterior of z
is a normal, too, which is diagonal if the columns of W are orthogonal.
"""

import math

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from genlab.models.vae import VAE
from genlab.nn.heads.base import Head
from genlab.types import Batch, ImageSpec

SPEC = ImageSpec(1, 2, 3, levels=5)
LATENT, NOISE = 2, 0.7


class FixedGaussian(Head):
    """A density of the integers themselves: normal with a fixed standard deviation."""

    channels = uniforms = 1

    def pixel_log_prob(self, params, x, *, generator=None):
        return Normal(params, NOISE).log_prob(x.to(params.dtype)).sum(-3)

    def mean(self, params):
        return params / (self.levels - 1)

    def quantile(self, params, u, temperature=1.0):
        raise NotImplementedError


class Posterior(nn.Module):
    """The true posterior's mean and standard deviation, the former shifted."""

    def __init__(self, weight, bias, shift):
        super().__init__()
        self.weight, self.bias, self.shift = weight, bias, shift

    def forward(self, unit, context):
        x = unit.flatten(1) * (SPEC.levels - 1)
        precision = 1 + self.weight.square().sum(0) / NOISE**2
        mean = (x - self.bias) @ self.weight / NOISE**2 / precision + self.shift
        return torch.cat([mean, (-0.5 * precision.log()).expand_as(mean)], 1)


class Affine(nn.Module):
    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, z):
        return (z @ self.weight.T + self.bias).view(-1, *SPEC.shape)


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def linear(shift=0.0, **options):
    """A VAE that is linear and Gaussian, its true evidence, and the gap of its posterior."""
    torch.manual_seed(3)
    weight = torch.linalg.qr(torch.randn(6, LATENT)).Q * torch.tensor([1.5, 0.6])
    bias = 2 * torch.rand(6) + 1
    model = VAE(SPEC, network="mlp", hidden=4, latent=LATENT, **options)
    model.head = FixedGaussian(SPEC)
    model.encoder, model.decoder = Posterior(weight, bias, shift), Affine(weight, bias)
    covariance = weight @ weight.T + NOISE**2 * torch.eye(6)

    def evidence(batch):
        return MultivariateNormal(bias, covariance).log_prob(batch.x.flatten(1).double())

    precision = 1 + weight.square().sum(0) / NOISE**2
    q = Normal(torch.full((LATENT,), shift), precision.rsqrt())
    gap = kl_divergence(q, Normal(torch.zeros(LATENT), precision.rsqrt())).sum()
    return model, evidence, gap


def batch(n=40):
    g = torch.Generator().manual_seed(0)
    return Batch(torch.randint(0, 5, (n, *SPEC.shape), dtype=torch.uint8, generator=g))


def draws(model, given, repeats, samples=1):
    """Independent draws of the bound, ``(repeats, B)``."""
    many = Batch(given.x.repeat(repeats, 1, 1, 1))
    g = torch.Generator().manual_seed(1)
    return model.log_prob(many, samples=samples, generator=g).view(repeats, -1)


@pytest.mark.parametrize("k", [2, 7])
def test_with_the_true_posterior_every_weight_is_the_evidence(k):
    model, evidence, _ = linear()
    torch.testing.assert_close(model.log_prob(batch(), samples=k), evidence(batch()))


def test_portions_of_images_and_samples_change_nothing():
    model, evidence, _ = linear()
    many = batch(4100)  # more than two portions of images
    torch.testing.assert_close(model.log_prob(many, samples=3), evidence(many))
    few = batch(3)  # and two portions of samples
    torch.testing.assert_close(model.log_prob(few, samples=1500), evidence(few))


def test_the_elbo_falls_short_of_the_evidence_by_the_posteriors_divergence():
    model, evidence, gap = linear(shift=0.4)
    found = draws(model, batch(), 2000)
    error = found.std(0) / math.sqrt(len(found))
    assert gap > 0.3
    assert ((found.mean(0) - (evidence(batch()) - gap)).abs() < 5 * error).all()


def test_the_importance_weighted_bound_rises_to_the_evidence():
    model, evidence, gap = linear(shift=0.6)
    few = batch(8)
    plan = ((1, 4000), (2, 2000), (5, 800), (20, 200), (100, 50), (5000, 4))
    bounds = [draws(model, few, repeats, k).mean() for k, repeats in plan]
    gaps = evidence(few).mean() - torch.stack(bounds)
    torch.testing.assert_close(gaps[0], gap, rtol=0.05, atol=0)
    assert (gaps.diff() < 0).all(), gaps  # each k is closer than the one before
    assert gaps[-1].abs() < 0.02


def test_the_importance_weights_are_unbiased():
    """E[exp(bound)] is the evidence for each k: the mean of the weights, not their sum."""
    model, evidence, _ = linear(shift=0.3)
    few = batch(5)
    for k in (2, 10):
        ratio = (draws(model, few, 10_000 // k, k) - evidence(few)).exp().mean(0)
        torch.testing.assert_close(ratio, torch.ones(5), rtol=0, atol=0.06)


@pytest.mark.parametrize("samples", [1, 5])
def test_the_losses_are_minus_the_evidence_with_the_true_posterior(samples):
    model, evidence, _ = linear(objective="iwae", samples=samples)
    torch.testing.assert_close(model.loss(batch()).total, -evidence(batch()).mean())
    model, evidence, _ = linear(samples=2000)
    loss = model.loss(batch())
    torch.testing.assert_close(loss.total, -evidence(batch()).mean(), rtol=0.01, atol=0)
    torch.testing.assert_close(loss.total, loss.parts["rate"] + loss.parts["distortion"])


def test_the_iwae_loss_is_the_mean_of_the_bound():
    model, _, gap = linear(shift=0.6, objective="iwae", samples=5)
    losses = torch.stack([model.loss(batch()).total.detach() for _ in range(200)])
    bounds = draws(model, batch(), 200, 5).mean(1)
    error = (losses.var() / 200 + bounds.var() / 200).sqrt()
    assert (losses.mean() + bounds.mean()).abs() < 4 * error
    assert gap > 10 * error


def test_a_mixture_of_one_standard_normal_is_the_standard_normal():
    """The sampled rate agrees with the one in closed form on average, and the bounds do."""
    plain, evidence, _ = linear()
    mixed, _, _ = linear(prior="mixture", prior_components=3)
    torch.nn.init.zeros_(mixed.prior.mean)
    torch.testing.assert_close(mixed.log_prob(batch(), samples=4), evidence(batch()))
    torch.testing.assert_close(mixed.log_prob(batch()), evidence(batch()))
    rates = [model.loss(batch(20_000)).parts["rate"] for model in (plain, mixed)]
    torch.testing.assert_close(rates[0], rates[1], rtol=0.03, atol=0)
