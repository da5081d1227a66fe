"""StyleGAN2 against Jacobians, growth against its schedule, VAE-GAN against its parts."""

import pytest
import torch

from genlab.errors import ConfigError
from genlab.models.progressive import ProgressiveGAN
from genlab.models.stylegan import PATH_DECAY, StyleGAN
from genlab.models.vaegan import VAEGAN
from genlab.nn.gan.growing import grown
from genlab.nn.scaling import to_signed
from genlab.types import Batch, ImageSpec, Tempered

SPEC = ImageSpec(1, 8, 8, num_classes=3)


def batch(n=6, spec=SPEC):
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (n, *spec.shape), dtype=torch.uint8, generator=g)
    return Batch(x, torch.randint(0, 3, (n,), generator=g))


def stylegan(**options):
    torch.manual_seed(0)
    return StyleGAN(SPEC, width=4, latent=6, depth=2, **options)


def test_path_lengths_are_those_of_the_jacobian(monkeypatch):
    model = stylegan()
    with torch.no_grad():
        model.path_mean.fill_(0.3)
    w = torch.randn(3, model.styles.layers, 6, requires_grad=True)
    noise = torch.randn(3, 1, 8, 8)
    monkeypatch.setattr(torch, "randn_like", lambda image: noise)
    penalty, length = model.path_penalty(w)
    lengths = []
    for i in range(3):
        jacobian = torch.autograd.functional.jacobian(model.styles.synthesize, w[i : i + 1])
        jacobian = jacobian[0, :, :, :, 0].flatten(0, 2)  # (pixels, layers, latent)
        pull = torch.einsum("p,plk->lk", noise[i].flatten() / 8, jacobian)  # 8 = sqrt(8 * 8)
        lengths.append(pull.square().sum(1).mean().sqrt())
    lengths = torch.stack(lengths)
    torch.testing.assert_close(length, lengths.mean())
    mean = 0.3 * PATH_DECAY + lengths.mean() * (1 - PATH_DECAY)
    torch.testing.assert_close(model.path_mean, mean)
    torch.testing.assert_close(penalty, (lengths - mean).square().mean())


def test_the_path_penalty_comes_every_kth_turn_with_k_times_the_weight():
    model = stylegan(path_length=2.0, path_interval=3, n_dis=2)
    due = []
    for model.step in range(1, 14, 2):
        parts = model.loss(batch(), "generator").parts
        due.append("path_length" in parts)
    assert due == [True, False, False, True, False, False, True]


def test_the_mean_style_is_followed_in_training_alone():
    model, data = stylegan(), batch()
    model.eval().sample(4)
    assert not model.styles.mean_w.any()
    model.train()
    torch.manual_seed(1)
    model.generate(z := model.latent(6), None)
    expected = 0.005 * model.styles.mapping(z).mean(0)
    torch.testing.assert_close(model.styles.mean_w, expected.detach())
    assert "generator.mean_w" in model.state_dict()
    model.loss(data, "discriminator")


def test_truncation_ends_at_the_mean_style():
    model = stylegan().eval()
    with torch.no_grad():
        model.styles.mean_w.normal_()
    model.styles.first[0].strength.data.zero_()
    shown = model.sample(4, options=Tempered(1e-6))
    w = model.styles.mean_w.expand(4, model.styles.layers, -1)
    torch.testing.assert_close(shown, model.to_uint8(model.styles.synthesize(w)))
    assert not torch.equal(model.sample(4)[0], shown[0])


def test_mixed_images_change_style_once():
    model = stylegan(mixing=1.0)
    w = torch.randn(50, 6)
    mixed = model._mixed(w, None, None)
    first = (mixed == w[:, None]).all(2)
    assert first[:, 0].all()
    assert not first[:, -1].any()
    assert (first[:, :-1].int() - first[:, 1:].int() >= 0).all()
    assert stylegan(mixing=0.0)._mixed(w, None, None).eq(w[:, None]).all()


def progressive(**options):
    torch.manual_seed(0)
    spec = ImageSpec(1, 16, 16, num_classes=3)
    return ProgressiveGAN(spec, width=4, latent=6, stage=100, **options)


def test_growth_is_a_function_of_the_images_seen():
    model, found = progressive(), []
    for model.images_seen in (0, 99, 100, 150, 200, 299, 300, 325, 400, 10**9):
        found.append(model.growth)
    assert found == [
        (0, 1.0),
        (0, 1.0),
        (1, 0.0),
        (1, 0.5),
        (1, 1.0),
        (1, 1.0),
        (2, 0.0),
        (2, 0.25),
        (2, 1.0),
        (2, 1.0),
    ]
    assert model.stages == 3


def test_both_players_see_images_of_the_stage_and_users_of_full_size():
    model, seen = progressive(), []
    data = batch(4, model.spec)
    model.discriminator.register_forward_hook(lambda m, args, out: seen.append(args[0].shape[2:]))
    for model.images_seen, side in ((0, 4), (150, 8), (350, 16)):
        seen.clear()
        for player in model.players:
            model.loss(data, player)
            model.after_step(player)
        assert set(seen) == {(side, side)}
        assert model.sample(2).shape == (2, 1, 16, 16)


def test_real_images_are_faded_like_generated_ones():
    model = progressive()
    x = to_signed(batch(2, model.spec).x, 256)
    model.images_seen = 325  # a quarter of the full size
    coarse = torch.nn.functional.avg_pool2d(x, 2)
    expected = 0.75 * grown(coarse, 1) + 0.25 * x
    torch.testing.assert_close(model.real(batch(2, model.spec)), expected)


def test_a_size_that_does_not_halve_is_refused():
    for model in (StyleGAN, ProgressiveGAN):
        with pytest.raises(ConfigError, match="30x30"):
            model(ImageSpec(1, 30, 30))


def test_the_players_of_a_vaegan_minimize_what_the_paper_says():
    torch.manual_seed(0)
    model = VAEGAN(SPEC, width=4, hidden=8, latent=5, spectral=False, r1=0.0, reconstruction=0.5)
    model.eval()  # batch normalization must not depend on which images share a batch
    data, noise = batch(), torch.manual_seed
    noise(1)
    loss = model.loss(data, "encoder")
    noise(1)
    mean, log_std = model._posterior(data, None)
    z = mean + log_std.exp() * torch.randn(1, 6, 5)[0]
    rate = (((2 * log_std).exp() + mean.square() - 1) / 2 - log_std).sum(1).mean()
    d = model.discriminator.features
    real, again = to_signed(data.x, 256), model.generator(z)
    error = (d(real) - d(again)).square().sum(1).mean() / 2
    torch.testing.assert_close(loss.parts["rate"], rate.detach())
    torch.testing.assert_close(loss.total, rate + error)
    noise(1)
    loss = model.loss(data, "generator")
    noise(1)
    fresh = model.generator(model.latent(6))
    again = model.generator(mean + log_std.exp() * torch.randn(1, 6, 5)[0])
    fooling = [torch.nn.functional.softplus(-model.discriminator(x)).mean() for x in (fresh, again)]
    error = (d(real) - d(again)).square().sum(1).mean() / 2
    torch.testing.assert_close(loss.total, sum(fooling) / 2 + 0.5 * error)
    assert model.capabilities() == {"encode", "decode", "latent", "reconstruct"}
