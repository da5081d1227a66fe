"""Diffusion against what is known without training: entropies, bits, and the samples of a
perfect denoiser."""

import itertools
import math

import pytest
import torch

from genlab.errors import ConfigError
from genlab.models.diffusion import Diffusion, DiffusionSampling
from genlab.types import Batch, ImageSpec

TINY = ImageSpec(1, 2, 2, levels=2)
EVERY = torch.tensor(list(itertools.product((0, 1), repeat=4)), dtype=torch.uint8).view(16, 1, 2, 2)


@pytest.fixture
def weights():
    torch.manual_seed(0)
    return torch.distributions.Dirichlet(torch.full((16,), 0.5)).sample()


def perfect(weights):
    """A model whose denoiser is E[x | z] of sixteen weighted images."""
    model = Diffusion(TINY, network="mlp", width=8)
    points = EVERY.flatten(1) * 2.0 - 1

    def denoise(z, r, context=None):
        r = torch.as_tensor(r, dtype=z.dtype).expand(len(z))
        squared = (z.flatten(1)[:, None] - points).square().sum(-1)
        logits = weights.log() - squared / (2 * r[:, None].square())
        return (logits.softmax(1) @ points).view_as(z)

    model.denoise = denoise
    return model


def trained(model, steps=30):
    """A model whose weights are none of those that it begins with."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def test_the_bound_of_a_perfect_denoiser_is_tight(weights):
    """Its mean is the entropy (Kingma et al. 2021), and its probabilities sum to 1."""
    entropy = -(weights * weights.log()).sum()
    log_p = perfect(weights).log_prob(
        Batch(EVERY.repeat(50, 1, 1, 1)), samples=200, generator=torch.Generator().manual_seed(1)
    )
    log_p = log_p.view(50, 16).mean(0)
    assert -(weights * log_p).sum() == pytest.approx(entropy.item(), abs=0.01)
    assert log_p.exp().sum() == pytest.approx(1, abs=0.01)


def test_an_untrained_model_of_bits_says_a_bit_a_pixel():
    """All three terms together: 784 log 2 nats, whatever the image."""
    torch.manual_seed(0)
    spec = ImageSpec(1, 28, 28, levels=2)
    x = torch.randint(2, (64, 1, 28, 28), dtype=torch.uint8)
    log_p = Diffusion(spec).log_prob(Batch(x), samples=64)
    error = log_p.std() / math.sqrt(len(log_p))
    assert error < 2
    assert abs(-log_p.mean() - 784 * math.log(2)) < 4 * error


def test_more_draws_make_the_bound_steadier_and_no_tighter(weights):
    model = perfect(weights)
    few, many = (
        model.log_prob(
            Batch(EVERY.repeat(400 // k, 1, 1, 1)),
            samples=k,
            generator=torch.Generator().manual_seed(k),
        ).view(-1, 16)
        for k in (1, 16)
    )
    assert many.std(0).mean() < few.std(0).mean() / 3
    spread = (few.var(0) / len(few) + many.var(0) / len(many)).sqrt()
    assert ((many.mean(0) - few.mean(0)).abs() < 5 * spread).all()


@pytest.mark.parametrize("sampler", ["dpm2m", "euler", "heun", "ancestral"])
def test_a_perfect_denoiser_draws_from_the_data(weights, sampler):
    model = perfect(weights)
    options = DiffusionSampling(sampler=sampler, steps=64)
    x = model.sample(8000, generator=torch.Generator().manual_seed(0), options=options)
    index = (x.flatten(1).long() * torch.tensor([8, 4, 2, 1])).sum(1)
    found = torch.bincount(index, minlength=16) / len(x)
    assert (found - weights).abs().sum() / 2 < 0.03  # total variation


def test_codes_lead_back_to_their_images():
    model = trained(Diffusion(ImageSpec(1, 8, 8, levels=4), width=8))
    x = torch.randint(4, (16, 1, 8, 8), dtype=torch.uint8)
    back = model.decode(model.encode(Batch(x)))
    assert (back == x).float().mean() > 0.98


def test_the_spread_of_the_data_is_measured_once_and_kept():
    model = Diffusion(ImageSpec(1, 8, 8))
    x = torch.randint(256, (100, 1, 8, 8), dtype=torch.uint8)
    model.begin(Batch(part) for part in x.split(32))
    expected = (x.double() / 127.5 - 1).std(correction=0)
    torch.testing.assert_close(model.data_std.double(), expected, rtol=1e-5, atol=0)
    other = Diffusion(ImageSpec(1, 8, 8))
    other.load_state_dict(model.state_dict())
    assert other.data_std == model.data_std
    model.begin([Batch(torch.zeros(5, 1, 8, 8, dtype=torch.uint8))])  # all alike
    assert model.data_std > 0


# --------------------------------------------------------------------------------------------
# Conditions


def conditional(**options):
    spec = ImageSpec(1, 8, 8, levels=4, num_classes=3)
    return trained(Diffusion(spec, width=8, conditional=True, **options))


def draw(model, guidance, seed=0):
    y = torch.arange(12) % 3
    options = DiffusionSampling(guidance=guidance)
    return model.sample(12, y, generator=torch.Generator().manual_seed(seed), options=options)


def test_guidance_of_1_is_the_conditional_model_bit_for_bit():
    model = conditional()
    asked = []
    model.network.register_forward_hook(lambda _, args, __: asked.append(len(args[0])))
    plain = draw(model, 1.0)
    assert set(asked) == {12}
    asked.clear()
    guided = draw(model, 3.0)
    assert set(asked) == {24}
    assert not torch.equal(plain, guided)
    null = draw(model, 0.0)
    with torch.no_grad():
        model.embedding.weight.zero_()
    torch.testing.assert_close(draw(model, 1.0), null, rtol=0, atol=0)


def test_guidance_extrapolates_from_no_label_to_the_label():
    model = conditional()
    y, z = torch.tensor([0, 1, 2]), torch.randn(3, 1, 8, 8)
    context = model.embedding(y)
    with torch.no_grad():
        with_label = model.denoise(z, 0.7, context)
        without = model.denoise(z, 0.7, torch.zeros_like(context))
        found = model._guided(y, 2.5)(z, 0.7)
    torch.testing.assert_close(found, without + 2.5 * (with_label - without))


def test_labels_are_dropped_at_their_share():
    model = conditional(drop_label=0.25).train()
    seen = []
    model.network.register_forward_hook(lambda _, args, __: seen.append(args[2]))
    spec = model.spec
    x = torch.zeros(4000, *spec.shape, dtype=torch.uint8)
    model.loss(Batch(x, torch.ones(4000, dtype=torch.int64)))
    dropped = (seen[0] == 0).all(1).float().mean()
    assert abs(dropped - 0.25) < 0.03
    model.drop_label = 0.0
    model.loss(Batch(x, torch.ones(4000, dtype=torch.int64)))
    assert not (seen[1] == 0).all(1).any()


# --------------------------------------------------------------------------------------------
# Completion


def test_known_pixels_stay_and_the_others_suit_them(weights):
    """Of sixteen images the first two pixels decide what the others can be."""
    only = torch.zeros(16)
    only[[0b0011, 0b1100]] = 0.5
    model = perfect(only + 1e-30)
    x = torch.zeros(200, 1, 2, 2, dtype=torch.uint8)
    x[100:, :, 0] = 1
    options = DiffusionSampling(steps=64)
    for known in (2, torch.tensor([[True, True], [False, False]])):
        done = model.complete(x, known, generator=torch.Generator().manual_seed(0), options=options)
        assert torch.equal(done[:, :, 0], x[:, :, 0])
        assert (done[:, :, 1] == 1 - x[:, :, 0]).float().mean() > 0.95


@pytest.mark.parametrize("known", [5, -1, torch.ones(3, 3, dtype=torch.bool)])
def test_pixels_that_are_not_there_cannot_be_kept(weights, known):
    with pytest.raises(ConfigError, match="known"):
        perfect(weights).complete(EVERY, known)


# --------------------------------------------------------------------------------------------
# Wrong settings


def test_what_does_not_go_together_is_refused(weights):
    with pytest.raises(ConfigError, match="rule=bernoulli is for binary images"):
        Diffusion(ImageSpec(1, 8, 8), rule="bernoulli")
    with pytest.raises(ConfigError, match="density=uniform"):
        Diffusion(ImageSpec(1, 8, 8), objective="bound")
    with pytest.raises(ConfigError, match=r"guidance=2 needs labels.*conditional=true"):
        perfect(weights).sample(2, options=DiffusionSampling(guidance=2))
    with pytest.raises(ConfigError, match="steps"):
        DiffusionSampling(steps=0)


@pytest.mark.parametrize("options", [
    {}, {"network": "dit", "width": 32},
    *(pytest.param(twin, marks=pytest.mark.slow) for twin in (
        {"rule": "flow", "density": "logistic", "grid": "flow"},
        {"rule": "noise", "density": "cosine", "even": 0.0, "high": 20.0},
        {"objective": "bound", "density": "uniform"},
    )),
])  # fmt: skip
def test_each_setting_learns_to_draw_two_images(options):
    """Half of the training images are black, half white: so are the samples."""
    torch.manual_seed(0)
    spec = ImageSpec(1, 8, 8, levels=4)
    model = Diffusion(spec, **{"width": 16, **options})
    x = torch.zeros(64, 1, 8, 8, dtype=torch.uint8)
    x[32:] = 3
    model.begin([Batch(x)])
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(400):
        optimizer.zero_grad()
        loss = model.loss(Batch(x)).total
        (loss / 64 if model.objective == "bound" else loss).backward()
        optimizer.step()
    means = model.sample(100, options=DiffusionSampling(steps=16)).float().mean((1, 2, 3))
    near = ((means < 0.3) | (means > 2.7)).float().mean()
    assert near > 0.7
    assert 0.1 < (means > 1.5).float().mean() < 0.9


@pytest.mark.parametrize("sampler", ["dpm2m", "euler", "heun", "ancestral"])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_the_evaluations_of_a_sample_are_those_of_its_network(sampler, guidance):
    model = Diffusion(ImageSpec(1, 2, 2, num_classes=3), network="mlp", width=8, conditional=True)
    seen = []
    model.network.register_forward_hook(lambda _, args, out: seen.append(len(args[0]) // 2))
    options = DiffusionSampling(sampler=sampler, steps=5, guidance=guidance)
    model.sample(2, torch.tensor([0, 2]), options=options)
    assert sum(seen) == model.evaluations(options)  # with and without labels in one pass
    assert Diffusion(TINY, network="mlp", width=8).evaluations() == 8


def test_what_is_usual_is_the_models_own():
    model = Diffusion(TINY, network="mlp", width=8, steps=3)
    assert model.usual_sampling == DiffusionSampling(steps=3)
    assert (model.evaluations(), model.evaluations(DiffusionSampling())) == (3, 8)
    draws = [
        model.sample(4, generator=torch.Generator().manual_seed(0), options=options)
        for options in (None, DiffusionSampling(steps=3), DiffusionSampling(steps=8))
    ]
    seen = []
    model.network.register_forward_hook(lambda *_: seen.append(1))
    model.sample(4)
    assert len(seen) == 3
    assert torch.equal(draws[0], draws[1])
