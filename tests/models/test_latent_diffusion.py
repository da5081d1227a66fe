"""Latent diffusion: moments of codes, a perfect denoiser's samples, parts that will not do."""

import pytest
import torch
from families import build

from genlab.errors import ConfigError
from genlab.models.autoencoder import Autoencoder
from genlab.models.latent_diffusion import LatentDiffusion
from genlab.types import Batch, ImageSpec

SPEC = ImageSpec(1, 8, 8, levels=256, num_classes=3)


def images(n, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, *SPEC.shape), dtype=torch.uint8, generator=g)


@pytest.fixture
def model():
    torch.manual_seed(0)
    autoencoder = Autoencoder(SPEC, network="mlp", hidden=16, latent=3)
    return LatentDiffusion(SPEC, autoencoder, width=16, depth=1)


def test_codes_are_seen_with_mean_0_and_variance_1(model):
    x = images(500)
    model.begin([Batch(x[:200]), Batch(x[200:])])
    codes = model.encode(Batch(x))
    torch.testing.assert_close(model.mean, codes.mean(0))
    torch.testing.assert_close(model.std, codes.std(0, correction=0))
    z = (codes - model.mean) / model.std
    torch.testing.assert_close(model._raw(z), codes)


def test_a_perfect_denoiser_draws_the_codes_distribution(model):
    """Of normal codes of variance 1, E[x | z] is z / (1 + r^2); samples have their moments."""
    model.mean.copy_(torch.tensor([1.0, -2.0, 0.5]))
    model.std.copy_(torch.tensor([0.5, 2.0, 1.0]))
    model.denoise = lambda z, r, context=None: z / (1 + torch.as_tensor(r) ** 2)
    options = model.sampling_options(sampler="heun", steps=40)
    codes = model._codes(20_000, None, torch.Generator().manual_seed(0), options)
    torch.testing.assert_close(codes.mean(0), model.mean, rtol=0, atol=0.05)
    covariance = torch.cov(codes.T)
    torch.testing.assert_close(covariance, torch.diag(model.std**2), rtol=0.04, atol=0.05)


def test_training_learns_a_distribution_of_two_codes(model):
    """Half of the codes lie at -1 and half at 1: samples lie there, too."""
    torch.manual_seed(0)
    model.autoencoder.encode = lambda batch: (batch.x[:, 0, 0, :3].float() / 255) * 2 - 1
    x = images(256)
    x[:, 0, 0, :3] = torch.where(torch.arange(256) % 2 == 0, 0, 255).to(torch.uint8)[:, None]
    model.begin([Batch(x)])
    optimizer = torch.optim.Adam(model.network.parameters(), lr=3e-3)
    for _ in range(400):
        optimizer.zero_grad()
        model.loss(Batch(x)).total.backward()
        optimizer.step()
    with torch.no_grad():
        codes = model._codes(1000, None, None, model.sampling_options(steps=32))
    assert ((codes.abs() - 1).abs().amax(1) < 0.5).double().mean() > 0.95
    assert 0.4 < (codes[:, 0] > 0).double().mean() < 0.6


def test_its_evaluations_are_those_of_its_network_and_a_decoding(model):
    seen = []
    model.network.register_forward_hook(lambda *_: seen.append(1))
    options = model.sampling_options(sampler="heun", steps=5)
    model.sample(2, options=options)
    assert len(seen) + 1 == model.evaluations(options) == 10


def test_the_autoencoder_stays_as_it_is(model):
    assert not any(p.requires_grad for p in model.autoencoder.parameters())
    before = {k: v.clone() for k, v in model.autoencoder.state_dict().items()}
    model.train()
    model.loss(Batch(images(4))).total.backward()
    model.after_step("model")
    for key, value in model.autoencoder.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("gan_mlp", {}, "model.autoencoder: a GAN does not encode; an ae or a vae does"),
        ("vq_vae", {}, "model.autoencoder: the codes of a VQVAE are indices"),
        ("vae_mlp", {"conditional": True}, "model.autoencoder: this VAE needs a condition itself"),
    ],
)
def test_parts_that_will_not_do_are_refused(name, overrides, message):
    with pytest.raises(ConfigError, match=message):
        LatentDiffusion(SPEC, build(name, SPEC, **overrides))


def test_guidance_without_labels_is_refused(model):
    with pytest.raises(ConfigError, match=r"sampling.guidance=2 needs labels"):
        model.sample(1, options=model.sampling_options(guidance=2.0))
