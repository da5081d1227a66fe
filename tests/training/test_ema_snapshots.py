"""Post-hoc EMA: the profiles' mathematics, the averages in training, and what is made of them."""

import shutil

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from genlab.errors import ConfigError, DataError
from genlab.training.ema_snapshots import EmaSnapshots
from genlab.training.guard import roll_back
from genlab.training.saving.checkpoint_io import read_checkpoint
from genlab.training.saving.ema_files import Profiles, drop_newer, snapshots, write_snapshot
from genlab.training.step.power_averages import PowerAverages
from genlab.training.step.power_profile import (
    LIMIT,
    coefficients,
    exponent,
    inner_product,
    width_of,
)

from .test_module import SaveAt
from .toys import SPEC, Coins, ToyData, fit, module_of

IMAGES = 4 * 1200


class Tracker(pl.Callback):
    """Averages of other widths, followed at each step of the run."""

    def __init__(self, widths, every=1):
        self.averages = PowerAverages(widths, every)

    def on_train_start(self, trainer, module):
        self.averages.attach(module.model)

    def follow(self, images_seen, steps):
        self.averages.follow(images_seen, steps)

    def roll_back(self, trainer, checkpoint):
        pass


def noisy(**options):
    """A module whose weights walk about: a high rate of learning on noisy losses."""
    torch.manual_seed(0)
    return module_of(Coins(SPEC, noise=3.0), max_images=IMAGES, **options)


class Note(pl.Callback):
    """What a tracker's averages are in the middle of a run."""

    def __init__(self, tracker, images):
        self.tracker, self.images = tracker, images

    def on_train_batch_end(self, trainer, module, *_):
        if module.images_seen == self.images:
            averages = self.tracker.averages.averages
            self.averages = {width: a["logits"].clone() for width, a in averages.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run with 16 snapshots, and other widths that were followed beside it."""
    folder = tmp_path_factory.mktemp("whole")
    module, tracker = noisy(), Tracker([0.04, 0.07, 0.15, 0.2])
    half = Note(tracker, IMAGES // 2)
    saves = [SaveAt(folder / f"{at}.ckpt", at, "chunk") for at in (IMAGES // 2, IMAGES)]
    ema = EmaSnapshots(every=IMAGES // 16, steps=1)
    callbacks = [tracker, half, ema, *saves]
    fit(module, ToyData(chunk=15), callbacks=callbacks, folder=folder, val_check_interval=80)
    return folder, module, tracker, half


@pytest.fixture
def run(whole, tmp_path):
    """A copy of it to harm: its folder, and its checkpoint at the end."""
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    return tmp_path, read_checkpoint(tmp_path / f"{IMAGES}.ckpt")


def profiles(folder, checkpoint):
    return Profiles(folder, checkpoint["callbacks"]["EmaSnapshots"])


# The profiles


@pytest.mark.parametrize("width", [0.01, 0.05, 0.1, 0.2, LIMIT])
def test_an_exponent_has_its_width_in_closed_form_and_by_integration(width):
    gamma = exponent(width)
    assert width_of(gamma) == pytest.approx(width, rel=1e-6)
    t = (np.arange(400_000) + 0.5) / 400_000
    p = (gamma + 1) * t**gamma / len(t)
    mean = (t * p).sum()
    assert np.sqrt(((t - mean) ** 2 * p).sum()) == pytest.approx(width, rel=1e-4)


def test_the_exponents_are_those_of_the_paper():
    assert exponent(0.05) == pytest.approx(16.97, abs=0.005)
    assert exponent(0.10) == pytest.approx(6.94, abs=0.005)
    for width in (0, -0.1, 0.3, float("nan")):
        with pytest.raises(ValueError, match="relative width"):
            exponent(width)


@pytest.mark.parametrize(("end", "width"), [(1.0, 0.1), (0.7, 0.05), (0.7, 0.25), (2.0, 0.01)])
def test_inner_products_are_the_integrals(end, width):
    """Midpoint rule with 400,000 points on the shorter of the two profiles."""
    g, h = exponent(width), exponent(0.07)
    t = (np.arange(400_000) + 0.5) / 400_000 * min(end, 1.0)
    one = (g + 1) * t**g / end ** (g + 1)
    other = (h + 1) * t**h
    integral = (one * other).sum() * min(end, 1.0) / len(t)
    assert inner_product(end, g, 1.0, h) == pytest.approx(integral, rel=1e-6)
    assert inner_product(1.0, h, end, g) == pytest.approx(integral, rel=1e-6)


def test_coefficients_are_the_nearest_sum_and_add_up_to_one():
    ends = np.repeat(np.arange(1, 9) / 8, 2)
    gammas = np.tile([exponent(0.05), exponent(0.10)], 8)
    found, left = coefficients(ends, gammas, 1.0, exponent(0.15))
    assert found.sum() == pytest.approx(1, abs=1e-9)
    # The distance that is reported is that of the functions.
    t = (np.arange(100_000) + 0.5) / 100_000
    wanted = (exponent(0.15) + 1) * t ** exponent(0.15)
    made = sum(
        c * (g + 1) * t**g / e ** (g + 1) * (t <= e)
        for c, e, g in zip(found, ends, gammas, strict=True)
    )
    assert np.sqrt(((made - wanted) ** 2).mean() / (wanted**2).mean()) == pytest.approx(
        left, rel=1e-3
    )
    # Any step from it that keeps the sum leads away.
    for seed in range(20):
        step = np.random.default_rng(seed).normal(size=16)
        step *= 0.01 / np.abs(step).sum()
        moved = made + sum(
            (s - step.mean()) * (g + 1) * t**g / e ** (g + 1) * (t <= e)
            for s, e, g in zip(step, ends, gammas, strict=True)
        )
        assert ((moved - wanted) ** 2).mean() >= ((made - wanted) ** 2).mean()
    # A stored profile is itself.
    assert coefficients(ends, gammas, 1.0, exponent(0.05))[1] < 1e-6


# The averages


def test_an_average_is_the_weighted_mean_of_the_past_weights():
    model = Coins(SPEC)
    averages = PowerAverages([0.05, 0.1])
    averages.attach(model)
    g, images, past = exponent(0.1), 0, []
    for step, batch in enumerate([4, 4, 7, 1, 16, 3], 1):
        with torch.no_grad():
            model.logits.copy_(torch.randn(SPEC.shape))
        images += batch
        past.append((images, model.logits.detach().clone()))
        averages.follow(images, step)
    before = [0, *(n for n, _ in past)]
    total = sum(
        ((n / images) ** (g + 1) - (m / images) ** (g + 1)) * w
        for m, (n, w) in zip(before, past, strict=False)
    )
    torch.testing.assert_close(averages.averages[0.1]["logits"], total, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("width", "bound"), [(0.04, 0.01), (0.07, 0.01), (0.15, 0.01), (0.2, 0.02)]
)
def test_another_width_is_reconstructed_as_if_it_had_been_tracked(whole, width, bound):
    """The oracle: a width that was really followed, to 1 % of its distance from the weights; to 2 %
    where it is twice as wide as all that is stored."""
    folder, module, tracker, _ = whole
    stored = profiles(folder, read_checkpoint(folder / f"{IMAGES}.ckpt"))
    assert len(stored.files) == 15
    tracked = tracker.averages.averages[width]["logits"]
    scale = (tracked - module.model.logits).norm()
    assert (stored.reconstruct(width)["logits"] - tracked).norm() < bound * scale
    others = [average["logits"] for average in stored.newest.values()]
    assert min((tracked - other).norm() for other in others) > 0.02 * scale  # and it is no other


def test_widths_that_were_kept_come_back(run):
    stored = profiles(*run)
    for width, average in stored.newest.items():
        torch.testing.assert_close(
            stored.reconstruct(width)["logits"], average["logits"], rtol=1e-5, atol=1e-5
        )


def test_an_average_of_an_earlier_checkpoint_ends_there(whole):
    folder, _, _, half = whole
    stored = profiles(folder, read_checkpoint(folder / f"{IMAGES // 2}.ckpt"))
    assert max(stored.files) < stored.end == IMAGES // 2
    tracked = half.averages[0.07]
    assert (stored.reconstruct(0.07)["logits"] - tracked).norm() < 0.02 * tracked.norm()


def test_neither_chunks_nor_pauses_change_an_average(tmp_path):
    states = []
    for chunk, folder in ((3, "a"), (2, "b")):
        (tmp_path / folder).mkdir()
        torch.manual_seed(0)
        ema = EmaSnapshots(every=48, steps=2)
        fit(module_of(), ToyData(chunk=chunk), callbacks=[ema], folder=tmp_path / folder)
        states.append(ema.state_dict())
    torch.testing.assert_close(*states, rtol=0, atol=0)


# Snapshots on the disk


@pytest.mark.parametrize("images", [12, 48, 60])
def test_a_resumed_run_has_the_snapshots_of_the_uninterrupted_one(tmp_path, images):
    whole, cut = tmp_path / "whole", tmp_path / "cut"

    def run(folder, *callbacks, **options):
        folder.mkdir(exist_ok=True)
        ema = EmaSnapshots(every=24, steps=2)
        fit(module_of(), callbacks=[*callbacks, ema], folder=folder, **options)

    run(whole)
    run(cut, SaveAt(tmp_path / "cut.ckpt", images, "chunk"))
    for images_seen, path in snapshots(cut).items():
        if images_seen > images:  # what a killed run left behind is done again
            path.write_bytes(b"of another time")
    run(cut, ckpt_path=tmp_path / "cut.ckpt")
    assert list(snapshots(whole)) == [24, 48, 72, 96]
    assert list(snapshots(cut)) == list(snapshots(whole))
    for path in snapshots(whole).values():
        one, other = read_checkpoint(path), read_checkpoint(cut / "ema" / path.name)
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace", "os.open"])
def test_what_is_half_written_is_never_read(run, monkeypatch, step):
    tmp_path, checkpoint = run
    before = profiles(tmp_path, checkpoint).reconstruct(0.07)

    def killed(*_, **__):
        raise KeyboardInterrupt

    state = checkpoint["callbacks"]["EmaSnapshots"] | {"images": 700}
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", lambda *_, **__: None)  # nothing tidies up after it
        patch.setattr(step, killed)
        with pytest.raises(KeyboardInterrupt):
            write_snapshot(tmp_path, state)
    if 700 in snapshots(tmp_path):  # killed after the rename: it is whole
        kept = read_checkpoint(snapshots(tmp_path)[700])
        torch.testing.assert_close(kept["averages"], state["averages"], rtol=0, atol=0)
        snapshots(tmp_path)[700].unlink()
    else:
        assert list((tmp_path / "ema").glob(".*.tmp"))
    after = profiles(tmp_path, checkpoint).reconstruct(0.07)
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_a_damaged_snapshot_is_named_and_the_others_do_without(run):
    tmp_path, checkpoint = run
    stored = profiles(tmp_path, checkpoint)
    before = stored.reconstruct(0.07)["logits"]
    path = list(stored.files.values())[7]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=rf"{path.name} is damaged .* without this file"):
        stored.reconstruct(0.07)
    path.unlink()
    after = profiles(tmp_path, checkpoint).reconstruct(0.07)["logits"]
    assert (after - before).norm() < 0.01 * before.norm()


def test_a_rollback_takes_up_the_averages_and_drops_what_was_given_up(tmp_path):
    class Back(pl.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            if module.images_seen == 72 and not hasattr(self, "before"):
                self.before = list(snapshots(tmp_path))
                roll_back(trainer, module, tmp_path / "best.ckpt", 0.5)
                self.after = list(snapshots(tmp_path))
                self.state = ema.state_dict()
                self.kept = read_checkpoint(tmp_path / "best.ckpt")["callbacks"]["EmaSnapshots"]
                torch.testing.assert_close(self.state, self.kept, rtol=0, atol=0)

    ema, back = EmaSnapshots(every=12, steps=1), Back()
    best = SaveAt(tmp_path / "best.ckpt", 36, "chunk")
    fit(module_of(), callbacks=[ema, best, back], folder=tmp_path)
    assert (back.before, back.after) == ([12, 24, 36, 48, 60, 72], [12, 24, 36])
    assert list(snapshots(tmp_path)) == [12, 24, 36, 84, 96]


def test_other_widths_cannot_go_on(run):
    with pytest.raises(ConfigError, match=r"widths=\[0.1, 0.1\]: different relative widths"):
        EmaSnapshots(widths=[0.1, 0.1])
    other = EmaSnapshots(widths=[0.05, 0.2])
    with pytest.raises(ConfigError, match=r"widths=\[0.05, 0.2\]: a resumed run keeps its widths"):
        fit(noisy(), callbacks=[other], folder=run[0], ckpt_path=run[0] / f"{IMAGES // 2}.ckpt")


def test_a_snapshot_of_another_model_is_named(run):
    tmp_path, checkpoint = run
    write_snapshot(tmp_path, {"images": 700, "averages": {0.05: {"other": torch.zeros(1)}}})
    with pytest.raises(DataError, match=r"000000700\.ckpt is a snapshot of another run"):
        profiles(tmp_path, checkpoint).reconstruct(0.07)
    drop_newer(tmp_path, 699)
    assert max(snapshots(tmp_path)) <= 699


def test_the_reach_is_where_the_profile_is_met(run):
    stored = profiles(*run)
    low, high = stored.reachable()
    assert stored.distance(low) <= 0.1 < stored.distance(low - 0.001)
    assert stored.distance(high) <= 0.1 < stored.distance(high + 0.001)
    assert low < 0.03
    assert high > 0.25
