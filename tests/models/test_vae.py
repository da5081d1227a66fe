"""The VAE: rates, weights, priors, diagnostics, labels, sizes."""

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from genlab.errors import ConfigError
from genlab.models.vae import VAE
from genlab.types import Batch, ImageSpec, Tempered

SPEC = ImageSpec(1, 4, 4, levels=2, num_classes=3)
SMALL = {"network": "mlp", "hidden": 16, "latent": 3}


def batch(spec=SPEC, n=8, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randint(0, spec.levels, (n, *spec.shape), dtype=torch.uint8, generator=g)
    return Batch(x, torch.arange(n) % max(spec.num_classes, 1))


def with_rates(model, means):
    """Makes the posterior N(mean, 1) in each dimension, whatever the image: KL = mean^2 / 2."""
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.zero_()
        last = [m for m in model.encoder.modules() if isinstance(m, torch.nn.Linear)][-1]
        last.bias[: len(means)] = torch.tensor(means)
    return model


@pytest.mark.parametrize(
    ("beta", "warmup", "seen", "weight"),
    [
        (1, 0, 0, 1),
        (4, 0, 0, 4),
        (1, 1000, 0, 0),
        (1, 1000, 250, 0.25),
        (4, 1000, 500, 2),
        (1, 1000, 1000, 1),
        (4, 1000, 10**9, 4),
    ],
)
def test_the_weight_of_the_rate_at_images_seen(beta, warmup, seen, weight):
    model = with_rates(VAE(SPEC, beta=beta, warmup=warmup, **SMALL), [1.0, 2.0, 0.0])
    model.images_seen = seen
    loss = model.loss(batch())
    torch.testing.assert_close(loss.parts["rate"], torch.tensor(2.5))
    expected = loss.parts["distortion"] + weight * 2.5
    torch.testing.assert_close(loss.total.detach(), expected)
    torch.testing.assert_close(loss.parts["loss"], loss.total.detach())


def test_free_bits_are_free_per_dimension():
    """Rates 0.5, 2 and 0 with 0.8 free: the loss counts 0.8 + 2 + 0.8, the log 2.5."""
    model = with_rates(VAE(SPEC, free_bits=0.8, **SMALL), [1.0, 2.0, 0.0])
    loss = model.loss(batch())
    torch.testing.assert_close(loss.parts["rate"], torch.tensor(2.5))
    torch.testing.assert_close(loss.total.detach() - loss.parts["distortion"], torch.tensor(3.6))
    (gradient,) = torch.autograd.grad(loss.total, model.encoder.net[-1].bias)
    assert gradient.isfinite().all()


def test_free_bits_are_on_average_over_the_batch():
    """Half the images at rate 2, half at 0: the mean, 1, is above 0.8 and counts as it is."""
    model = VAE(SPEC, free_bits=0.8, network="mlp", hidden=16, latent=1)
    encoder = torch.tensor([[2.0, 0.0], [0.0, 0.0]]).repeat(4, 1)
    model.encoder.forward = lambda x, context: encoder
    loss = model.loss(batch())
    torch.testing.assert_close(loss.total.detach() - loss.parts["distortion"], torch.tensor(1.0))


@pytest.mark.parametrize("prior", ["mixture", "vamp"])
@pytest.mark.parametrize("conditional", [False, True])
def test_the_priors_density_against_torch_distributions(prior, conditional):
    model = VAE(SPEC, prior=prior, prior_components=5, conditional=conditional, **SMALL)
    mixture = model._mixture()
    if prior == "vamp":
        mean, log_std = model._posterior(model.prior.logits.sigmoid(), model.prior.context)
        logits = torch.zeros(5)
    else:
        mean, log_std, logits = model.prior.mean, model.prior.log_std, model.prior.logits
    components = Independent(Normal(mean, log_std.exp()), 1)
    oracle = MixtureSameFamily(Categorical(logits=logits), components)
    z = 2 * torch.randn(4, 6, 3)
    torch.testing.assert_close(mixture.log_prob(z), oracle.log_prob(z))


def test_the_sampled_rate_of_a_vamp_prior_is_the_log_ratio():
    model = VAE(SPEC, prior="vamp", prior_components=5, samples=4000, **SMALL)
    rate = model.loss(batch()).parts["rate"]
    mean, log_std = model._posterior(batch().x.float(), None)
    z = mean + log_std.exp() * torch.randn(4000, 8, 3)
    log_q = Normal(mean, log_std.exp()).log_prob(z).sum(-1)
    expected = (log_q - model._mixture().log_prob(z)).mean()
    torch.testing.assert_close(rate, expected.detach(), rtol=0.05, atol=0.01)


def test_a_prior_fitted_after_training():
    torch.manual_seed(0)
    model = VAE(SPEC, prior="fitted", prior_components=4, network="mlp", hidden=16, latent=3)
    with torch.no_grad():
        model.encoder.net[-1].weight.mul_(8)
    plain = VAE(SPEC, **SMALL)
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "prior" not in k})
    torch.manual_seed(5)
    first = model.loss(batch())
    torch.manual_seed(5)
    torch.testing.assert_close(plain.loss(batch()).total, first.total)
    codes = torch.cat([model.encode(batch(seed=s, n=64)) for s in range(4)])
    g = [torch.Generator().manual_seed(0) for _ in range(2)]
    before = model.log_prob(batch(), samples=5, generator=g[0])
    density = model._mixture().log_prob(codes).mean()
    state = torch.get_rng_state()
    model.finish(batch(seed=s, n=64) for s in range(4))
    assert torch.equal(torch.get_rng_state(), state)
    assert model._mixture().log_prob(codes).mean() > density + 0.1
    # The bound takes the prior that samples are drawn from.
    assert not torch.equal(model.log_prob(batch(), samples=5, generator=g[1]), before)
    drawn = model._mixture().sample(4000)
    torch.testing.assert_close(drawn.mean(0), codes.mean(0), rtol=0, atol=0.25)
    # And training goes on with the standard normal.
    torch.manual_seed(5)
    torch.testing.assert_close(model.loss(batch()).total, first.total)


def test_diagnostics_of_a_collapsed_and_of_a_healthy_code():
    collapsed = with_rates(VAE(SPEC, **SMALL), [0.0, 0.0, 0.0]).diagnostics(batch())
    assert collapsed == {"active_units": 0.0, "rate": 0.0, "collapsed": 1.0}
    # A posterior that is far from the prior, but the same for all images, carries nothing.
    constant = with_rates(VAE(SPEC, **SMALL), [3.0, 0.0, 0.0]).diagnostics(batch())
    assert constant == {"active_units": 0.0, "rate": 4.5, "collapsed": 0.0}
    model = VAE(SPEC, **SMALL)
    codes = torch.zeros(8, 6)
    codes[:, 0], codes[:, 1] = torch.linspace(-1, 1, 8), torch.linspace(-0.05, 0.05, 8)
    model.encoder.forward = lambda x, context: codes
    assert model.diagnostics(batch())["active_units"] == 1.0


def test_a_conditional_model_listens_to_its_labels():
    """Three classes of constant images: after training a label draws its own."""
    torch.manual_seed(0)
    x = torch.zeros(30, 1, 4, 4, dtype=torch.uint8)
    y = torch.arange(30) % 3
    x[y == 1, :, :2], x[y == 2, :, :, :2] = 1, 1
    model = VAE(SPEC, conditional=True, **SMALL)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(150):
        optimizer.zero_grad()
        model.loss(Batch(x, y)).total.backward()
        optimizer.step()
    torch.testing.assert_close(model.sample(6, torch.arange(6) % 3), x[:6])
    z = torch.zeros(1, 3)
    assert not torch.equal(model.decode(z, torch.tensor([1])), model.decode(z, torch.tensor([2])))
    right = model.log_prob(Batch(x, y)).mean()
    assert right > model.log_prob(Batch(x, (y + 1) % 3)).mean() + 1


def test_the_temperature_scales_the_codes():
    model = VAE(SPEC, **SMALL)
    seen = []
    decode = model._decode
    model._decode = lambda z, context: seen.append(z) or decode(z, context)
    for temperature in (1.0, 0.5):
        model.sample(3, generator=torch.Generator().manual_seed(0), options=Tempered(temperature))
    torch.testing.assert_close(seen[1], 0.5 * seen[0])


def test_output_shows_the_mean_or_a_sample():
    model = VAE(ImageSpec(1, 4, 4), output="mean", **SMALL)
    with torch.no_grad():
        model.decoder.net[-1].weight.zero_()  # every code gives the same distribution
    mean = model.sample(20)
    assert (mean == mean[:1]).all()
    model.output = "sample"
    assert model.sample(20).float().std(0).min() > 10


@pytest.mark.parametrize("head", ["auto", "categorical", "logistic", "gaussian"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 7, 7), (2, 1, 1)])
def test_any_size_with_any_head(shape, head):
    spec = ImageSpec(*shape, levels=8)
    model = VAE(spec, network="conv", width=4, hidden=8, latent=2, head=head, head_components=2)
    given = batch(spec, 3)
    model.loss(given).total.backward()
    assert model.sample(2).shape == (2, *shape)
    assert model.reconstruct(given).shape == given.x.shape
    assert model.log_prob(given, samples=3).shape == (3,)


def test_a_closed_form_rate_is_used_only_where_there_is_one():
    """One sample with a mixture prior: the sampled rate, whose mean is below log p(x)."""
    model = VAE(SPEC, prior="mixture", prior_components=2, **SMALL)
    one = torch.stack([model.log_prob(batch()) for _ in range(400)]).mean(0)
    assert (one < model.log_prob(batch(), samples=2000) + 0.05).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"free_bits": 0.1, "objective": "iwae"}, "free_bits"),
        ({"free_bits": 0.1, "prior": "vamp"}, "free_bits"),
        ({"head": "bernoulli"}, "model.head=bernoulli"),
    ],
)
def test_options_that_exclude_each_other_are_one_line(options, said):
    with pytest.raises(ConfigError, match=said) as error:
        VAE(ImageSpec(1, 4, 4), **SMALL, **options)
    assert "\n" not in str(error.value)


def test_a_conditional_model_of_unlabelled_batches_is_refused():
    model = VAE(SPEC, conditional=True, **SMALL)
    bare = Batch(batch().x)
    for call in (model.loss, model.log_prob, model.encode, model.diagnostics):
        with pytest.raises(ConfigError, match="label"):
            call(bare)
