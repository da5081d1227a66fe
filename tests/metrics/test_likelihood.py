"""Nats, bits and bounds against closed forms."""

import math

import pytest
import torch
from torch.testing import assert_close

from genlab.errors import DataError
from genlab.metrics.ais import annealed_importance_sampling
from genlab.metrics.likelihood import (
    Likelihood,
    bits_per_dim,
    bootstrap,
    likelihood_keys,
    log_probs,
    nats,
    random_subset,
)


def uniform(x, y, k, generator):
    return torch.full((len(x),), -x[0].numel() * math.log(256))


def test_the_uniform_model_has_8_bits_a_dimension():
    x = torch.randint(0, 256, (30, 3, 5, 5)).to(torch.uint8)
    exact = log_probs(Likelihood(uniform, "exact", x, None, 75))
    assert bits_per_dim(-float(exact[0]), 75) == pytest.approx(8, rel=1e-7)
    assert bits_per_dim(75 * math.log(256), 75) == 8.0
    assert nats(bits_per_dim(123.4, 75), 75) == pytest.approx(123.4)


def test_keys_say_exact_or_bound_and_how_many():
    assert likelihood_keys("exact", 1000, 10, 10) == ("nll_exact", "bpd_exact")
    assert likelihood_keys("bound", 1, 10, 10) == ("nll_elbo", "bpd_elbo")
    assert likelihood_keys("bound", 50, 10, 10) == ("nll_iw50", "bpd_iw50")
    assert likelihood_keys("bound", 50, 1500, 10_000)[0] == "nll_iw50_1500"
    assert likelihood_keys("bound", 50, 2000, 10_000)[0] == "nll_iw50_2k"


def test_a_subset_is_random_and_seeded_and_never_the_first():
    index = random_subset(10_000, 500, seed=1)
    assert torch.equal(index, random_subset(10_000, 500, seed=1))
    assert not torch.equal(index, random_subset(10_000, 500, seed=2))
    assert len(index.unique()) == 500
    assert index.float().mean() == pytest.approx(5000, abs=500)
    assert torch.equal(random_subset(7, 7), torch.arange(7))
    with pytest.raises(DataError, match="n=0"):
        random_subset(7, 0)


def test_each_image_of_the_subset_is_seen_once_with_its_label():
    x = torch.arange(90, dtype=torch.uint8).view(90, 1, 1, 1)

    def log_prob(x, y, k, generator):
        assert k == 300
        assert len(x) <= 20_000 // 300
        assert torch.equal(x.flatten().long() + 1, y)
        return -y.double()

    likelihood = Likelihood(log_prob, "bound", x, torch.arange(1, 91), 1)
    steps = []
    found = log_probs(likelihood, k=300, n=80, seed=4, advance=steps.append)
    assert_close(-found, random_subset(90, 80, seed=4).double() + 1)
    assert sum(steps) == 80
    bad = Likelihood(lambda x, y, k, generator: torch.zeros(()), "exact", x, None, 1)
    with pytest.raises(DataError, match="expected \\(90,\\)"):
        log_probs(bad)


def test_the_importance_weighted_bound_approaches_the_evidence():
    torch.manual_seed(0)
    d, z, noise, n = 10, 3, 0.3, 40
    weight = torch.randn(d, z).double()
    x = torch.randn(n, d).double()
    evidence = torch.distributions.MultivariateNormal(
        torch.zeros(d).double(), weight @ weight.T + noise * torch.eye(d).double()
    ).log_prob(x)
    mean, scale = x @ weight / (weight.square().sum(0) + noise), torch.full((z,), 0.5).double()

    def log_prob(index, y, k, generator):
        rows = index.flatten().long()
        epsilon = torch.randn(k, len(rows), z, generator=generator, dtype=torch.float64)
        latent = mean[rows] + scale * epsilon
        error = (x[rows] - latent @ weight.T).square() / noise + math.log(2 * math.pi * noise)
        log_w = -0.5 * error.sum(-1) - 0.5 * latent.square().sum(-1)
        log_w = log_w + 0.5 * epsilon.square().sum(-1) + scale.log().sum()
        return log_w.logsumexp(0) - math.log(k)

    index = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1)
    likelihood = Likelihood(log_prob, "bound", index, None, d)
    bounds = [float(log_probs(likelihood, k=k).mean()) for k in (1, 10, 100, 10_000)]
    assert bounds == sorted(bounds)
    assert bounds[0] < float(evidence.mean()) - 1
    assert bounds[-1] == pytest.approx(float(evidence.mean()), abs=0.05)
    again = float(log_probs(likelihood, k=10).mean())
    assert again == bounds[1]


def test_bootstrap_interval_is_about_two_standard_errors():
    values = torch.randn(2000, generator=torch.Generator().manual_seed(0)) * 3 + 100
    low, high = bootstrap(values)
    error = 1.96 * float(values.std()) / 2000**0.5
    assert low == pytest.approx(float(values.mean()) - error, abs=0.25 * error)
    assert high == pytest.approx(float(values.mean()) + error, abs=0.25 * error)
    assert bootstrap(values) == (low, high)


def test_ais_equals_the_enumerated_partition_function_of_a_boltzmann_machine():
    generator = torch.Generator().manual_seed(0)
    visible, hidden, chains = 12, 8, 300
    weight = torch.randn(visible, hidden, generator=generator, dtype=torch.float64) * 0.5
    a, b = torch.randn(2, visible, generator=generator, dtype=torch.float64) * 0.2
    b = b[:hidden]
    states = (torch.arange(2**visible)[:, None] >> torch.arange(visible) & 1).double()

    def log_density(v, beta):
        return beta * (v @ a) + torch.nn.functional.softplus(beta * (b + v @ weight)).sum(-1)

    def transition(v, beta):
        h = torch.bernoulli((beta * (b + v @ weight)).sigmoid(), generator=generator)
        return torch.bernoulli((beta * (a + h @ weight.T)).sigmoid(), generator=generator)

    exact = float(log_density(states, 1.0).logsumexp(0))
    start = torch.bernoulli(torch.full((chains, visible), 0.5).double(), generator=generator)
    base = (visible + hidden) * math.log(2)
    betas = torch.linspace(0, 1, 501)
    found = annealed_importance_sampling(log_density, transition, start, base, betas)
    assert found.log_z == pytest.approx(exact, abs=0.05)
    assert found.low < exact < found.high
    assert 200 < found.effective <= 300
    assert (found.chains, found.temperatures) == (300, 500)


def test_ais_equals_the_closed_form_of_a_gaussian():
    generator = torch.Generator().manual_seed(0)
    variance = 0.25  # from N(0, 1) to exp(-x^2 / 2v), whose Z is sqrt(2 pi v)

    def precision(beta):
        return (1 - beta) + beta / variance

    def log_density(x, beta):
        return -0.5 * precision(beta) * x.square().sum(-1)

    def transition(x, beta):
        step = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        proposal = x + step / precision(beta) ** 0.5
        accept = (log_density(proposal, beta) - log_density(x, beta)).exp()
        keep = torch.rand(len(x), generator=generator, dtype=x.dtype) < accept
        return torch.where(keep[:, None], proposal, x)

    start = torch.randn(1000, 2, generator=generator, dtype=torch.float64)
    found = annealed_importance_sampling(
        log_density, transition, start, math.log(2 * math.pi), torch.linspace(0, 1, 101)
    )
    assert found.log_z == pytest.approx(math.log(2 * math.pi * variance), abs=0.03)


def test_ais_refuses_what_it_cannot_anneal():
    start = torch.zeros(3, 1)
    for betas in (torch.tensor([0.0, 0.5]), torch.tensor([0.0, 0.5, 0.5, 1.0])):
        with pytest.raises(DataError, match="from 0 to 1"):
            annealed_importance_sampling(None, None, start, 0.0, betas)
    with pytest.raises(DataError, match="at least 2 chains"):
        annealed_importance_sampling(None, None, start[:1], 0.0, torch.tensor([0.0, 1.0]))
