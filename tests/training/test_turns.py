"""Whose turn it is, how often, and that an interrupted game goes on bit by bit."""

import logging

import pytest
import torch

from genlab.models.gan import GAN
from genlab.training.step.ema import EMA
from genlab.training.step.player_toggle import PlayerToggle
from genlab.training.step.running_means import RunningMeans
from genlab.types import ImageSpec, Loss

from .test_module import SaveAt, weights
from .toys import SPEC, Duel, ToyData, fit, module_of


@pytest.fixture(autouse=True)
def _quiet():
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


def game(**options):
    torch.manual_seed(0)
    spec = ImageSpec(*SPEC.shape, levels=2)
    return GAN(spec, network="mlp", hidden=8, depth=1, latent=4, **options)


class Counted(GAN):
    """Counts the changes of each player's parameters."""

    def start(self):
        self.moved = dict.fromkeys(self.players, 0)
        self.before = self.copies()
        return self

    def copies(self):
        return {
            player: [p.detach().clone() for p in self.player(player).parameters()]
            for player in self.players
        }

    def after_step(self, player):
        super().after_step(player)
        now = self.copies()
        for name in self.players:
            changed = [not torch.equal(a, b) for a, b in zip(now[name], self.before[name])]  # noqa: B905
            assert any(changed) == (name == player)
            self.moved[name] += any(changed)
        self.before = now


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("n_dis", [1, 2, 3])
def test_each_player_moves_as_often_as_it_is_told(n_dis, accumulate):
    torch.manual_seed(0)
    spec = ImageSpec(*SPEC.shape, levels=2)
    model = Counted(spec, network="mlp", hidden=8, depth=1, latent=4, n_dis=n_dis, r1_interval=2)
    model.start()
    module = module_of(model, accumulate=accumulate, max_images=96)
    fit(module, ToyData(chunk=4))
    steps = 96 // (4 * accumulate)
    assert module.steps == steps
    assert model.moved == {"discriminator": steps, "generator": steps // n_dis}


def test_lazy_losses_are_means_over_the_steps_that_they_came_at():
    module = module_of(game(r1=1.0, r1_interval=4, n_dis=2), log_every=10**9)
    lines = []
    module.history = lambda metrics: lines.append(dict(metrics))
    fit(module, limit_val_batches=0)
    counts = module.losses.means.counts or {}
    assert counts == {}  # the end of training wrote the line
    line = next(line for line in lines if "train/generator/loss" in line)
    assert line["train/loss"] == pytest.approx(
        line["train/generator/loss"] + line["train/discriminator/loss"]
    )
    assert line["train/discriminator/r1"] > 0


def test_a_window_averages_each_name_over_its_own_count():
    window = RunningMeans()
    assert not window
    for value in (1.0, 3.0):
        window.collect(
            Loss(torch.tensor(value), {"real": torch.tensor(2 * value)}), "discriminator"
        )
    window.collect(Loss(torch.tensor(5.0), {}), "generator")
    expected = {
        "loss": 7.0,
        "discriminator/real": 4.0,
        "discriminator/loss": 2.0,
        "generator/loss": 5.0,
    }
    assert window.means() == expected
    again = RunningMeans()
    again.load_state_dict(window.state_dict())
    assert again.means() == expected
    assert window.losses().isfinite()
    window.collect(Loss(torch.tensor(float("nan")), {}), "generator")
    assert not window.losses().isfinite()
    assert not torch.isfinite(window.losses())


@pytest.mark.parametrize("images", [12, 36, 60])
def test_a_game_goes_on_bit_by_bit(tmp_path, images):
    """Cadence, lazy penalties and adaptive augmentation stand where they stood."""

    def make():
        options = {"n_dis": 2, "r1": 1.0, "r1_interval": 3}
        model = game(**options, augment="ada", target=0.0)
        return module_of(model, ema=EMA(model, halflife=20))

    path, whole = tmp_path / "cut.ckpt", make()
    fit(whole, callbacks=[SaveAt(path, images, "chunk")])
    resumed = make()
    fit(resumed, ToyData(chunk=2), ckpt_path=path)
    assert resumed.steps == whole.steps == 24
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)
    assert whole.model.augment.p > 0 or whole.model.augment.signs.any()
    torch.testing.assert_close(resumed.model.state_dict(), whole.model.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(resumed.ema.state_dict(), whole.ema.state_dict(), rtol=0, atol=0)


def test_turns_freeze_whom_the_model_says_and_nobody_for_good():
    model = Duel(SPEC)
    turns = PlayerToggle(model)
    turns.switch("discriminator")
    assert model.discriminator.weight.requires_grad
    assert not model.generator.weight.requires_grad
    turns.switch("generator")
    assert not model.discriminator.weight.requires_grad
    turns.reset()
    assert all(p.requires_grad for p in model.parameters())


def test_what_a_user_froze_stays_frozen():
    model = game()
    first = next(model.generator.parameters())
    first.requires_grad_(False)
    turns = PlayerToggle(model)
    for player in model.players:
        turns.switch(player)
        assert not first.requires_grad
    turns.reset()
    assert not first.requires_grad


def test_after_training_every_player_can_learn_again():
    module = module_of(game())
    fit(module, limit_val_batches=0)
    assert all(p.requires_grad for p in module.model.parameters())
