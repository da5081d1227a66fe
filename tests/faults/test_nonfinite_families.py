"""NaN and infinity in the loss, a gradient, a weight, an input, and a learning rate of a million:
each family stops within a step, with nothing of it saved; or leaves steps out, or rolls back."""

import json
import math

import pytest
import torch
from families import build, examples, spec_of
from training.toys import fit, module_of

from genlab.errors import NonFiniteError
from genlab.models.vae import VAE as Model
from genlab.training.checkpoints import Checkpoints
from genlab.training.guard import Guard
from genlab.training.saving.checkpoint_io import AtomicCheckpointIO, newest, read_checkpoint
from genlab.training.step.nonfinite import all_finite
from genlab.types import Batch

from .tiny import words

FAMILIES = {
    "vae_mlp": {"hidden": 8, "latent": 2},
    "gan_mlp": {"hidden": 8, "latent": 2},
    "flow_mlp": {"top_width": 8, "top_steps": 1},
    "pixelcnn_tiny": {"width": 4, "blocks": 1},
}
BAD = 24
"""Images seen before the step that is spoilt: three steps of eight."""


class Data:
    """An endless stream of the family's kind of images, and a validation each two steps."""

    def __new__(cls, spec):
        from training.toys import Split, ToyData

        data = ToyData(chunk=1, batch_size=8)
        batch = examples(spec, 32)
        data.train, data.val = Split(batch.x, batch.y), Split(batch.x[:8], batch.y[:8])
        return data


def spoil(kind, model, value):
    """Makes something not finite at the fourth step."""
    original = model.loss
    parameters = list(model.parameters())

    def now():
        return model.images_seen == BAD

    if kind == "loss":

        def loss(batch, player="model"):
            found = original(batch, player)
            return found._replace(total=found.total * value) if now() else found

        model.loss = loss
    elif kind == "gradient":
        for parameter in parameters[-1:]:
            parameter.register_hook(lambda g: g * value if now() else g)
    elif kind == "weights":

        def loss(batch, player="model"):
            if now():
                with torch.no_grad():
                    parameters[0].view(-1)[0] = value
            return original(batch, player)

        model.loss = loss
    elif kind == "input":
        layer = next(m for m in model.modules() if list(m.parameters(recurse=False)))
        layer.register_forward_pre_hook(
            lambda module, given: tuple(
                x * value if now() and torch.is_tensor(x) else x for x in given
            )
        )


def play(tmp_path, family, kind="", value=math.nan, lr=1e-3, **guard):
    spec = spec_of(family)
    model = build(family, spec, **FAMILIES[family])
    spoil(kind, model, value)
    checkpoints = Checkpoints()
    watch = Guard(**guard)
    module = module_of(
        model, max_images=96, optimizer=lambda parameters: torch.optim.Adam(parameters, lr=lr)
    )
    try:
        fit(
            module,
            Data(spec),
            callbacks=[watch, checkpoints],
            folder=tmp_path / "checkpoints",
            plugins=[AtomicCheckpointIO()],
        )
        return module, watch, checkpoints, None
    except NonFiniteError as error:
        return module, watch, checkpoints, str(error)


def all_saved_is_finite(directory):
    for path in directory.glob("*.ckpt"):
        checkpoint = read_checkpoint(path)
        assert all_finite(checkpoint["state_dict"])
        assert all_finite([o["state"] for o in checkpoint["optimizer_states"]])
        assert (
            math.isfinite(checkpoint["callbacks"]["Checkpoints"]["best"])
            or not (checkpoint["callbacks"]["Checkpoints"]["best_images"])
        )


KINDS = ("loss", "gradient", "weights", "input")
QUICK = set(zip(FAMILIES, KINDS, strict=True)) | {("gan_mlp", "loss")}
CASES = [
    pytest.param(f, k, v, marks=() if (f, k) in QUICK and v != v else pytest.mark.slow)
    for v in (math.nan, math.inf)
    for f in FAMILIES
    for k in KINDS
]


@pytest.mark.parametrize(("family", "kind", "value"), CASES)
def test_a_run_stops_within_a_step_and_saves_none_of_it(tmp_path, family, kind, value):
    module, _, checkpoints, error = play(tmp_path, family, kind, value)
    assert error is not None
    assert "not finite" in error
    assert "Usual cures: a smaller optimizer.lr" in error
    assert module.images_seen in (BAD, BAD + 8)
    assert len(list(checkpoints.directory.glob("*.ckpt"))) == 2
    assert newest(checkpoints.directory)[1]["genlab"]["images_seen"] == 16
    all_saved_is_finite(checkpoints.directory)
    if kind == "gradient":
        assert "step 4, after 24 images" in error
        assert module.images_seen == BAD
        assert all_finite(dict(module.model.named_parameters()))


@pytest.mark.parametrize(
    "family", ["flow_mlp", *(pytest.param(f, marks=pytest.mark.slow) for f in FAMILIES)]
)
def test_a_learning_rate_of_a_million_leaves_nothing_that_is_not_finite(tmp_path, family):
    module, _, checkpoints, error = play(tmp_path, family, lr=1e6)
    all_saved_is_finite(checkpoints.directory)
    if error is None:  # what saturates stays finite, however large
        assert all_finite(dict(module.model.named_parameters()))
        assert math.isfinite(checkpoints.best)
    else:
        assert "not finite" in error


LEFT_OUT = [
    pytest.param(f, k, marks=() if (f, k) in QUICK else pytest.mark.slow)
    for f in FAMILIES
    for k in ("loss", "gradient", "input")
]


@pytest.mark.parametrize(("family", "kind"), LEFT_OUT)
def test_steps_can_be_left_out(tmp_path, capsys, family, kind):
    module, guard, checkpoints, error = play(tmp_path, family, kind, skip=1)
    assert error is None
    assert module.images_seen == 96
    assert guard.skipped == 1
    assert "the step was left out (1 of 1 in a row)" in capsys.readouterr().err
    assert all_finite(dict(module.model.named_parameters()))
    all_saved_is_finite(checkpoints.directory)


def test_only_so_many_in_a_row_are_left_out(tmp_path):
    spec = spec_of("vae_mlp")
    model = build("vae_mlp", spec, **FAMILIES["vae_mlp"])
    original = model.loss

    def loss(batch: Batch, player="model"):
        found = original(batch, player)
        bad = model.images_seen in (8, 24, 32, 48, 56, 64)
        return found._replace(total=found.total * math.nan) if bad else found

    model.loss = loss
    guard = Guard(skip=2)
    module = module_of(model, max_images=96)
    with pytest.raises(NonFiniteError, match="after 64 images"):
        fit(module, Data(spec), callbacks=[guard])
    assert guard.skipped == 5


def test_a_step_that_is_left_out_moves_nothing(tmp_path):
    """Its batch might as well not have been there: weights and moments are those of before."""
    seen = {}
    spec = spec_of("vae_mlp")
    model = build("vae_mlp", spec, **FAMILIES["vae_mlp"])
    original = model.loss

    def loss(batch, player="model"):
        seen[model.images_seen] = {n: p.detach().clone() for n, p in model.named_parameters()}
        found = original(batch, player)
        return found._replace(total=found.total / 0) if model.images_seen == BAD else found

    model.loss = loss
    fit(module_of(model, max_images=96), Data(spec), callbacks=[Guard(skip=1)])
    torch.testing.assert_close(seen[BAD + 8], seen[BAD], rtol=0, atol=0)
    assert any(not torch.equal(seen[BAD + 16][n], p) for n, p in seen[BAD].items())


@pytest.mark.parametrize(
    "family", ["gan_mlp", *(pytest.param(f, marks=pytest.mark.slow) for f in FAMILIES)]
)
def test_or_the_run_rolls_back(tmp_path, family):
    module, guard, checkpoints, error = play(
        tmp_path, family, "gradient", action="rollback", rollbacks=2
    )
    assert error is None
    assert guard.rolled_back == 1
    assert module.images_seen == 96
    all_saved_is_finite(checkpoints.directory)


def test_weights_that_overflow_in_the_last_step_are_not_saved(tmp_path):
    """No loss and no gradient tells of them: the save looks at what it saves."""
    spec = spec_of("vae_mlp")
    model = build("vae_mlp", spec, **FAMILIES["vae_mlp"])
    checkpoints = Checkpoints()

    def after_step(player):
        if model.images_seen == 40:
            with torch.no_grad():
                next(model.parameters()).view(-1)[0] = math.inf

    model.after_step = after_step
    with pytest.raises(NonFiniteError, match=r"after 48 images, weights are not finite \(enc"):
        fit(
            module_of(model, max_images=96),
            Data(spec),
            callbacks=[checkpoints],
            folder=tmp_path / "checkpoints",
            plugins=[AtomicCheckpointIO()],
        )
    assert newest(checkpoints.directory)[1]["genlab"]["images_seen"] == 32
    all_saved_is_finite(checkpoints.directory)


def test_the_command_ends_with_a_code_of_its_own(genlab, tmp_path, monkeypatch):
    original = Model.loss

    def loss(self, batch, player="model"):
        found = original(self, batch, player)
        return found._replace(total=found.total * math.nan) if self.images_seen == 96 else found

    monkeypatch.setattr(Model, "loss", loss)
    code, _, err = genlab("train", *words("vae_mlp", "name=bad"))
    assert code == 3
    assert len(err.strip().splitlines()) == 1
    assert "in step 13, after 96 images" in err
    run = tmp_path / "runs" / "bad"
    assert json.loads((run / "run.json").read_text())["status"] == "diverged"
    all_saved_is_finite(run / "checkpoints")
    code, _, err = genlab("train", *words("vae_mlp", "name=skips", "guard.skip=1"))
    assert code == 0, err
    summary = json.loads((tmp_path / "runs" / "skips" / "summary.json").read_text())
    assert summary["skipped"] == 1
