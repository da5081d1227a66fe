"""Variational mixtures against evidences in closed form, and the number of modes of the data."""

import math

import pytest
import torch
from torch.distributions import Beta, Gamma

from genlab.data.gaussians import Gaussians
from genlab.models.mixture_bayes import MixtureBayes
from genlab.types import Batch, ImageSpec

BITS = ImageSpec(1, 2, 3, levels=2)
GREY = ImageSpec(1, 1, 2, levels=16)


def data(spec, n=80):
    g = torch.Generator().manual_seed(3)
    return torch.randint(spec.levels, (n, *spec.shape), generator=g, dtype=torch.uint8)


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def make(spec, x, monkeypatch, **options):
    """A model whose data counts as what it is, and is dequantized the same way at each look."""
    torch.manual_seed(0)
    model = MixtureBayes(spec, **options)
    model.family.begin([x])
    model.family.prior.fill_(model.pseudo_counts / len(x))
    v = model.family.prepare(x)
    monkeypatch.setattr(model.family, "prepare", lambda x, g=None: v)
    return model, v


def iterate(model, x, times):
    """Negative bounds before each iteration of coordinate ascent."""
    sgd, found = torch.optim.SGD(model.parameters(), lr=1.0), []
    for _ in range(times):
        sgd.zero_grad()
        loss = model.loss(Batch(x)).total
        loss.backward()
        sgd.step()
        found.append(loss.item())
    return torch.tensor(found)


def log_evidence(spec, v, c):
    """log p(v_1 .. v_n) of one component under its conjugate prior, in closed form."""
    n = len(v)
    if spec is BITS:
        a, b = c + v.sum(0), c + n - v.sum(0)
        whole = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
        return (whole - 2 * math.lgamma(c) + math.lgamma(2 * c)).sum()
    # Murphy 2007, Conjugate Bayesian analysis of the Gaussian distribution, section 3.4
    kappa, a = c + n, (c + n) / 2
    mean = v.sum(0) / kappa
    b = c / 2 + 0.5 * (v.square().sum(0) - kappa * mean.square())
    whole = math.lgamma(a) - math.lgamma(c / 2) + c / 2 * math.log(c / 2) - a * b.log()
    return (whole + 0.5 * math.log(c / kappa) - n / 2 * math.log(2 * math.pi)).sum()


@pytest.mark.parametrize("spec", [BITS, GREY], ids=["bernoulli", "gaussian"])
def test_the_bound_of_one_component_is_the_evidence(spec, monkeypatch):
    x = data(spec)
    model, v = make(spec, x, monkeypatch, components=1, pseudo_counts=0.7)
    bound = -iterate(model, x, 2)[-1] * len(x)
    volume = 0.0 if spec is BITS else len(x) * model.family.spread.log().sum()
    torch.testing.assert_close(bound + volume, log_evidence(spec, v, 0.7))


@pytest.mark.parametrize("spec", [BITS, GREY], ids=["bernoulli", "gaussian"])
def test_the_bound_never_falls(spec, monkeypatch):
    x = data(spec)
    model, _ = make(spec, x, monkeypatch, components=6, concentration=0.3, pseudo_counts=0.5)
    bounds = -iterate(model, x, 40)
    assert (bounds.diff() > -1e-12).all()
    assert bounds[-1] > bounds[1] + 1e-3


def test_expectations_are_those_of_the_posterior():
    torch.manual_seed(0)
    n, draws = torch.tensor(30.0), 40_000
    bits = MixtureBayes(BITS, components=2, pseudo_counts=0.5).family
    weights = torch.tensor([0.6, 0.4])
    ones = torch.rand(2, 6) * weights[:, None]
    p = Beta(n * (ones + bits.prior), n * (weights[:, None] - ones + bits.prior))
    p, v = p.sample((draws,)), data(BITS, 1).flatten(1).double()
    log_p = (v[0] * p.log() + (1 - v[0]) * (-p).log1p()).sum(2)
    found = bits.expected_log_density(weights, ones, v, n)[0]
    assert ((log_p.mean(0) - found).abs() < 5 * log_p.std(0) / math.sqrt(draws)).all()
    grey = MixtureBayes(GREY, components=2, pseudo_counts=0.5).family
    mean, variance = torch.randn(2, 2), torch.rand(2, 2) + 0.2
    total = (weights + grey.prior)[:, None]
    moments = torch.cat([total * mean, total * (variance + mean.square()) - grey.prior], 1)
    precision = Gamma(n * total / 2, n * total * variance / 2).sample((draws,))
    mu = mean + torch.randn(draws, 2, 2) / (n * total * precision).sqrt()
    v = torch.randn(1, 2)
    log_p = torch.distributions.Normal(mu, precision.rsqrt()).log_prob(v[0])
    log_p = (log_p - grey.spread.log()).sum(2)
    found = grey.expected_log_density(weights, moments, v, n)[0]
    assert ((log_p.mean(0) - found).abs() < 5 * log_p.std(0) / math.sqrt(draws)).all()


def test_it_finds_the_modes_of_the_ring_and_empties_the_other_components():
    torch.set_default_dtype(torch.float32)
    source = Gaussians(n_train=3000, n_test=100)
    x = source.load("train").x
    torch.manual_seed(0)
    model = MixtureBayes(source.spec, components=20)
    assert model.diagnostics(Batch(x))["found"] == 20
    model.begin([Batch(x)])
    assert model.observations.item() == pytest.approx(3000)
    iterate(model, x, 250)
    assert model.diagnostics(Batch(x))["found"] == 8
    centres = torch.as_tensor(source.centres, dtype=torch.float32)
    held = model.weights > 1e-3
    mean = model.family.mean(model.weights, model.statistics)[held]
    assert torch.cdist(centres, mean).amin(1).max() < 0.6
    again = MixtureBayes(source.spec, components=20)
    again.load_state_dict(model.state_dict())
    assert again.observations == model.observations
