"""Restricted Boltzmann machines against sums over all their states: the identities that hold."""

import math

import pytest
import torch

from genlab.nn.energy.annealing import anneal, reverse_anneal
from genlab.nn.energy.log_partition import estimated, temperatures
from genlab.nn.energy.pseudo_likelihood import flip_nats, pseudo_nats, reconstruction_nats
from genlab.nn.energy.rbm_core import RBMCore, binary_states
from genlab.nn.energy.rbm_gradient import Phase, centred_gradient
from genlab.nn.energy.tempered_rbm import TemperedRBM
from genlab.nn.energy.tempering import exchange, swap_odds
from genlab.nn.energy.units import BernoulliUnits, GaussianUnits

F64 = torch.float64


def machine(visible, hidden, scale, units=None, seed=0, classes=0):
    torch.manual_seed(seed)
    core = RBMCore(units or BernoulliUnits(), visible, hidden, classes).double()
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, dtype=F64))
    return core.requires_grad_(False)


def states(n):
    return torch.cat(list(binary_states(n, torch.zeros((), dtype=F64))))


def exact(core):
    """All visible states and their probabilities."""
    v = states(core.weight.shape[0])
    return v, core.log_unnormalized(v, core.biases()).softmax(0)


def even(v, core, y=None):
    """A phase of equally likely states."""
    field = core.field(v, core.biases(y))
    return Phase(v, field, torch.full((len(v),), 1 / len(v), dtype=F64), y)


def bernoulli(p, x):
    """Probabilities of bits ``(N, M)`` under rows of probabilities."""
    return (p[:, None].log() * x + (1 - p[:, None]).log() * (1 - x)).sum(2).exp()


def test_log_z_is_the_same_over_either_layer():
    core = machine(12, 10, 1.0)
    over_hidden = core.log_z_over_hidden(core.biases())
    torch.testing.assert_close(over_hidden, core.log_z_over_visible(core.biases()))
    joint = states(12) @ core.weight @ states(10).T
    joint = joint + (states(12) @ core.visible_bias)[:, None] + states(10) @ core.hidden_bias
    torch.testing.assert_close(over_hidden, joint.logsumexp((0, 1)))


@pytest.mark.parametrize("beta", [1.0, 0.3])
def test_a_sweep_leaves_the_distribution_as_it_is_in_detailed_balance(beta):
    core = machine(8, 5, 0.8)
    family = TemperedRBM(core, torch.randn(8, dtype=F64), core.biases())
    v, h = states(8), states(5)
    field = family.field(v)
    p = family.log_density(v, field, beta).softmax(0)
    down = family.visible_bias(beta) + beta * core.drive(h)
    move = bernoulli((beta * field).sigmoid(), h) @ bernoulli(down.sigmoid(), v)
    torch.testing.assert_close(p @ move, p)
    flow = p[:, None] * move
    torch.testing.assert_close(flow, flow.T)
    # And the draws are of that kernel.
    start = field[77].expand(40_000, -1)
    drawn = family.sweep(start, beta, torch.Generator().manual_seed(0))
    index = (drawn * 2.0 ** torch.arange(8)).sum(1).long()
    found = torch.bincount(index, minlength=256) / len(drawn)
    assert (found - move[77]).abs().sum() / 2 < 0.04


def test_exchanges_are_in_detailed_balance_on_two_temperatures():
    core, betas = machine(3, 4, 1.5), torch.tensor([1.0, 0.25])
    family = TemperedRBM(core, torch.randn(3, dtype=F64), core.biases())
    v = states(3)
    p = torch.stack([family.log_density(v, family.field(v), float(b)).softmax(0) for b in betas])
    product = (p[0][:, None] * p[1]).flatten()  # over pairs of states
    pairs = torch.stack([v.repeat_interleave(8, 0), v.repeat(8, 1)])
    swap = swap_odds(family, pairs, betas, 0)[0].exp().clamp(max=1)
    other = torch.arange(64).view(8, 8).T.flatten()
    torch.testing.assert_close(product * swap, (product * swap)[other])
    # The states that come out are those.
    start = pairs[:, 11:12].expand(2, 20_000, 3)
    moved, share = exchange(family, start, betas, 0, torch.Generator().manual_seed(0))
    expected = swap[11].item()
    assert share.item() == pytest.approx(expected, abs=0.02)
    swapped = (moved[0] == pairs[1, 11]).all(1) & (moved[1] == pairs[0, 11]).all(1)
    assert swapped.double().mean().item() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("units", [BernoulliUnits, GaussianUnits])
@pytest.mark.parametrize("classes", [0, 3])
def test_autograd_of_the_free_energies_is_the_gradient(units, classes):
    core = machine(6, 4, 0.7, units(), classes=classes)
    core.requires_grad_(True)
    make = states if units is BernoulliUnits else lambda n: torch.randn(2**n, n, dtype=F64)
    positive, negative = make(6)[:20], make(6)[30:50]
    y = torch.arange(20) % 3 if classes else None
    gap = core.log_unnormalized(negative, core.biases(y)).mean()
    gap = gap - core.log_unnormalized(positive, core.biases(y)).mean()
    gap.backward()
    zero = torch.zeros(6, dtype=F64), torch.zeros(4, dtype=F64)
    with torch.no_grad():
        found = centred_gradient(core, even(positive, core, y), even(negative, core, y), *zero)
    expected = {name: p.grad for name, p in core.named_parameters()}
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=name)


def test_the_centred_gradient_is_that_of_the_centred_machine():
    core = machine(6, 4, 0.7)
    mu, lam = torch.rand(6, dtype=F64), torch.rand(4, dtype=F64)
    positive, negative = states(6)[:20], states(6)[25:55]
    # The same model, written about the offsets
    w = core.weight.clone().requires_grad_()
    b = (core.visible_bias + core.weight @ lam).requires_grad_()
    c = (core.hidden_bias + mu @ core.weight).requires_grad_()

    def centred(v):
        field = c + (v - mu) @ w
        softplus = torch.nn.functional.softplus(field).sum(1)
        return (v - mu) @ b + softplus - field @ lam

    difference = centred(states(6)) - core.log_unnormalized(states(6), core.biases())
    torch.testing.assert_close(difference, difference[:1].expand(64))
    (centred(negative).mean() - centred(positive).mean()).backward()
    # Its step, written back
    rate = 0.1
    w, b, c = (p.detach() - rate * p.grad for p in (w, b, c))
    found = centred_gradient(core, even(positive, core), even(negative, core), mu, lam)
    torch.testing.assert_close(core.weight - rate * found["weight"], w)
    torch.testing.assert_close(core.visible_bias - rate * found["visible_bias"], b - w @ lam)
    torch.testing.assert_close(core.hidden_bias - rate * found["hidden_bias"], c - mu @ w)


def test_contrastive_divergence_comes_nearer_to_the_gradient_with_each_sweep():
    core = machine(10, 6, 1.0)
    every, p = exact(core)
    x = every[torch.randint(1024, (30,), generator=torch.Generator().manual_seed(1))]
    zero = torch.zeros(10, dtype=F64), torch.zeros(6, dtype=F64)
    model = Phase(every, core.field(every, core.biases()), p)
    right = centred_gradient(core, even(x, core), model, *zero)["weight"]
    # E[CD-k] by the exact kernel of a sweep
    up = core.field(every, core.biases()).sigmoid()
    down = (core.visible_bias + core.drive(states(6))).sigmoid()
    move = bernoulli(up, states(6)) @ bernoulli(down, every)
    at = torch.zeros(1024, dtype=F64).index_add(
        0, (x * 2.0 ** torch.arange(10)).sum(1).long(), torch.full((30,), 1 / 30, dtype=F64)
    )
    errors = []
    for k in range(1, 26):
        at = at @ move
        if k in (1, 5, 25):
            found = centred_gradient(core, even(x, core), model._replace(weights=at), *zero)
            errors.append(((found["weight"] - right).norm() / right.norm()).item())
    assert errors[0] > 3 * errors[1] > 6 * errors[2]
    assert errors[2] < 0.05


def test_temperatures_have_the_published_proportions():
    betas = temperatures(14_500)
    steps = betas.diff()
    assert len(steps) == 14_500
    for begin, end, size in ((0, 500, 1e-3), (500, 4500, 1e-4), (4500, 14_500, 1e-5)):
        torch.testing.assert_close(steps[begin:end], torch.full((end - begin,), size, dtype=F64))
    for n in (1, 10, 1000):
        assert len(temperatures(n)) == n + 1
        assert temperatures(n)[0] == 0
        assert temperatures(n)[-1] == 1


@pytest.mark.parametrize("units", [BernoulliUnits, GaussianUnits])
def test_annealing_holds_log_z_in_its_interval_where_it_prints_one(units):
    core = machine(8, 6, 0.8 if units is BernoulliUnits else 0.3, units())
    truth = core.log_z_over_hidden(core.biases()).item()
    start = torch.randn(8, dtype=F64)
    family, held = TemperedRBM(core, start, core.biases()), 0
    for seed in range(20):
        log_w, _ = anneal(family, 100, temperatures(60), torch.Generator().manual_seed(seed))
        found = estimated(log_w, family.log_z0().item(), 60)
        assert found.trusted
        held += found.low <= truth <= found.high
    assert held >= 19  # 3 standard errors


def test_where_the_interval_would_miss_there_is_none():
    core = machine(16, 12, 4.0)
    truth = core.log_z_over_hidden(core.biases()).item()
    family = TemperedRBM(core, torch.zeros(16, dtype=F64), core.biases())
    found = []
    for seed in range(20):
        log_w, _ = anneal(family, 100, temperatures(10), torch.Generator().manual_seed(seed))
        found.append(estimated(log_w, family.log_z0().item(), 10))
    assert sum(not f.low <= truth <= f.high for f in found) >= 4
    assert not any(f.trusted for f in found)


def test_ais_and_raise_close_in_from_both_sides():
    core = machine(14, 10, 1.5)
    truth = core.log_z_over_hidden(core.biases()).item()
    every, p = exact(core)
    g = torch.Generator().manual_seed(0)
    data = every[torch.multinomial(p, 400, replacement=True, generator=g)]
    log_p = core.log_unnormalized(data, core.biases())
    nats = truth - log_p.mean().item()
    family = TemperedRBM(core, torch.zeros(14, dtype=F64), core.biases())
    gaps = []
    for n in (10, 100, 400):
        betas = torch.linspace(0, 1, n + 1, dtype=F64)
        estimates = []
        for _ in range(10):
            log_w, _ = anneal(family, 20, betas, g)
            estimates.append(estimated(log_w, family.log_z0().item(), n).log_z)
        ais = sum(estimates) / 10 - log_p.mean().item()
        reverse = -reverse_anneal(family, data, betas, g).mean().item()
        assert ais < nats + 0.1
        assert reverse > nats - 0.1
        gaps.append(reverse - ais)
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.35


def test_reversed_chains_estimate_the_annealed_distribution_itself():
    """With one temperature the annealed draw is a sweep from the start: enumerate it."""
    core = machine(4, 3, 1.0)
    family = TemperedRBM(core, torch.randn(4, dtype=F64), core.biases())
    v, h = states(4), states(3)
    begin = family.log_density(v, family.field(v), 0.0).softmax(0)
    down = (core.visible_bias + core.drive(h)).sigmoid()
    move = bernoulli(family.field(v).sigmoid(), h) @ bernoulli(down, v)
    g = torch.Generator().manual_seed(0)
    many = v.repeat_interleave(4000, 0)
    found = reverse_anneal(family, many, torch.tensor([0.0, 1.0], dtype=F64), g)
    estimate = found.exp().view(16, 4000)
    error = estimate.std(1) / math.sqrt(4000)
    assert ((estimate.mean(1) - begin @ move).abs() < 5 * error).all()


def test_a_gaussian_machine_is_its_mixture():
    core = machine(2, 5, 0.8, GaussianUnits())
    h, s = states(5), core.units.log_std.exp()
    mean = core.visible_bias + core.drive(h)
    log_w = h @ core.hidden_bias + core.units.log_normalizer(core.visible_bias, core.drive(h))
    log_z = core.log_z_over_hidden(core.biases())
    torch.testing.assert_close(log_w.logsumexp(0), log_z)
    v = 3 * torch.randn(50, 2, dtype=F64)
    normal = torch.distributions.Normal(mean, s).log_prob(v[:, None]).sum(2)
    expected = (normal + log_w.log_softmax(0)).logsumexp(1)
    torch.testing.assert_close(core.log_unnormalized(v, core.biases()) - log_z, expected)
    nats = reconstruction_nats(core, v, core.field(v, core.biases()), core.biases())
    drive = core.drive(core.field(v, core.biases()).sigmoid())
    again = torch.distributions.Normal(core.visible_bias + drive, s).log_prob(v).sum(1)
    torch.testing.assert_close(nats, -again)


def test_pseudo_likelihood_is_that_of_each_bit_given_the_others():
    core = machine(6, 4, 1.0)
    v, p = exact(core)
    field, place = core.field(v, core.biases()), 2 ** torch.arange(6)
    expected = torch.zeros(64, dtype=F64)
    for i in range(6):
        index = (v.long() * place).sum(1)
        flipped = index + place[i] * (1 - 2 * v[:, i].long())
        nats = -(p[index] / (p[index] + p[flipped])).log()
        torch.testing.assert_close(
            flip_nats(core, v, field, core.biases(), torch.full((64,), i)), nats
        )
        expected += nats
    torch.testing.assert_close(pseudo_nats(core, v, field, core.biases()), expected)
