"""Pixel heads against enumeration and independent formulas."""

import itertools
import math

import pytest
import torch
from scipy.stats import logistic as scipy_logistic
from scipy.stats import norm as scipy_norm

from genlab.errors import ConfigError
from genlab.nn.heads.base import Bernoulli, Categorical
from genlab.nn.heads.gaussian import DequantizedGaussian
from genlab.nn.heads.heads import make_head
from genlab.nn.heads.logistic import DiscretizedLogisticMixture
from genlab.types import ImageSpec

EXACT = [
    ("bernoulli", 2),
    *itertools.product(("categorical", "logistic", "spiked"), (2, 3, 5, 256)),
]


def spec(levels, channels=1, side=1):
    return ImageSpec(channels, side, side, levels=levels)


def every_value(levels, channels):
    """All images of one pixel, ``(levels ** channels, C, 1, 1)``."""
    values = torch.tensor(list(itertools.product(range(levels), repeat=channels)))
    return values.to(torch.uint8).view(-1, channels, 1, 1)


@pytest.mark.parametrize(("name", "levels"), EXACT)
@pytest.mark.parametrize("spread", [0.1, 3.0, 30.0])
def test_the_probabilities_of_all_levels_sum_to_one(name, levels, spread):
    head = make_head(name, spec(levels), components=4).double()
    params = spread * torch.randn(50, 1, head.channels, 1, 1, dtype=torch.float64)
    torch.set_default_dtype(torch.float64)
    try:
        total = head.log_prob(params, every_value(levels, 1)).exp().sum(1)
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(total, torch.ones(50, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("levels", [2, 3, 6])
@pytest.mark.parametrize("name", ["categorical", "logistic"])
def test_the_probabilities_of_all_colors_sum_to_one(name, levels):
    """With three channels, of which later means depend on earlier values."""
    head = make_head(name, spec(levels, 3), components=3)
    params = 2 * torch.randn(20, 1, head.channels, 1, 1)
    total = head.log_prob(params, every_value(levels, 3)).exp().sum(1)
    torch.testing.assert_close(total, torch.ones(20), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("name", "levels"), [*EXACT, ("gaussian", 256), ("gaussian", 2)])
def test_gradients_are_finite_at_the_extremes(name, levels):
    head = make_head(name, spec(levels), components=3)
    sizes = torch.tensor([-1e4, -50.0, -1.0, 0.0, 1.0, 50.0, 1e4])
    rows = torch.cartesian_prod(sizes, sizes, sizes)
    repeats = -(-head.channels // 3)
    params = rows.repeat(1, repeats)[:, : head.channels, None, None].clone().requires_grad_()
    for value in (0, 1, levels // 2, levels - 1):
        log_p = head.log_prob(params, torch.full((1, 1, 1, 1), value, dtype=torch.uint8))
        assert log_p.isfinite().all()
        (gradient,) = torch.autograd.grad(log_p.sum(), params)
        assert gradient.isfinite().all()


def test_equal_logits_are_eight_bits_exactly():
    head = Categorical(spec(256))
    bits = -head.log_prob(torch.zeros(1, 256, 1, 1), every_value(256, 1)) / math.log(2)
    torch.testing.assert_close(bits, torch.full((256,), 8.0))


def reference_mixture(logits, means, log_scales, x, levels):
    """Differences of SciPy's distribution functions in double precision, one channel."""
    value, half = 2 * x / (levels - 1) - 1, 1 / (levels - 1)
    scale = log_scales.exp()
    upper = scipy_logistic.cdf(value + half, means, scale) if x < levels - 1 else 1.0
    # The survival function keeps its digits where the distribution function is nearly 1.
    if x == 0:
        p = upper
    elif x == levels - 1:
        p = scipy_logistic.sf(value - half, means, scale)
    else:
        above = scipy_logistic.sf(value - half, means, scale)
        p = above - scipy_logistic.sf(value + half, means, scale)
    return (logits.softmax(0) * torch.as_tensor(p)).sum().log()


def test_the_logistic_mixture_against_differences_of_distribution_functions():
    head = DiscretizedLogisticMixture(spec(256), components=4)
    logits, means = torch.randn(4), torch.rand(4) * 2 - 1
    log_scales = torch.tensor([-4.0, -3.0, -2.0, -1.0])
    params = torch.cat([logits, means, log_scales]).view(1, 12, 1, 1)
    found = head.log_prob(params, every_value(256, 1))
    parts = [part.double() for part in (logits, means, log_scales)]
    expected = torch.stack([reference_mixture(*parts, x, 256) for x in range(256)])
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


def test_a_later_channel_of_the_mixture_follows_the_earlier_values():
    """PixelCNN++: m_g + c0 r and m_b + c1 r + c2 g, with the values on [-1, 1]."""
    colors = DiscretizedLogisticMixture(spec(256, 3), components=1)
    gray = DiscretizedLogisticMixture(spec(256), components=1)
    means, log_scales = torch.tensor([0.1, -0.2, 0.3]), torch.tensor([-2.0, -1.5, -1.0])
    raw = torch.tensor([0.7, -0.4, 1.2])
    params = torch.cat([torch.zeros(1), means, log_scales, raw]).view(1, -1, 1, 1)
    x = torch.tensor([[30, 200, 111]], dtype=torch.uint8).view(1, 3, 1, 1)
    r, g, _ = (2 * x.float() / 255 - 1).flatten()
    c = raw.tanh()
    shifted = torch.stack([means[0], means[1] + c[0] * r, means[2] + c[1] * r + c[2] * g])
    alone = torch.stack([torch.zeros(3), shifted, log_scales]).T.reshape(3, 3, 1, 1)
    expected = gray.log_prob(alone, x.view(3, 1, 1, 1)).sum()
    torch.testing.assert_close(colors.log_prob(params, x).sum(), expected)


def test_channels_share_the_component_but_not_the_mean_without_autoregression():
    head = DiscretizedLogisticMixture(spec(256, 3), components=2, autoregressive=False)
    assert head.channels == 2 * (1 + 3 + 3)
    gray = DiscretizedLogisticMixture(spec(256), components=1)
    params = torch.randn(1, head.channels, 1, 1)
    x = torch.tensor([[3, 99, 255]], dtype=torch.uint8).view(1, 3, 1, 1)
    logits, means, log_scales = params.flatten().split([2, 6, 6])
    terms = []
    for k in range(2):
        own = [means.view(2, 3)[k], log_scales.view(2, 3)[k]]
        alone = torch.stack([torch.zeros(3), *own]).T.reshape(3, 3, 1, 1)
        terms.append(logits.log_softmax(0)[k] + gray.log_prob(alone, x.view(3, 1, 1, 1)).sum())
    expected = torch.stack(terms).logsumexp(0)
    torch.testing.assert_close(head.log_prob(params, x).squeeze(), expected)


def test_bernoulli_and_categorical_against_torch_distributions():
    head, params = Bernoulli(spec(2, 3, 4)), torch.randn(5, 3, 4, 4)
    x = torch.randint(0, 2, (5, 3, 4, 4), dtype=torch.uint8)
    oracle = torch.distributions.Bernoulli(logits=params).log_prob(x.float()).sum((1, 2, 3))
    torch.testing.assert_close(head.log_prob(params, x), oracle)
    head, params = Categorical(spec(7, 3, 4)), torch.randn(5, 21, 4, 4)
    x = torch.randint(0, 7, (5, 3, 4, 4), dtype=torch.uint8)
    logits = params.view(5, 7, 3, 4, 4).movedim(1, -1)
    oracle = torch.distributions.Categorical(logits=logits).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(head.log_prob(params, x), oracle)


@pytest.mark.parametrize(("name", "levels"), EXACT)
def test_the_mean_is_that_of_the_enumerated_distribution(name, levels):
    head = make_head(name, spec(levels), components=3)
    params = torch.randn(200, 1, head.channels, 1, 1)
    p = head.log_prob(params, every_value(levels, 1)).exp()
    expected = p @ torch.linspace(0, 1, levels)
    found = head.mean(params).flatten()
    # Of many levels the logistic's mean is that of the clipped density: half a level at most.
    atol = 0.5 / 255 if (name, levels) == ("logistic", 256) else 1e-5
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


@pytest.mark.parametrize(("name", "levels"), [*EXACT[:4], ("logistic", 2), ("logistic", 5)])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_have_the_probabilities_that_they_are_given(name, levels, channels):
    if levels**channels > 100:
        pytest.skip("too many values for a histogram")
    head = make_head(name, spec(levels, channels), components=3)
    params = torch.randn(head.channels, 1, 1)
    values = every_value(levels, channels)
    p = head.log_prob(params, values).exp()
    n = 40_000
    draws = head.sample(params.expand(n, -1, -1, -1), generator=torch.Generator().manual_seed(1))
    assert draws.dtype == torch.uint8
    index = sum(draws[:, c, 0, 0].long() * levels ** (channels - 1 - c) for c in range(channels))
    share = index.bincount(minlength=len(values)) / n
    error = (p * (1 - p) / n).sqrt()
    assert ((share - p).abs() <= 5 * error + 1e-6).all()


def test_noise_inverts_the_distribution_function():
    """A uniform number just below or above a cumulative probability gives either neighbour."""
    for name, levels in (("categorical", 6), ("logistic", 6), ("logistic", 256)):
        head = make_head(name, spec(levels), components=1)
        params = torch.randn(head.channels, 1, 1, dtype=torch.float64)
        below = head.log_prob(params, every_value(levels, 1)).exp().cumsum(0)[:-1]
        for side, shift in ((-1e-6, 0), (1e-6, 1)):
            u = (below + side).clamp(0, 1).view(-1, 1, 1, 1)
            u = torch.cat([torch.full_like(u, 0.5)] * (head.uniforms - 1) + [u], 1)
            found = head.quantile(params.expand(len(u), -1, -1, -1), u).flatten().long()
            wide = (below > 1e-5) & (below < 1 - 1e-5)
            expected = torch.arange(levels - 1) + shift
            wide &= torch.diff(below, prepend=below.new_zeros(1)) > 1e-5
            wide &= torch.diff(below, append=below.new_ones(1)) > 1e-5
            assert wide.any()
            torch.testing.assert_close(found[wide], expected[wide])


@pytest.mark.parametrize("name", ["bernoulli", "categorical", "logistic", "gaussian"])
def test_extreme_noise_stays_an_image(name):
    head = make_head(name, spec(2 if name == "bernoulli" else 9, 2, 3), components=2)
    params = 10 * torch.randn(4, head.channels, 3, 3)
    for u in (0.0, 1 - 2**-24):
        x = head.quantile(params, torch.full((4, head.uniforms, 3, 3), u))
        assert x.shape == (4, 2, 3, 3)
        assert int(x.max()) < head.levels


@pytest.mark.parametrize("name", ["bernoulli", "categorical", "logistic"])
def test_a_low_temperature_leaves_the_most_probable(name):
    head = make_head(name, spec(2 if name == "bernoulli" else 8), components=3)
    params = 3 * torch.randn(64, head.channels, 1, 1)
    draws = torch.stack([head.sample(params, temperature=1e-6) for _ in range(5)])
    torch.testing.assert_close(draws[1:], draws[:1].expand(4, -1, -1, -1, -1))


@pytest.mark.parametrize("name", ["bernoulli", "categorical", "logistic"])
def test_leading_dimensions_broadcast_against_the_images(name):
    head = make_head(name, spec(2 if name == "bernoulli" else 8, 3, 2), components=2)
    params = torch.randn(4, 5, head.channels, 2, 2)
    x = torch.randint(0, head.levels, (5, 3, 2, 2), dtype=torch.uint8)
    together = head.log_prob(params, x)
    apart = torch.stack([head.log_prob(p, x) for p in params])
    assert together.shape == (4, 5)
    torch.testing.assert_close(together, apart)


def test_the_gaussian_bounds_the_probability_of_its_bin():
    """E[log density] + log volume is at most the log of the bin's share of the normal."""
    head = DequantizedGaussian(spec(8))
    params = torch.tensor([0.2, -1.0]).view(1, 2, 1, 1)
    n = 20_000
    every = every_value(8, 1)
    bound = head.log_prob(params.expand(n, 1, -1, -1, -1), every)
    edges = torch.linspace(-1, 1, 9).double().numpy()
    exact = torch.as_tensor(scipy_norm.cdf(edges, 0.2, 2.718281828**-1.0)).diff().log()
    found = bound.mean(0).double()
    assert (found <= exact + 5 * bound.std(0) / n**0.5).all()
    # exp of the one-sample estimate is unbiased: its mean is the bin's share itself.
    torch.testing.assert_close(bound.double().exp().mean(0), exact.exp(), rtol=0.02, atol=1e-5)


def test_the_gaussian_with_one_variance_learns_it():
    head = DequantizedGaussian(spec(256), shared=True)
    assert head.channels == 1
    log_p = head.log_prob(torch.zeros(2, 1, 1, 1), torch.full((2, 1, 1, 1), 128).to(torch.uint8))
    (gradient,) = torch.autograd.grad(log_p.sum(), head.log_std)
    assert gradient < 0  # the data lie at the mean: a smaller variance is better
    assert make_head("gaussian", spec(256)).log_std is None


def test_the_gaussian_shows_the_level_whose_bin_holds_the_mean():
    head = DequantizedGaussian(spec(4))
    centres = torch.tensor([-0.75, -0.25, 0.25, 0.75])
    params = torch.stack([centres, torch.full((4,), -9.0)], 1).view(4, 2, 1, 1)
    torch.testing.assert_close(head.mean(params).flatten() * 3, torch.arange(4.0))
    torch.testing.assert_close(head.sample(params).flatten(), torch.arange(4).to(torch.uint8))


def test_auto_takes_the_head_that_suits_the_levels():
    assert isinstance(make_head("auto", spec(2)), Bernoulli)
    assert isinstance(make_head("auto", spec(256)), DiscretizedLogisticMixture)


def test_a_head_that_does_not_suit_the_levels_is_one_line():
    with pytest.raises(ConfigError, match=r"model\.head=bernoulli needs .* data has 256") as error:
        make_head("bernoulli", spec(256))
    assert "\n" not in str(error.value)


def test_masses_are_those_of_the_levels_that_they_are_on():
    """With all weight on one mass, or on the mixture, the head is that mass, or the mixture."""
    head = make_head("spiked", spec(256), components=2)
    inner = torch.randn(1, head.logistic.channels, 1, 1)
    x = every_value(256, 1)
    for number, level in enumerate([0, 252, 253, 254, 255], 1):
        logits = torch.full((1, 6, 1, 1), -1e4)
        logits[:, number] = 0
        log_p = head.log_prob(torch.cat([inner, logits], 1), x)
        assert log_p.argmax() == level
        torch.testing.assert_close(log_p[level], torch.zeros(()))
        drawn = head.sample(torch.cat([inner, logits], 1).expand(9, -1, 1, 1))
        assert (drawn == level).all()
        mean = head.mean(torch.cat([inner, logits], 1))
        torch.testing.assert_close(mean, torch.full((1, 1, 1, 1), level / 255))
    logits = torch.full((1, 6, 1, 1), -1e4)
    logits[:, 0] = 0
    mixture = torch.cat([inner, logits], 1)
    torch.testing.assert_close(head.log_prob(mixture, x), head.logistic.log_prob(inner, x))


def test_masses_are_for_one_channel():
    with pytest.raises(ConfigError, match="spiked is for images of one channel, these have 3"):
        make_head("spiked", spec(256, 3))
