"""The guard on a toy run whose evaluations are written down beforehand."""

import pytest
import torch

from genlab.errors import NonFiniteError
from genlab.training.checkpoints import Checkpoints
from genlab.training.collapse import Reading
from genlab.training.evaluation import QuickMetrics
from genlab.training.guard import Guard
from genlab.training.saving.checkpoint_io import AtomicCheckpointIO
from genlab.types import Loss
from training.toys import SPEC, Coins, fit, module_of


class Told(QuickMetrics):
    """Evaluates to what it was told, in turn."""

    def __init__(self, *values, every=12):
        super().__init__(every)
        self.values = list(values)

    def act(self, trainer, module):
        value = self.values.pop(0) if self.values else 1.0
        self.reading = Reading(module.images_seen, {"fd_toy": value})
        trainer.callback_metrics["quick/fd_toy"] = torch.tensor(value)


def play(tmp_path, *values, model=None, max_images=96, **options):
    """Trains 8 chunks of 12 images, each evaluated and followed by a validation."""
    evaluation, guard = Told(*values), Guard(**options)
    checkpoints = Checkpoints("quick/fd_toy")
    module = module_of(model, max_images=max_images)
    fit(
        module,
        callbacks=[evaluation, guard, checkpoints],
        folder=tmp_path / "checkpoints",
        val_check_interval=1,
        plugins=[AtomicCheckpointIO()],
    )
    return module, guard, checkpoints


def rates(module):
    return [group["initial_lr"] for group in module.trainer.optimizers[0].param_groups]


def test_it_warns_once_for_each_collapse(tmp_path, capsys):
    module, guard, checkpoints = play(tmp_path, 1.0, 0.8, 3.0, 3.5, 0.9, 3.0, 4.0, 0.7)
    said = capsys.readouterr().err
    assert said.count("genlab: warning") == 2
    assert "after 36 images: fd_toy was 0.8 after 24 images and is 3 now" in said
    assert [event["images_seen"] for event in guard.events] == [36, 72]
    assert module.images_seen == 96
    assert (checkpoints.best, checkpoints.best_images) == (pytest.approx(0.7), 96)


def test_it_stops(tmp_path, capsys):
    module, _guard, checkpoints = play(tmp_path, 1.0, 0.8, 3.0, action="stop")
    assert "the run ends" in capsys.readouterr().err
    assert module.images_seen == 36
    assert checkpoints.best_images == 24
    best = torch.load(checkpoints.directory / "best.ckpt", weights_only=True)
    assert best["genlab"]["images_seen"] == 24


class Watched(Coins):
    """Keeps its weights as they were before each step."""

    def __init__(self, spec):
        super().__init__(spec)
        self.before = {}

    def loss(self, batch, player="model"):
        self.before[self.images_seen] = self.logits.detach().clone()
        return super().loss(batch, player)


def test_it_rolls_back_to_the_best_with_a_lower_learning_rate(tmp_path, capsys):
    model = Watched(SPEC)
    module, guard, _ = play(
        tmp_path, 1.0, 0.8, 3.0, 1.0, model=model, action="rollback", lr_factor=0.25
    )
    assert "rolled back to the best checkpoint, of 24 images, with 0.25 times" in (
        capsys.readouterr().err
    )
    assert guard.rolled_back == 1
    assert module.images_seen == 96
    # The step after 36 images starts from the weights that 24 images had led to.
    torch.testing.assert_close(model.before[36], model.before[24], rtol=0, atol=0)
    assert not torch.equal(model.before[32], model.before[24])
    assert rates(module) == [pytest.approx(0.025)]


def test_it_rolls_back_so_many_times_and_then_stops(tmp_path):
    module, guard, _ = play(
        tmp_path, 1.0, 3.0, 3.0, 3.0, 3.0, action="rollback", rollbacks=2, lr_factor=0.5
    )
    assert guard.rolled_back == 2
    assert module.images_seen == 48
    assert rates(module) == [pytest.approx(0.025)]


class Breaks(Coins):
    """Its loss is NaN once, after 32 images."""

    def __init__(self, spec):
        super().__init__(spec)
        self.broken = False

    def loss(self, batch, player="model"):
        loss = super().loss(batch, player)
        if self.images_seen == 32 and not self.broken:
            self.broken = True
            return Loss(loss.total * float("nan"), loss.parts)
        return loss


def test_it_rolls_back_from_what_is_not_finite(tmp_path, capsys):
    module, guard, _ = play(tmp_path, model=Breaks(SPEC), action="rollback")
    assert module.images_seen == 96
    assert guard.rolled_back == 1
    assert module.model.logits.isfinite().all()
    said = capsys.readouterr().err
    assert "the loss is not finite (in step 9, after 32 images)" in said
    assert "because of what a repetition did not show; rolled back" in said


@pytest.mark.parametrize("options", [{"action": "warn"}, {"action": "rollback", "rollbacks": 0}])
def test_else_what_is_not_finite_ends_the_run(tmp_path, options):
    with pytest.raises(NonFiniteError, match="the loss is not finite"):
        play(tmp_path, model=Breaks(SPEC), **options)


def test_the_last_evaluation_counts_for_the_best_checkpoint(tmp_path):
    _module, _, checkpoints = play(tmp_path, *[1.0] * 7, 0.1)
    assert checkpoints.best_images == 96
    assert checkpoints.latest == pytest.approx(0.1)
