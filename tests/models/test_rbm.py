"""Restricted Boltzmann machines as a family: what they learn, keep, estimate and refuse."""

import itertools
import math

import contract
import pytest
import torch
from families import examples

from genlab.errors import ConfigError
from genlab.metrics.estimate import HasPartition
from genlab.metrics.likelihood import Likelihood
from genlab.metrics.measure import measure_likelihood
from genlab.models.gibbs_drawing import GibbsSampling
from genlab.models.rbm import RBM
from genlab.nn.energy.rbm_gradient import Phase
from genlab.rng import seed_global
from genlab.training.pictures import HasReceptiveFields, as_pixels
from genlab.types import Batch, ImageSpec, LabelSpec

TINY = ImageSpec(1, 2, 3, levels=2, condition=LabelSpec(2))
EVERY = torch.tensor(list(itertools.product((0, 1), repeat=6)), dtype=torch.uint8).view(-1, 1, 2, 3)


def make(spec=TINY, scale=1.0, **kw):
    torch.manual_seed(0)
    model = RBM(spec, **({"hidden": 5, "chains": 20} | kw))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "log_std" not in name:
                parameter.copy_(scale * torch.randn(parameter.shape))
    return model.eval()


def train(model, batches, rate=0.1, start=0):
    model.train()
    sgd = torch.optim.SGD(model.parameters(), lr=rate)
    for i, batch in enumerate(batches, start):
        seed_global(0, "noise", i)
        sgd.zero_grad()
        model.loss(batch).total.backward()
        sgd.step()
    return model.eval()


def exact_negative(model):
    """The phase of all states at their probabilities, in the place of chains."""

    def negative(positive):
        v, core = EVERY.flatten(1).float(), model.core
        labels = [None] if positive.y is None else range(model.num_classes)
        phases = []
        for y in labels:
            given = None if y is None else torch.full((64,), y)
            p = core.log_unnormalized(v, core.biases(given)).softmax(0)
            share = 1.0 if y is None else (positive.y == y).float().mean()
            phases.append((v, core.field(v, core.biases(given)), share * p, given))
        together = zip(*phases, strict=True)
        return Phase(*(None if parts[0] is None else torch.cat(parts) for parts in together))

    return negative


@pytest.mark.parametrize(
    ("sampler", "conditional"), [("cd", False), ("pcd", False), ("pt", False), ("pcd", True)]
)
def test_it_learns_as_the_exact_gradient_does(sampler, conditional, monkeypatch):
    g = torch.Generator().manual_seed(0)
    p = torch.full((2, 64), 0.4 / 64)
    p[0, torch.tensor([0, 7, 56])] += 0.2
    p[1, torch.tensor([63, 7, 21])] += 0.2
    y = torch.randint(2, (2000,), generator=g)
    data = Batch(EVERY[torch.multinomial(p[y], 1, generator=g)[:, 0]], y)
    parts = [Batch(*part) for part in zip(data.x.split(50), y.split(50), strict=True)]
    options = {"sampler": sampler, "conditional": conditional, "hidden": 8, "chains": 100}
    found = []
    for exact in (True, False):
        model = make(scale=0.3, k=2, replicas=3, **options)
        assert model.likelihood == "exact"
        model.begin([data])
        before = -model.log_prob(data).mean().item()
        if exact:
            monkeypatch.setattr(model, "negative", exact_negative(model))
        train(model, parts * 5, 0.2)
        found.append(-model.log_prob(data).mean().item())
        assert found[-1] < before - 0.5
    assert found[1] == pytest.approx(found[0], abs=0.03)


@pytest.mark.parametrize("conditional", [False, True])
def test_an_estimate_sums_to_one_within_the_error_that_it_states(conditional):
    model = make(partition="ais", ais_temperatures=300, conditional=conditional)
    assert model.likelihood == "estimate"
    tiny = ImageSpec(1, 2, 2, levels=2, condition=LabelSpec(2))
    model = make(tiny, partition="ais", ais_temperatures=300, conditional=conditional)
    contract.check_likelihood(model)  # by the quick estimate
    model.finish([])
    assert model.careful
    contract.check_likelihood(model)
    with torch.no_grad():
        model.log_z_table[:, :3] -= 1
    with pytest.raises(AssertionError, match="it sums to 2"):
        contract.check_likelihood(model)
    model.finish([])
    exact = make(tiny, conditional=conditional)
    x = examples(tiny)
    for found, right in zip(model.partitions(), exact.partitions(), strict=True):
        assert found.low <= right.log_z <= found.high
        assert found.temperatures == 300
    close = (model.log_prob(x) - exact.log_prob(x)).abs()
    assert close.max() < 0.2


def test_an_estimate_is_of_its_weights_alone():
    model = make(partition="ais", ais_temperatures=50)
    model.finish([])
    other = make(partition="ais", ais_temperatures=50)
    other.load_state_dict(model.state_dict())
    assert other.careful
    assert other.partitions() == model.partitions()
    with torch.no_grad():
        other.core.hidden_bias[0] += 0.01
    assert not other.careful
    quick = other.partitions()
    assert quick[0].temperatures == 1000
    assert other.partitions() is quick  # worked out once
    with torch.no_grad():
        other.core.hidden_bias[0] += 1
    assert other.partitions() is not quick


def test_chains_go_on_where_they_were_when_a_run_is_resumed():
    g = torch.Generator().manual_seed(0)
    batches = [Batch(EVERY[torch.randint(64, (10,), generator=g)]) for _ in range(6)]
    for sampler in ("pcd", "pt"):
        whole = train(make(sampler=sampler, replicas=3), batches)
        first = train(make(sampler=sampler, replicas=3), batches[:3])
        second = make(sampler=sampler, replicas=3, scale=0.3)
        second.load_state_dict(first.state_dict())
        train(second, batches[3:], start=3)
        for name, tensor in whole.state_dict().items():
            assert torch.equal(second.state_dict()[name], tensor), name
        assert not torch.equal(whole.chains, first.chains)


@pytest.mark.parametrize("known", [0, 3])
def test_clamped_sweeps_draw_from_the_conditional_distribution(known):
    model = make()
    p = model.log_prob(Batch(EVERY)).exp()
    fits = (EVERY.flatten(1)[:, :known] == EVERY[21].flatten()[:known]).all(1)
    expected = torch.where(fits, p, 0) / p[fits].sum()
    done = model.complete(
        EVERY[21].expand(20_000, 1, 2, 3), known, generator=torch.Generator().manual_seed(0),
        options=GibbsSampling(steps=40),
    )  # fmt: skip
    index = (done.flatten(1).long() * 2 ** torch.arange(5, -1, -1)).sum(1)
    found = torch.bincount(index, minlength=64) / len(done)
    assert (found - expected).abs().sum() / 2 < 0.03


def test_a_cool_chain_draws_from_a_power_of_the_distribution():
    """Summed over the hidden units, of the joint distribution: p(v, h)^2."""
    model, core = make(), make().core
    states = torch.tensor(list(itertools.product((0.0, 1.0), repeat=5)))
    v = EVERY.flatten(1).float()
    joint = (v @ core.weight + core.hidden_bias) @ states.T + (v @ core.visible_bias)[:, None]
    expected = (2 * joint).logsumexp(1).softmax(0)
    done = model.sample(
        20_000, generator=torch.Generator().manual_seed(0),
        options=GibbsSampling(steps=40, temperature=0.5),
    )  # fmt: skip
    index = (done.flatten(1).long() * 2 ** torch.arange(5, -1, -1)).sum(1)
    found = torch.bincount(index, minlength=64) / len(done)
    assert (found - expected).abs().sum() / 2 < 0.03


def test_a_machine_of_real_numbers_bounds_the_mass_of_grey_images():
    spec = ImageSpec(1, 1, 2, levels=6)
    model = make(spec, 0.5, visible="gaussian", hidden=3)
    assert model.likelihood == "bound"
    every = torch.tensor(list(itertools.product(range(6), repeat=2)), dtype=torch.uint8)
    batch = Batch(every.view(36, 1, 1, 2))
    # The mass that the mixture of 2^3 Gaussians has in each bin
    core, h = model.core, torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)))
    mean = (core.visible_bias + core.drive(h)) * model.scale[1] + model.scale[0]
    log_w = h @ core.hidden_bias + core.units.log_normalizer(core.visible_bias, core.drive(h))
    normal = torch.distributions.Normal(mean, core.units.log_std.exp() * model.scale[1])
    x = every[:, None].float()
    mass = ((normal.cdf(x + 1) - normal.cdf(x)).prod(2) * log_w.softmax(0)).sum(1)
    g = torch.Generator().manual_seed(0)
    for k, slack in ((1, 0.3), (100, 0.03)):
        found = torch.stack([model.log_prob(batch, samples=k, generator=g) for _ in range(20)])
        gap = mass.log() - found.mean(0)
        assert (gap > -4 * found.std(0) / math.sqrt(20) - 1e-4).all()
        assert gap.mean() < slack


def measured(model, n=None):
    likelihood = Likelihood(
        lambda x, y, k, g: model.log_prob(Batch(x, y), samples=k, generator=g),
        model.likelihood, EVERY.repeat(4, 1, 1, 1), None, 6, bound=model.bound_name,
        partition=model,
    )  # fmt: skip
    values = measure_likelihood(likelihood, k=1, n=n, batch=100, seed=0)
    return {value.key: value for value in values}


def test_a_report_says_both_sides_and_the_interval_of_log_z():
    model = make(partition="ais", ais_temperatures=200)
    assert isinstance(model, HasPartition)
    assert list(measured(model)) == ["nll_ais", "bpd_ais", "log_z", "ais_effective"]
    assert measured(model)["nll_ais"].low is None  # a quick estimate
    model.finish([])
    found, part = measured(model), model.partitions()[0]
    assert list(found) == [
        "nll_ais", "bpd_ais", "log_z", "ais_effective", "nll_raise_100", "nll_ais_100",
    ]  # fmt: skip
    assert found["log_z"].value == part.log_z
    assert found["ais_effective"].value == part.effective
    assert found["ais_effective"].n == 100
    nats = found["nll_ais"]
    assert nats.high - nats.value > part.high - part.log_z
    assert nats.value - nats.low > part.log_z - part.low
    assert found["bpd_ais"].high == pytest.approx(nats.high / (6 * math.log(2)))
    gap = found["nll_raise_100"].value - found["nll_ais_100"].value
    assert -0.3 < gap < 0.3
    assert "nll_raise_50" in measured(model, 50)
    assert "nll_ais_50" in measured(model, 50)


def test_too_few_effective_chains_print_no_interval():
    model = make(scale=6.0, partition="ais", ais_temperatures=3)
    model.finish([])
    assert not model.partitions()[0].trusted
    found = measured(model)
    assert found["nll_ais"].low is None
    assert found["bpd_ais"].high is None
    assert found["nll_raise_100"].low is not None


def test_what_it_cannot_do_is_said():
    grey = ImageSpec(1, 4, 8, levels=256)
    with pytest.raises(ConfigError, match=r"256 levels: data=mnist_dyn draws bits; model.visible="):
        RBM(grey)
    with pytest.raises(ConfigError, match=r"32 visible and 21 hidden units, .* at most 20"):
        RBM(ImageSpec(1, 4, 8, levels=2), hidden=21, partition="exact")
    with pytest.raises(ConfigError, match="there are 21 hidden units"):
        RBM(grey, hidden=21, visible="gaussian", partition="exact")
    assert RBM(ImageSpec(1, 4, 8, levels=2), hidden=20).likelihood == "exact"
    assert RBM(ImageSpec(1, 4, 5, levels=2), hidden=30).likelihood == "exact"
    assert RBM(ImageSpec(1, 4, 8, levels=2), hidden=21).likelihood == "estimate"
    assert RBM(grey, hidden=21, visible="gaussian").likelihood == "estimate"


def test_receptive_fields_are_pictures_of_the_weights_on_scales_of_their_own():
    model = make()
    fields = model.receptive_fields()
    torch.testing.assert_close(fields[3].flatten(), model.core.weight[:, 3].detach())
    shown = as_pixels(fields)
    assert shown.shape == (5, 1, 2, 3)
    assert isinstance(model, HasReceptiveFields)
    most = fields.flatten(1).abs().amax(1)
    back = (shown.float() / 127.5 - 1).flatten(1) * most[:, None]
    assert (back - fields.flatten(1)).abs().max() < most.max() / 127
