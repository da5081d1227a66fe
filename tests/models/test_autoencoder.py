"""Autoencoders: distances, corruption, and the distribution of codes that they are drawn from."""

import pytest
import torch
import torch.nn.functional as F

from genlab.models.autoencoder import Autoencoder
from genlab.types import Batch, ImageSpec

SPEC = ImageSpec(1, 6, 6)
CORRUPTIONS = [("gaussian", 0.3), ("mask", 0.4), ("salt_pepper", 0.4)]
SMALL = {"network": "mlp", "hidden": 16, "depth": 1, "latent": 3}


def images(n=10):
    g = torch.Generator().manual_seed(0)
    return Batch(torch.randint(0, 256, (n, *SPEC.shape), dtype=torch.uint8, generator=g))


@pytest.mark.parametrize("distance", ["bce", "mse"])
def test_the_loss_is_the_distance_per_image(distance):
    model = Autoencoder(SPEC, distance=distance, **SMALL)
    x = images().x / 255
    shown = model.decoder(model.encoder(x)).sigmoid()
    squared = (shown - x).square()
    expected = squared if distance == "mse" else F.binary_cross_entropy(shown, x, reduction="none")
    loss = model.loss(images())
    torch.testing.assert_close(loss.total, expected.flatten(1).sum(1).mean())
    torch.testing.assert_close(loss.parts["mse"], squared.mean().detach())


@pytest.mark.parametrize(
    ("noise", "level"), [("gaussian", 0.3), ("mask", 0.4), ("salt_pepper", 0.4)]
)
def test_corruption_is_what_it_says(noise, level):
    model = Autoencoder(SPEC, noise=noise, level=level, **SMALL)
    x = torch.full((4000, *SPEC.shape), 0.5)
    corrupted = model._corrupt(x)
    if noise == "gaussian":
        torch.testing.assert_close((corrupted - x).std(), torch.tensor(level), rtol=0.02, atol=0)
        return
    torch.testing.assert_close(
        (corrupted != x).float().mean(), torch.tensor(level), rtol=0.02, atol=0
    )
    values = corrupted[corrupted != x]
    expected = 0.0 if noise == "mask" else 0.5
    torch.testing.assert_close(values.mean(), torch.tensor(expected), rtol=0, atol=0.02)
    assert set(values.unique().tolist()) <= {0.0, 1.0}


def test_the_clean_image_is_the_target():
    model = Autoencoder(SPEC, noise="mask", level=0.999, **SMALL)
    seen = {}
    model.encoder.register_forward_hook(lambda m, inputs, out: seen.update(x=inputs[0]))
    loss = model.loss(images())
    assert (seen["x"] == 0).float().mean() > 0.98  # the encoder saw next to nothing
    logits = model.decoder(model.encoder(seen["x"]))
    expected = (logits.sigmoid() - images().x / 255).square().mean()
    torch.testing.assert_close(loss.parts["mse"], expected.detach())


def test_codes_of_a_clean_image_are_not_corrupted():
    model = Autoencoder(SPEC, noise="gaussian", level=1.0, **SMALL)
    torch.testing.assert_close(model.encode(images()), model.encode(images()))


def test_samples_are_decoded_draws_from_the_codes_distribution():
    torch.manual_seed(0)
    model = Autoencoder(SPEC, **SMALL)
    with torch.no_grad():
        model.encoder.net[-1].weight.mul_(5)
        model.encoder.net[-1].bias.fill_(3.0)
    model.finish(iter([images(40), Batch(images(80).x[40:])]))
    codes = model.encode(images(80))
    torch.testing.assert_close(model.prior.mean, codes.mean(0))
    torch.testing.assert_close(model.prior.covariance, torch.cov(codes.T, correction=0))
    assert model.sample(5).shape == (5, *SPEC.shape)


def test_the_prior_follows_the_codes_while_training():
    model = Autoencoder(SPEC, **SMALL)
    with torch.no_grad():
        model.encoder.net[-1].bias.fill_(2.0)
    for _ in range(600):
        model.loss(images())
        model.after_step("model")
    codes = model.encode(images())
    torch.testing.assert_close(model.prior.mean, codes.mean(0), rtol=0, atol=0.02)
    model.eval().loss(images())
    assert model.prior.new.abs().sum() == 0
