"""On another device: all tensors lie there, and a training step reads none of their values.

The device is torch's ``meta``. It works out shapes alone; it refuses tensors of another device as a
GPU does; and as it has no values, reading one raises. For that a GPU would have to be waited for.
"""

import contextlib
import dataclasses

import pytest
import torch
from contract import LATE
from families import build, conditions, examples, heavy_are_slow, spec_of, variants
from torch import nn

from genlab.errors import ConfigError
from genlab.models.base import GenerativeModel
from genlab.models.energy import EXACT, EnergyModel
from genlab.models.flow import Flow
from genlab.models.vae import VAE
from genlab.types import Batch, ImageSpec, Loss

CASES = [
    *((name, spec_of(name, kind), options) for name, kind, options in variants()),
    *(("gan", spec_of("gan"), {"augment": augment}) for augment in ("diffaugment", "ada")),
    ("gan_mlp", spec_of("gan_mlp"), {"packing": 2}),
    ("pixelcnn", ImageSpec(1, 12, 12, levels=256), {"head": "spiked", "marks": True}),
    ("vae", spec_of("vae"), {"warmup": 1000, "prior": "normal", "free_bits": 0.1}),
]
CASES = heavy_are_slow(
    CASES, id_of=lambda c: " ".join([c[0], *(f"{k}={v}" for k, v in c[2].items())])
)


def away(batch):
    return Batch(*(None if part is None else part.to("meta") for part in (batch.x, batch.y)))


def moved(model, batch):
    """The model on the other device, after a first batch here, by which layers initialize."""
    for player in model.players:
        model.loss(batch, player)
    return model.to("meta")


def check_steps(model, batch):
    """Steps of all players, of those to which something is added now and then, too."""
    for model.step, model.images_seen in ((0, 0), (1, 10**5), (16, LATE)):
        for player in model.players:
            model.loss(batch, player).total.backward()
            model.after_step(player)
        model.zero_grad()


@pytest.mark.parametrize(("name", "spec", "options"), CASES)
def test_a_training_step_reads_no_value(name, spec, options, monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # no meta
    batch = examples(spec)
    check_steps(moved(build(name, spec, **options), batch), away(batch))


def fewest_pixels(name, spec, options):
    """The spec with as few pixels as the family takes: what is drawn pixel by pixel takes long."""
    if isinstance(spec, ImageSpec):
        for side in (4, 6):
            small = dataclasses.replace(spec, height=side, width=side)
            with contextlib.suppress(ConfigError):
                build(name, small, **options)
                return small
    return spec


@pytest.mark.parametrize(("name", "spec", "options"), CASES)
def test_samples_and_likelihoods_stay_on_the_device(name, spec, options, monkeypatch):
    # What the caller gave is looked at once a call; that is not what is asked for here.
    monkeypatch.setattr(GenerativeModel, "_check_condition", lambda self, y, n: y)
    monkeypatch.setattr(Flow, "_check_levels", lambda self, x: None)
    # Nor is log Z, which is a number of the weights, estimated when they change.
    monkeypatch.setattr(EnergyModel, "partitions", lambda self: [EXACT] * max(1, self.num_classes))
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # no meta
    spec = fewest_pixels(name, spec, options)
    batch = examples(spec)
    model = moved(build(name, spec, **options), batch)
    given = away(batch) if model.conditional else Batch(away(batch).x)
    y = conditions(model, 3)
    x = model.sample(3, None if y is None else y.to("meta"))
    assert (x.device.type, x.dtype) == ("meta", spec.dtype)
    if model.can("log_prob"):
        assert model.log_prob(given).device.type == "meta"


SPEC = ImageSpec(1, 8, 8, levels=2, num_classes=3)


class Watchful(VAE):
    def loss(self, batch, player="model"):
        loss = super().loss(batch, player)
        assert loss.total.item() > 0
        return loss


class Homesick(GenerativeModel):
    def __init__(self, spec):
        super().__init__(spec)
        self.weight, self.constant = nn.Parameter(torch.ones(3)), torch.ones(3)

    def loss(self, batch, player="model"):
        total = (self.weight * self.constant).sum()
        return Loss(total, {"loss": total.detach()})

    def draw(self, n, y, generator, options):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("family", "message"), [(Watchful, "cannot be called on meta"), (Homesick, "expected device")]
)
def test_a_model_that_reads_a_value_or_leaves_a_tensor_behind_is_caught(family, message):
    batch = examples(SPEC)
    model = moved(family(SPEC), batch)
    with pytest.raises(RuntimeError, match=message):
        check_steps(model, away(batch))
