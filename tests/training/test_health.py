"""A sign of ill health is said once, in plain words."""

from types import SimpleNamespace

import torch

from genlab.training.health import Health


def test_a_collapsed_posterior_is_said_once(capsys):
    health = Health()
    for value in (0.0, 1.0, 1.0):
        trainer = SimpleNamespace(callback_metrics={"val/collapsed": torch.tensor(value)})
        health.on_validation_end(trainer, None)
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "posterior collapse" in said[0]
    assert "model.free_bits" in said[0]
