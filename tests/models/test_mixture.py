"""Mixtures against the textbook's EM, enumeration, and the data's own distribution."""

import functools
import itertools
import math

import pytest
import torch

from genlab.errors import ConfigError
from genlab.models.mixture import Mixture
from genlab.nn.mixtures.seeding import far_points
from genlab.training.schedules import Constant, RobbinsMonro
from genlab.training.step.optimizers import check_optimizer
from genlab.types import Batch, ImageSpec, LabelSpec

BITS = ImageSpec(1, 2, 3, levels=2, condition=LabelSpec(2))
GREY = ImageSpec(1, 1, 2, levels=16, condition=LabelSpec(2))
EVERY = torch.tensor(list(itertools.product((0, 1), repeat=6)), dtype=torch.uint8).view(-1, 1, 2, 3)


def data(spec, n=60):
    g = torch.Generator().manual_seed(3)
    x = torch.randint(spec.levels, (n, *spec.shape), generator=g, dtype=torch.uint8)
    return Batch(x, torch.randint(2, (n,), generator=g))


def make(spec, monkeypatch, **kw):
    """A model in float64 whose dequantization, if it has any, is the same at each look."""
    torch.manual_seed(0)
    model = Mixture(spec, components=3, prior=0.01, **kw).double()
    once = functools.cache(type(model.family).prepare)
    monkeypatch.setattr(model.family, "prepare", lambda x, g=None: once(model.family, x).double())
    return model


def textbook_bernoulli(w, p, v, a):
    """One EM iteration in the notation of Bishop (2006), section 9.3.3, with a Beta prior."""
    r = torch.stack([w[k] * (p[k] ** v * (1 - p[k]) ** (1 - v)).prod(1) for k in range(len(w))], 1)
    r = r / r.sum(1, keepdim=True)
    n = r.sum(0)
    p = torch.stack([((r[:, k : k + 1] * v).sum(0) + a) / (n[k] + 2 * a) for k in range(len(w))])
    return n / len(v), p


def textbook_gaussian(w, mean, std, v, a):
    """One EM iteration (Bishop, section 9.2.2) with ``a`` observations of mean 0, variance 1."""
    normal = [torch.distributions.Normal(mean[k], std[k]) for k in range(len(w))]
    r = torch.stack([w[k] * normal[k].log_prob(v).sum(1).exp() for k in range(len(w))], 1)
    r = r / r.sum(1, keepdim=True)
    n = r.sum(0)
    mean = (r.T @ v) / (n[:, None] + a)
    var = [
        ((r[:, k : k + 1] * (v - mean[k]) ** 2).sum(0) + a * (1 + mean[k] ** 2)) / (n[k] + a)
        for k in range(len(w))
    ]
    return n / len(v), mean, torch.stack(var).sqrt()


def em_step(model, batch, optimizer):
    optimizer.zero_grad()
    loss = model.loss(batch)
    loss.total.backward()
    optimizer.step()
    return loss.total.item()


@pytest.mark.parametrize("spec", [BITS, GREY], ids=["bernoulli", "gaussian"])
def test_a_step_of_rate_1_is_the_textbooks_em_and_never_loses_likelihood(spec, monkeypatch):
    torch.set_default_dtype(torch.float64)
    try:
        model, batch = make(spec, monkeypatch), data(spec)
        model.family.begin([batch.x])
        v, a = model.family.prepare(batch.x), 0.01 * len(batch.x)
        sgd = torch.optim.SGD(model.parameters(), lr=1.0)
        w = model.log_weights().exp().detach()
        read = model.family.probabilities if spec is BITS else model.family.moments
        found = read(model.weights.detach(), model.statistics.detach())
        params = (found,) if spec is BITS else (found[0], found[1].sqrt())
        textbook = textbook_bernoulli if spec is BITS else textbook_gaussian
        before = -math.inf
        for _ in range(20):
            prior = 0.01 * model.family.log_prior(model.weights, model.statistics).item()
            objective = -em_step(model, batch, sgd) + prior
            assert objective >= before - 1e-12
            before = objective
            w, *params = textbook(w, *params, v, a)
            torch.testing.assert_close(model.log_weights().exp(), w)
            found = read(model.weights, model.statistics)
            found = (found,) if spec is BITS else (found[0], found[1].sqrt())
            torch.testing.assert_close(tuple(found), tuple(params))
    finally:
        torch.set_default_dtype(torch.float32)


def test_stepwise_em_averages_statistics_by_robbins_and_monro(monkeypatch):
    model, schedule = make(BITS, monkeypatch), RobbinsMonro(0.6, 2.0)
    sgd = torch.optim.SGD(model.parameters(), lr=1.0)
    expected = model.statistics.detach().clone()
    for t, part in enumerate(data(BITS).x.split(20)):
        r = model.encode(Batch(part))
        rate = (t + 2) ** -0.6
        target = r.T @ part.flatten(1).double() / len(part)
        expected = (1 - rate) * expected + rate * target
        sgd.param_groups[0]["lr"] = schedule.factor_at(20 * t, None, t)
        em_step(model, Batch(part), sgd)
        torch.testing.assert_close(model.statistics.detach(), expected)
    assert Constant().factor_at(500, 1000, 7) == 1


def test_a_conditional_mixture_is_one_of_each_class(monkeypatch):
    model, batch = make(BITS, monkeypatch, conditional=True), data(BITS)
    log_p = model.log_prob(batch)
    for y in range(2):
        alone, mine = make(BITS, monkeypatch), batch.y == y
        rows = slice(3 * y, 3 * y + 3)
        with torch.no_grad():
            alone.weights.copy_(model.weights[rows])
            alone.statistics.copy_(model.statistics[rows])
        torch.testing.assert_close(log_p[mine], alone.log_prob(Batch(batch.x[mine])))
    loss = model.loss(batch)
    torch.testing.assert_close(loss.total, -log_p.mean())
    loss.total.backward()
    # Between classes nothing is shared: the weights' step leads to the classes' shares.
    shares = (model.weights.detach() - model.weights.grad).view(2, 3).sum(1)
    torch.testing.assert_close(shares, torch.bincount(batch.y) / len(batch.y), check_dtype=False)


def test_masses_are_differences_of_the_normal_distribution():
    torch.manual_seed(0)
    model = Mixture(GREY, components=4).double()
    mean, std = model.family.on_levels(model.weights, model.statistics)
    levels = torch.arange(16.0, dtype=torch.float64)[:, None, None]
    normal = torch.distributions.Normal(mean, std)
    below = normal.cdf(levels)
    below[0] = 0
    expected = torch.cat([below[1:], torch.ones(1, 4, 2, dtype=torch.float64)]) - below
    torch.testing.assert_close(model.family.masses(levels, mean, std).exp(), expected)
    far = model.family.masses(torch.tensor(15.0), torch.tensor(-400.0), torch.tensor(1.0))
    assert far == pytest.approx(-(415**2) / 2 - math.log(415 * math.sqrt(2 * math.pi)), rel=1e-5)


@pytest.mark.parametrize("known", [0, 2, 6])
def test_completions_follow_the_conditional_distribution(known):
    torch.manual_seed(0)
    model = Mixture(BITS, components=5)
    with torch.no_grad():
        model.statistics.copy_(torch.rand(5, 6) / 5)
    p = model.log_prob(Batch(EVERY)).exp()
    start = EVERY[37]
    fits = (EVERY.flatten(1)[:, :known] == start.flatten()[:known]).all(1)
    expected = torch.where(fits, p, 0) / p[fits].sum()
    g = torch.Generator().manual_seed(0)
    done = model.complete(start.expand(20_000, 1, 2, 3), known, generator=g)
    index = (done.flatten(1).long() * 2 ** torch.arange(5, -1, -1)).sum(1)
    found = torch.bincount(index, minlength=64) / len(done)
    assert (found - expected).abs().sum() / 2 < 0.03


def test_reconstructions_are_posterior_means():
    torch.manual_seed(0)
    model = Mixture(BITS, components=5)
    r, p = model.encode(Batch(EVERY)), model.family.mean(model.weights, model.statistics)
    torch.testing.assert_close(r.sum(1), torch.ones(64))
    assert torch.equal(model.reconstruct(Batch(EVERY)).flatten(1), (r @ p > 0.5).to(torch.uint8))


def test_seeds_are_far_from_each_other_and_all_different():
    v = torch.cat([torch.zeros(50, 2), torch.ones(50, 2), torch.full((1, 2), 9.0)])
    for seed in range(5):
        chosen = far_points(v, 3, torch.Generator().manual_seed(seed))
        assert len({tuple(row) for row in v[chosen].tolist()}) == 3
    assert len(far_points(torch.zeros(3, 2), 8)) == 8


def test_it_comes_within_a_hundredth_of_a_nat_of_the_ring():
    from genlab.data.gaussians import Gaussians

    source = Gaussians(n_train=4000, n_test=2000)
    train, test = source.load("train").x, source.load("test").x
    torch.manual_seed(0)
    model = Mixture(source.spec, components=8, family="gaussian", prior=1e-7)
    model.begin([Batch(train)])
    sgd, schedule = torch.optim.SGD(model.parameters(), lr=1.0), RobbinsMonro(0.6, 2.0)
    for t in range(60):
        sgd.param_groups[0]["lr"] = schedule.factor_at(500 * t, None, t)
        em_step(model, Batch(train[t % 8 * 500 : t % 8 * 500 + 500]), sgd)
    # The truth: points are rounded, so level x has the mass of [x - 1/2, x + 1/2].
    centres = torch.as_tensor(source.centres, dtype=torch.float32)
    std = torch.full((8, 2), float(source.std))
    x = test.flatten(1).float()[:, None]
    truth = model.family.masses(x, centres + 0.5, std).sum(2).logsumexp(1) - math.log(8)
    found = model.log_prob(Batch(test))
    assert float(truth.mean() - found.mean()) < 0.01
    assert model.diagnostics(Batch(test))["components"] == pytest.approx(8, abs=0.05)


def test_what_it_cannot_model_or_be_trained_by_is_refused():
    with pytest.raises(ConfigError, match=r"model.family=bernoulli.*16 levels: data=mnist_dyn"):
        Mixture(GREY, family="bernoulli")
    model = Mixture(BITS, components=2)
    sgd = functools.partial(torch.optim.SGD, lr=1.0)
    check_optimizer(model, sgd, None)
    with pytest.raises(ConfigError, match="by Adam: take optimizer=em"):
        check_optimizer(model, functools.partial(torch.optim.Adam), None)
    with pytest.raises(ConfigError, match="one for each player: take optimizer=em"):
        check_optimizer(model, {"model": sgd}, None)
    with pytest.raises(ConfigError, match=r"trainer.clip=1.0: .* trainer.clip=null"):
        check_optimizer(model, sgd, 1.0)
