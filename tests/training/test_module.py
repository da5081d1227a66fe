"""The training module against loops written out by hand, and against itself under all that must
not change a result: chunk size, validation, previews, interruption."""

import logging
import math

import pytest
import pytorch_lightning as pl
import torch

from genlab.errors import ConfigError, NonFiniteError
from genlab.models.base import GenerativeModel
from genlab.rng import seed_global
from genlab.training.schedules import Constant, Cosine
from genlab.training.step.ema import EMA
from genlab.types import Batch

from .toys import SPEC, Coins, Duel, ToyData, fit, module_of


@pytest.fixture(autouse=True)
def _quiet():
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


def weights(module):
    return {name: p.detach().clone() for name, p in module.model.named_parameters()}


def by_hand(steps, lr=lambda step: 0.1, clip=None):
    """The loop that the module must equal."""
    torch.manual_seed(0)
    model, data = Coins(SPEC), ToyData()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for step in range(steps):
        seed_global(0, "noise", step * 4, 0)
        optimizer.param_groups[0]["lr"] = lr(step)
        model.loss(Batch(data.batch(step * 4))).total.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad()
    return model


@pytest.mark.parametrize("chunk", [1, 3, 5, 40])
def test_a_module_is_the_loop_written_out_whatever_the_chunk(chunk):
    module = module_of()
    fit(module, ToyData(chunk=chunk))
    assert module.images_seen == 96
    assert module.model.steps == 24
    torch.testing.assert_close(module.model.logits, by_hand(24).logits, rtol=0, atol=0)


def test_the_schedule_and_the_clip_are_applied_at_each_step():
    schedule = Cosine(end=0.1)
    module = module_of(schedule=schedule, clip=0.05)
    fit(module)
    expected = by_hand(24, lambda step: 0.1 * schedule.factor(step / 24), clip=0.05)
    torch.testing.assert_close(module.model.logits, expected.logits, rtol=0, atol=0)


def test_validation_and_previews_do_not_change_the_result():
    class Preview(pl.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            module.model.sample(5)

    with_both, without = module_of(), module_of()
    fit(with_both, callbacks=[Preview()], val_check_interval=1)
    fit(without, limit_val_batches=0)
    torch.testing.assert_close(weights(with_both), weights(without), rtol=0, atol=0)


def test_accumulated_batches_are_one_larger_batch():
    class Noiseless(Coins):
        def __init__(self):
            super().__init__(SPEC, noise=0.0)

    sgd = lambda parameters: torch.optim.SGD(parameters, lr=0.1)  # noqa: E731
    torch.manual_seed(0)
    accumulated = module_of(Noiseless(), optimizer=sgd, accumulate=2)
    fit(accumulated, ToyData(chunk=6))
    torch.manual_seed(0)
    model, data = Noiseless(), ToyData()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(12):
        x = torch.cat([data.batch(step * 8), data.batch(step * 8 + 4)])
        model.loss(Batch(x)).total.backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.testing.assert_close(accumulated.model.logits, model.logits)
    assert accumulated.model.steps == 12


def test_players_take_turns_and_each_moves_itself_alone():
    moved = []

    class Watch(Duel):
        def after_step(self, player):
            super().after_step(player)
            now = torch.stack([self.discriminator.weight.detach(), self.generator.weight.detach()])
            moved.append((player, (now != self.before).flatten().tolist()))
            self.before = now.clone()

    model = Watch(SPEC)
    model.before = torch.stack(
        [model.discriminator.weight.detach().clone(), model.generator.weight.detach().clone()]
    )
    fit(module_of(model))
    assert model.turns == ["discriminator", "generator"] * 24
    assert all(change == [True, False] for player, change in moved if player == "discriminator")
    assert all(change == [False, True] for player, change in moved if player == "generator")


def test_each_player_can_have_an_optimizer_of_its_own():
    sgd = lambda parameters: torch.optim.SGD(parameters, lr=0.1)  # noqa: E731
    module = module_of(Duel(SPEC), optimizer={"discriminator": sgd, "generator": torch.optim.Adam})
    trainer = fit(module)
    for optimizer, kind in zip(
        trainer.optimizers, (torch.optim.SGD, torch.optim.Adam), strict=True
    ):
        assert isinstance(optimizer, kind)
    with pytest.raises(ConfigError, match="one for the generator is missing"):
        fit(module_of(Duel(SPEC), optimizer={"discriminator": sgd}))


class Listener(pl.Callback):
    heard = 0

    def on_after_backward(self, trainer, module):
        self.heard += 1


def test_a_callback_that_listens_to_gradients_hears_of_them():
    module, callback = module_of(Coins(SPEC)), Listener()
    fit(module, callbacks=[callback])
    assert callback.heard == module.steps > 0


def test_half_precision_sees_the_new_weights_at_each_step():
    """With its cache on, autocast would keep the chunk's first half-precision weights."""

    class Dense(Coins):
        def __init__(self):
            super().__init__(SPEC)
            self.layer = torch.nn.Linear(6, 6)

        def loss(self, batch, player="model"):
            loss = super().loss(batch)
            extra = (self.layer(batch.x.float().flatten(1)) - 1).square().mean()
            return loss._replace(total=loss.total + extra)

    results = []
    for chunk in (1, 8):
        torch.manual_seed(0)
        module = module_of(Dense())
        fit(module, ToyData(chunk=chunk), precision="bf16-mixed", limit_val_batches=0)
        results.append(weights(module))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


def test_ema_follows_by_its_half_life():
    torch.manual_seed(0)
    model = Coins(SPEC)
    ema = EMA(model, halflife=8, rampup=1e9)
    average = model.logits.detach().clone()
    for step in range(1, 6):
        with torch.no_grad():
            model.logits += torch.randn(SPEC.shape)
            model.steps += 1
        ema.update(4, 4 * step)
        average = average * 0.5**0.5 + model.logits.detach() * (1 - 0.5**0.5)
        torch.testing.assert_close(ema.model.logits, average)
        assert ema.model.steps == step
    assert EMA(model, halflife=100, rampup=0.05).decay(10, 1000) == pytest.approx(0.5 ** (10 / 50))
    assert EMA(model, halflife=100, rampup=0.05).decay(10, 10**6) == pytest.approx(0.5**0.1)


def test_ema_follows_every_so_many_steps_after_the_first_ones():
    torch.manual_seed(0)
    model = Coins(SPEC)
    ema = EMA(model, halflife=8, rampup=1e9, every=3)
    average = model.logits.detach().clone()
    for step in range(1, 12):
        with torch.no_grad():
            model.logits += torch.randn(SPEC.shape)
        ema.follow(4, 4 * step, step)
        if step <= 3 or step % 3 == 0:
            decay = 0.5 ** (0.5 if step <= 3 else 1.5)
            average = average * decay + model.logits.detach() * (1 - decay)
        torch.testing.assert_close(ema.model.logits, average)


def test_the_average_is_what_is_evaluated():
    torch.manual_seed(0)
    model = Coins(SPEC)
    module = module_of(model, ema=EMA(model, halflife=50))
    trainer = fit(module)
    nll = -module.ema.model.log_prob(Batch(ToyData().val.x)).mean()
    assert float(trainer.callback_metrics["val/nll"]) == pytest.approx(float(nll), rel=1e-6)
    bits = float(nll) / (SPEC.dims * math.log(2))
    assert float(trainer.callback_metrics["val/bpd"]) == pytest.approx(bits, rel=1e-6)
    assert not torch.equal(module.ema.model.logits, model.logits)


class SaveAt(pl.Callback):
    def __init__(self, path, images, hook):
        self.path, self.images, self.hook = path, images, hook

    def on_train_batch_end(self, trainer, module, *_):
        if self.hook == "chunk" and module.images_seen == self.images:
            trainer.save_checkpoint(self.path)

    def on_validation_end(self, trainer, module):
        if self.hook == "validation" and module.images_seen == self.images:
            trainer.save_checkpoint(self.path)


@pytest.mark.parametrize("family", [Coins, Duel])
@pytest.mark.parametrize(("images", "hook"), [(12, "chunk"), (48, "chunk"), (48, "validation")])
@pytest.mark.parametrize("chunk", [3, 2])
def test_a_resumed_run_is_the_uninterrupted_one_bit_by_bit(tmp_path, family, images, hook, chunk):
    def make():
        torch.manual_seed(0)
        model = family(SPEC)
        return module_of(model, schedule=Cosine(), ema=EMA(model, halflife=20, every=3))

    path = tmp_path / "cut.ckpt"
    whole = make()
    first = fit(whole, callbacks=[SaveAt(path, images, hook)])
    resumed = make()
    second = fit(resumed, ToyData(chunk=chunk), ckpt_path=path)
    assert resumed.images_seen == whole.images_seen == 96
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)
    torch.testing.assert_close(resumed.ema.state_dict(), whole.ema.state_dict(), rtol=0, atol=0)
    for a, b in zip(first.optimizers, second.optimizers, strict=True):
        torch.testing.assert_close(a.state_dict()["state"], b.state_dict()["state"], rtol=0, atol=0)


def test_a_checkpoint_holds_tensors_and_plain_data_only(tmp_path):
    fit(module_of(), callbacks=[SaveAt(tmp_path / "c.ckpt", 48, "chunk")])
    checkpoint = torch.load(tmp_path / "c.ckpt", weights_only=True)
    assert checkpoint["genlab"]["images_seen"] == 48


def test_validation_comes_at_the_same_images_after_a_resume(tmp_path):
    class Note(pl.Callback):
        def __init__(self):
            self.at = []

        def on_validation_end(self, trainer, module):
            self.at.append(module.images_seen)

    path, whole, rest = tmp_path / "cut.ckpt", Note(), Note()
    fit(module_of(), callbacks=[SaveAt(path, 36, "chunk"), whole])
    fit(module_of(), callbacks=[rest], ckpt_path=path)
    assert whole.at == [24, 48, 72, 96]
    assert rest.at == [48, 72, 96]


def test_a_loss_that_is_not_finite_ends_the_run_by_name():
    class Broken(Coins):
        def loss(self, batch, player="model"):
            loss = super().loss(batch)
            return loss._replace(total=loss.total / (self.images_seen != 40))

    with pytest.raises(
        NonFiniteError, match=r"step 11, after 40 images.*the loss itself.*optimizer\.lr"
    ):
        fit(module_of(Broken(SPEC)))


def test_a_schedule_that_needs_an_end_is_refused_without_one():
    with pytest.raises(ConfigError, match=r"Cosine must know the run's length.*max_images"):
        module_of(schedule=Cosine(), max_images=None)
    assert module_of(schedule=Constant(), max_images=None).max_images is None


def test_a_frozen_player_is_named():
    model = Coins(SPEC)
    model.logits.requires_grad_(False)
    with pytest.raises(ConfigError, match="no parameter left to train"):
        fit(module_of(model))


def test_every_family_is_one_type():
    assert issubclass(Coins, GenerativeModel)
    assert Coins(SPEC).capabilities() == {"log_prob"}
    assert Duel(SPEC).capabilities() == frozenset()
