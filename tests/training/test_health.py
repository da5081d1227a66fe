"""A sign of ill health is said once, in plain words."""

from functools import partial
from types import SimpleNamespace

import torch

from genlab.models.vae import VAE
from genlab.training.generative_module import GenerativeModule
from genlab.training.health import Health
from genlab.training.schedules import Constant
from genlab.types import ImageSpec


def test_a_collapsed_posterior_is_said_once(capsys):
    model = VAE(ImageSpec(1, 8, 8, 4), network="mlp", hidden=8, latent=2)
    optimizer = partial(torch.optim.SGD, lr=0.1)
    module = GenerativeModule(model, optimizer, Constant(), seed=0, max_images=1)
    health = Health()
    for value in (0.0, 1.0, 1.0):
        trainer = SimpleNamespace(callback_metrics={"val/collapsed": torch.tensor(value)})
        health.on_validation_end(trainer, module)
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "posterior collapse" in said[0]
    assert "model.free_bits" in said[0]
