"""VQ-VAE: its prior, its bound, its codes in use."""

import itertools

import pytest
import torch

from genlab.errors import ConfigError
from genlab.models.vq_vae import SMOOTHING, VQVAE
from genlab.types import Batch, ImageSpec, Tempered

SMALL = {"codes": 6, "dim": 4, "width": 8, "blocks": 1, "halvings": 1, "prior": "marginal"}
LEARNED = SMALL | {"prior": "pixelcnn", "prior_blocks": 1, "prior_width": 16}
SPEC = ImageSpec(1, 4, 4, levels=2)


def images(n=12, seed=0):
    g = torch.Generator().manual_seed(seed)
    return Batch(torch.randint(0, 2, (n, 1, 4, 4), dtype=torch.uint8, generator=g))


def train(model, batch, steps):
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model.loss(batch)
        loss.total.backward()
        optimizer.step()
        model.after_step("model")
    return loss.parts


def test_the_prior_is_the_moving_average_of_each_positions_codes():
    model = VQVAE(SPEC, decay=0.5, **SMALL)
    expected = torch.full((2, 2, 6), 1 / 6)
    for seed in range(3):
        before = model.codebook.codes.clone()
        model.loss(images(seed=seed))
        z = model.encoder(2.0 * images(seed=seed).x - 1)
        torch.testing.assert_close(model.codebook.codes, before)  # moved by after_step only
        index = model.codebook.nearest(z)
        frequency = torch.nn.functional.one_hot(index, 6).float().mean(0)
        expected = (expected + frequency) / 2
        model.after_step("model")
        torch.testing.assert_close(model.usage, expected)


def test_the_prior_of_all_maps_sums_to_one():
    model = VQVAE(SPEC, **{**SMALL, "codes": 3})
    train(model, images(), 5)
    maps = torch.tensor(list(itertools.product(range(3), repeat=4))).view(-1, 2, 2)
    torch.testing.assert_close(model._log_prior(maps).exp().sum(), torch.tensor(1.0))
    assert model._marginals().min() >= SMOOTHING / 3


def test_the_bound_is_distortion_and_rate_of_the_code():
    model = VQVAE(SPEC, **SMALL)
    train(model, images(), 5)
    index = model.encode(images())
    params = model.decoder(model.codebook.codes[index].movedim(-1, 1))
    log_p = model.head.log_prob(params, images().x)
    p = model._marginals()
    for i in range(12):
        for r, c in itertools.product(range(2), range(2)):
            log_p[i] = log_p[i] + p[r, c, index[i, r, c]].log()
    torch.testing.assert_close(model.log_prob(images()), log_p.detach())
    parts = model.eval().loss(images()).parts
    torch.testing.assert_close(-log_p.mean().detach(), parts["distortion"] + parts["rate"])


def test_evaluation_does_not_feed_the_codebook():
    model = VQVAE(SPEC, **SMALL)
    train(model, images(), 2)
    model.eval().loss(images(seed=1))
    assert model.codebook.new_count.sum() == 0
    assert model.new_usage.sum() == 0


def test_codes_stay_in_use_and_images_come_back():
    torch.manual_seed(0)
    model = VQVAE(SPEC, **{**SMALL, "codes": 16, "width": 16})
    parts = train(model, images(8), 200)
    assert parts["perplexity"] > 4
    assert (model.reconstruct(images(8)) == images(8).x).float().mean() > 0.97
    assert model.diagnostics(images(8))["codes_used"] >= 5


def test_perplexity_by_hand():
    model = VQVAE(SPEC, **SMALL)
    uniform = torch.arange(6).view(1, 2, 3)
    torch.testing.assert_close(model._perplexity(uniform), torch.tensor(6.0))
    torch.testing.assert_close(model._perplexity(0 * uniform), torch.tensor(1.0))


def test_a_learned_prior_sums_to_one_and_is_the_rate_of_the_bound():
    torch.manual_seed(0)
    model = VQVAE(SPEC, **{**LEARNED, "codes": 3})
    train(model, images(), 5)
    maps = torch.tensor(list(itertools.product(range(3), repeat=4))).view(-1, 2, 2)
    torch.testing.assert_close(model._log_prior(maps).exp().sum(), torch.tensor(1.0))
    index = model.encode(images())
    params = model.decoder(model.codebook.codes[index].movedim(-1, 1))
    expected = model.head.log_prob(params, images().x) + model._log_prior(index)
    torch.testing.assert_close(model.log_prob(images()), expected.detach())
    parts = model.eval().loss(images()).parts
    torch.testing.assert_close(-expected.mean().detach(), parts["distortion"] + parts["rate"])


def test_the_prior_learns_beside_the_autoencoder_and_disturbs_it_not():
    def gradients(prior):
        torch.manual_seed(0)
        model = VQVAE(SPEC, **LEARNED | {"prior": prior})
        model.loss(images()).total.backward()
        kept = {n: p.grad for n, p in model.named_parameters() if not n.startswith("prior.")}
        return kept, model

    kept, model = gradients("pixelcnn")
    torch.testing.assert_close(gradients("marginal")[0], kept, rtol=0, atol=0)
    index = model.codebook.nearest(model.encoder(2.0 * images().x - 1))
    own = model.prior.loss(Batch(index[:, None].to(torch.uint8))).total
    first = model.prior.network.out.bias
    torch.testing.assert_close(torch.autograd.grad(own, first)[0], first.grad)


def test_a_learned_prior_draws_positions_that_belong_together():
    """As `test_samples_are_patchworks_of_each_positions_codes`, but whole."""
    torch.manual_seed(0)
    model = VQVAE(SPEC, **LEARNED | {"decay": 0.9})
    x = torch.tensor([0, 1, 1, 1], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 4, 4)
    train(model, Batch(x), 300)
    found = model.sample(1000, generator=torch.Generator().manual_seed(0)).flatten(1).float()
    assert (found.std(1) == 0).float().mean() > 0.95  # all dark or all bright
    torch.testing.assert_close(found.mean(), torch.tensor(0.75), rtol=0, atol=0.06)


def test_a_learned_prior_refuses_more_codes_than_levels():
    with pytest.raises(ConfigError, match=r"model.codes=257: a pixelcnn prior takes at most 256"):
        VQVAE(SPEC, **LEARNED | {"codes": 257})
    assert VQVAE(SPEC, **SMALL | {"codes": 257}).prior is None


def test_samples_are_patchworks_of_each_positions_codes():
    """Images all 0 or, three times as many, all 1: positions are drawn apart from each other."""
    torch.manual_seed(0)
    model = VQVAE(SPEC, decay=0.9, **SMALL)
    x = torch.tensor([0, 1, 1, 1], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 4, 4)
    train(model, Batch(x), 150)
    dark, bright = model.encode(Batch(x))[:2]
    assert (dark != bright).all()
    seen = []
    decode = model.decode
    model.decode = lambda z: seen.append(z) or decode(z)
    model.sample(1000, generator=torch.Generator().manual_seed(0))
    lit = (seen[0] == bright).float()
    torch.testing.assert_close(lit.mean(0), torch.full((2, 2), 0.75), rtol=0, atol=0.06)
    both = (lit[:, 0, 0] * lit[:, 1, 1]).mean()
    torch.testing.assert_close(both, torch.tensor(0.75**2), rtol=0, atol=0.06)
    model.sample(50, options=Tempered(0.01))
    assert (seen[1] == bright).all()  # the most frequent code of each position
