"""The game against losses by hand: objectives, penalties, cadence, and one generation a step."""

import math

import pytest
import torch
from families import build
from scipy.stats import wasserstein_distance
from torch import nn

from genlab.errors import ConfigError
from genlab.models.gan import GAN
from genlab.nn.gan.objectives import make_objective
from genlab.nn.gan.penalties import gradient_penalty, gradients, zero_centred_penalty
from genlab.nn.scaling import to_signed
from genlab.training.step.player_toggle import PlayerToggle
from genlab.types import Batch, ImageSpec, Tempered

SPEC = ImageSpec(1, 8, 8, num_classes=3)


def batch(n=6, spec=SPEC, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, (n, *spec.shape), dtype=torch.uint8, generator=g)
    return Batch(x, torch.randint(0, 3, (n,), generator=g))


def log_s(v):
    return math.log(1 / (1 + math.exp(-v)))


@pytest.mark.parametrize(
    ("name", "d", "g"),
    [
        (
            "non_saturating",
            lambda r, f: -log_s(r) - log_s(-f),
            lambda r, f: -log_s(f),
        ),
        ("hinge", lambda r, f: max(0, 1 - r) + max(0, 1 + f), lambda r, f: -f),
        (
            "least_squares",
            lambda r, f: ((r - 1) ** 2 + f**2) / 2,
            lambda r, f: (f - 1) ** 2 / 2,
        ),
        ("wasserstein", lambda r, f: f - r, lambda r, f: -f),
        ("relativistic", lambda r, f: -log_s(r - f), lambda r, f: -log_s(f - r)),
    ],
)
def test_objectives_are_their_formulas(name, d, g):
    real, fake = [0.3, -1.2, 2.5], [-0.7, 0.4, 1.5]
    objective, n = make_objective(name), len(real)
    r, f = torch.tensor(real), torch.tensor(fake)
    pairs = list(zip(real, fake, strict=True))
    expected = sum(d(*pair) for pair in pairs) / n, sum(g(*pair) for pair in pairs) / n
    assert objective.discriminator(r, f).item() == pytest.approx(expected[0], rel=1e-5)
    assert objective.generator(f, r).item() == pytest.approx(expected[1], rel=1e-5)
    assert objective.needs_real == (name == "relativistic")


class Linear(nn.Module):
    """A discriminator whose gradient is its weight, whatever the image."""

    def __init__(self, dims):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(dims))

    def forward(self, x, y=None):
        return x.flatten(1) @ self.weight


def test_r1_of_a_linear_discriminator_is_half_its_squared_weight():
    d = Linear(64)
    penalty = zero_centred_penalty(*gradients(d, torch.randn(5, 1, 8, 8)))
    torch.testing.assert_close(penalty, d.weight.square().sum() / 2)
    (slope,) = torch.autograd.grad(penalty, d.weight)
    torch.testing.assert_close(slope, d.weight.detach())


def test_the_gradient_penalty_of_a_linear_discriminator_is_its_norms_distance_from_one():
    d = Linear(64)
    penalty = gradient_penalty(d, torch.randn(5, 1, 8, 8), torch.randn(5, 1, 8, 8))
    torch.testing.assert_close(penalty, (d.weight.norm() - 1).square())
    (slope,) = torch.autograd.grad(penalty, d.weight)
    norm = d.weight.detach().norm()
    torch.testing.assert_close(slope, 2 * (norm - 1) * d.weight.detach() / norm)


def test_the_gradient_penalty_looks_between_real_and_generated_images():
    """Of D(x) = sum x^2 / 2 the gradient is the point itself."""
    seen = []

    def d(x):
        seen.append(x)
        return x.square().flatten(1).sum(1) / 2

    real, fake = torch.randn(5, 1, 8, 8), torch.randn(5, 1, 8, 8)
    penalty = gradient_penalty(d, real, fake)
    share = (seen[0] - fake) / (real - fake)
    torch.testing.assert_close(share, share[:, :, :1, :1].expand_as(share), rtol=1e-3, atol=1e-3)
    assert ((share > -1e-4) & (share < 1 + 1e-4)).all()
    torch.testing.assert_close(penalty, (seen[0].flatten(1).norm(dim=1) - 1).square().mean())


def test_r1_enters_the_loss_every_kth_step_with_k_times_the_weight():
    torch.manual_seed(0)
    model = GAN(SPEC, network="mlp", spectral=False, r1=0.5, r1_interval=3)
    model.discriminator = Linear(64)
    data = batch()
    for step in range(7):
        model.step = step
        torch.manual_seed(1)
        loss = model.loss(data, "discriminator")
        torch.manual_seed(1)
        real = model.discriminator(to_signed(data.x, 256))
        fake = model.discriminator(model.generate(model.latent(6), None))
        expected = make_objective("non_saturating").discriminator(real, fake)
        if step % 3 == 0:
            expected = expected + 0.5 * 3 * model.discriminator.weight.square().sum() / 2
        torch.testing.assert_close(loss.total, expected)
        assert ("r1" in loss.parts) == (step % 3 == 0)


def test_the_critic_estimates_the_wasserstein_distance():
    """Two clouds of numbers: a critic of bounded slope against the distance by sorting."""
    torch.manual_seed(0)
    real, fake = torch.randn(256, 1) * 0.5 + 2, torch.randn(256, 1)
    exact = wasserstein_distance(real[:, 0].numpy(), fake[:, 0].numpy())
    net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh())
    critic = nn.Sequential(net, nn.Linear(32, 1), nn.Flatten(0))
    objective = make_objective("wasserstein")
    optimizer = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.0, 0.9))
    for _ in range(200):
        loss = objective.discriminator(critic(real), critic(fake))
        loss = loss + 100 * gradient_penalty(critic, real, fake)
        # A hundred, since with weight w the best critic's slope is 1 + distance / (2 w).
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        estimate = -objective.discriminator(critic(real), critic(fake)).item()
    assert exact > 1.9
    assert estimate == pytest.approx(exact, rel=0.05)


# ----------------------------------------------------------------------------------------------


def gradients_of(model, data, step=0):
    """Both players' gradients in one step of the trainer's, without an update between."""
    turns, model.step = PlayerToggle(model), step
    found = {}
    for player in model.players:
        turns.switch(player)
        torch.manual_seed(7)
        loss = model.loss(data, player)
        loss.total.backward()
        for name, p in model.named_parameters():
            if p.grad is not None:
                assert name.startswith(player), f"{player}'s turn gave {name} a gradient"
                found[name] = p.grad.clone()
        model.zero_grad(set_to_none=True)
    turns.reset()
    model.after_step("generator")
    return found


@pytest.mark.parametrize("conditional", [False, True])
def test_images_that_both_turns_share_give_the_gradients_of_two_passes(conditional):
    found = []
    for reuse in (True, False):
        torch.manual_seed(0)
        model = GAN(SPEC, network="mlp", spectral=False, reuse=reuse, conditional=conditional)
        passes = []
        model.generator.register_forward_hook(lambda *_, passes=passes: passes.append(1))
        found.append(gradients_of(model, batch()))
        assert len(passes) == (1 if reuse else 2)
    assert found[0].keys() == found[1].keys()
    assert len(found[0]) == sum(1 for _ in model.parameters())
    torch.testing.assert_close(found[0], found[1])


def test_accumulated_batches_keep_their_own_images():
    torch.manual_seed(0)
    model = GAN(SPEC, network="mlp", spectral=False)
    batches, shown = [batch(4, seed=1), batch(4, seed=2)], []
    model.discriminator.register_forward_hook(lambda m, args, out: shown.append(args[0].detach()))
    for player in model.players:
        for data in batches:
            model.loss(data, player)
    # The first turn showed real and generated images of each batch, the second the generated ones.
    torch.testing.assert_close(shown[4], shown[1])
    torch.testing.assert_close(shown[5], shown[3])


def test_images_of_another_step_are_not_used_again():
    torch.manual_seed(0)
    model, data = GAN(SPEC, network="mlp", spectral=False), batch()
    model.loss(data, "discriminator")
    kept = model._drawn[0][-1]
    model.step += 1
    shown = []
    model.discriminator.register_forward_hook(lambda m, args, out: shown.append(args[0]))
    model.loss(data, "generator")
    assert not torch.equal(shown[0], kept)
    model.loss(data, "discriminator")
    assert len(model._drawn) == 1
    model.after_step("generator")
    assert model._drawn == []


def test_the_generator_moves_in_the_last_of_n_steps():
    model = GAN(SPEC, network="mlp", n_dis=3)
    turns = []
    for model.step in range(9):
        turns.append([player for player in model.players if model.updates(player)])
    assert turns == [["discriminator"], ["discriminator"], ["discriminator", "generator"]] * 3
    model.step = 0
    model.loss(batch(), "discriminator")
    assert model._drawn == []  # nobody will need a graph in this step


def test_packing_judges_so_many_images_at_a_time():
    model, data = GAN(SPEC, network="conv", packing=2), batch(6)
    x = to_signed(data.x, 256)
    assert model.logits(x, None).shape == (3,)
    torch.testing.assert_close(model.augment_and_pack(x)[0], torch.cat([x[0], x[1]]))
    with pytest.raises(ConfigError, match=r"data\.batch_size=5: model\.packing=2"):
        model.loss(batch(5), "discriminator")
    model.train()
    model.diagnostics(batch(5))  # validation batches come as they come


def test_augmentation_is_for_training_alone():
    torch.manual_seed(0)
    model = GAN(SPEC, network="mlp", spectral=False, augment="diffaugment")
    x = to_signed(batch().x, 256)
    assert not torch.allclose(model.logits(x, None), model.logits(x, None))
    with model.evaluating():
        torch.testing.assert_close(model.logits(x, None), model.logits(x, None))


def test_ada_is_adapted_by_the_discriminators_steps():
    model = GAN(SPEC, network="mlp", augment="ada", target=0.0)
    for step in range(8):
        model.step = step
        loss = model.loss(batch(), "discriminator")
        model.after_step("discriminator")
    assert float(loss.parts["augment"]) >= 0
    assert float(model.augment.signs[2]) == 0
    assert "augment.p" in model.state_dict()


def test_a_hopeless_generator_is_called_saturated_but_not_a_critics():
    for objective, saturated in (("non_saturating", 1.0), ("wasserstein", 0.0)):
        torch.manual_seed(0)
        model = GAN(SPEC, network="mlp", objective=objective)
        model.discriminator = Linear(64)
        nn.init.ones_(model.discriminator.weight)
        white = Batch(torch.full((20, 1, 8, 8), 255, dtype=torch.uint8))
        found = model.diagnostics(white)
        assert (found["separation"], found["saturated"]) == (1.0, saturated)
        black = model.diagnostics(Batch(torch.zeros(20, 1, 8, 8, dtype=torch.uint8)))
        assert (black["separation"], black["saturated"]) == (0.0, 0.0)


def test_codes_are_decoded_as_samples_are_drawn():
    model = GAN(SPEC, network="conv", conditional=True).eval()
    y = torch.arange(3)
    g = lambda: torch.Generator().manual_seed(3)  # noqa: E731
    z = model.latent(3, generator=g(), options=Tempered(0.5))
    assert z.shape == (3, 64)
    torch.testing.assert_close(
        model.decode(z, y), model.sample(3, y, generator=g(), options=Tempered(0.5))
    )
    torch.testing.assert_close(model.latent(3, generator=g()) / 2, z)
    assert model.capabilities() == {"decode", "latent"}


@pytest.mark.parametrize(
    ("options", "size", "message"),
    [
        ({"network": "dcgan"}, (30, 30), "model.network=dcgan"),
        ({"network": "resnet"}, (27, 27), "model.network=resnet"),
        ({"network": "conv"}, (1, 2), "model.network=conv"),
        ({"network": "dcgan", "gradient_penalty": 10.0}, (28, 28), "model.gradient_penalty=10"),
        (
            {"objective": "wasserstein", "spectral": False, "r1": 0.0},
            (28, 28),
            "model.objective=wasserstein",
        ),
        ({"conditional": True}, (28, 28), "model.conditional=true"),
    ],
)
def test_impossible_options_are_refused_in_one_line(options, size, message):
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")) as refusal:
        GAN(ImageSpec(1, *size), **options)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("size", [(1, 2), (5, 40), (8, 8), (9, 13), (28, 28), (33, 47), (64, 64)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_default_takes_any_size(size, channels):
    model = GAN(ImageSpec(channels, *size), width=4, hidden=8)
    assert model.sample(2).shape == (2, channels, *size)
    x = torch.randint(0, 256, (2, channels, *size), dtype=torch.uint8)
    for player in model.players:
        assert model.loss(Batch(x), player).total.isfinite()


@pytest.mark.parametrize("name", ["gan", "gan_stylegan", "gan_progressive", "vaegan"])
def test_an_offset_that_only_differences_of_logits_forget_is_not_trained(name):
    spec = ImageSpec(1, 28, 28, levels=256)
    drift = {"drift": 0.0} if name == "gan_progressive" else {}
    for objective, trained in (("hinge", True), ("relativistic", False)):
        model = build(name, spec, objective=objective, **drift)
        bias = model.discriminator.head.linear.bias
        assert bias.requires_grad == trained
        assert trained or not bias.any()
