"""A metric that nobody will measure is refused before anything is written, and no other is."""

import pytest
import pytorch_lightning as pl
import torch
from faults.tiny import FAMILIES, words

from genlab.errors import ConfigError
from genlab.experiment import parts as parts_module
from genlab.experiment.monitored import check_monitor
from genlab.training.checkpoints import Checkpoints


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_said_to_be_measured_is_what_is_measured(genlab, monkeypatch, family):
    """But for the floors, which are accepted and not listed."""
    told, measured = [], {}

    def check(checkpoints, module, evaluator, callbacks):
        before = module.model.state_dict(), torch.get_rng_state()
        with pytest.raises(ConfigError) as caught:
            check_monitor(Checkpoints("nothing"), module, evaluator, callbacks)
        torch.testing.assert_close(module.model.state_dict(), before[0], rtol=0, atol=0)
        torch.testing.assert_close(torch.get_rng_state(), before[1])
        told.extend(str(caught.value).split("there will be ")[1].split(", "))

    original = Checkpoints.choose

    def choose(self, metrics):
        measured.update(metrics)
        return original(self, metrics)

    monkeypatch.setattr(parts_module, "check_monitor", check)
    monkeypatch.setattr(Checkpoints, "choose", choose)
    metrics = "metrics.metrics=[frechet,kernel,score,likelihood]"
    few = ("metrics.likelihood_images=16", "metrics.likelihood_samples=2")
    code, _, err = genlab("train", *words(family, "trainer.epochs=1", metrics, *few))
    assert code == 0, err
    assert sorted(told) == sorted(m for m in measured if "floor_" not in m)
    assert any(name.startswith("quick/") for name in told)


@pytest.mark.parametrize(
    ("monitor", "expected"),
    [
        ("val/los", "did you mean 'val/loss'?"),
        ("quick/fd_pixel_100", "did you mean 'quick/fd_pixels_100'?"),
        ("nonsense", "; there will be quick/fd_pixels_100, val/active_units, val/bpd"),
    ],
)
def test_it_is_refused_before_anything_is_written(genlab, tmp_path, monitor, expected):
    code, _, err = genlab("train", *words("vae_mlp", f"callbacks.checkpoints.monitor={monitor}"))
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert f"callbacks.checkpoints.monitor={monitor}: will not be measured" in err
    assert expected in err
    assert list(tmp_path.iterdir()) == []


class Logs(pl.Callback):
    """Somebody's own."""


def test_what_is_known_or_cannot_be_known_is_left_to_the_run(genlab, monkeypatch):
    asked = []

    def check(checkpoints, module, evaluator, callbacks):
        for monitor in ("auto", "val/rate", "val/nll", "quick/floor_fd_pixels_100"):
            check_monitor(Checkpoints(monitor), module, evaluator, callbacks)
        check_monitor(Checkpoints("mine"), module, evaluator, [*callbacks, Logs()])
        asked.append(True)
        raise ConfigError("far enough")

    monkeypatch.setattr(parts_module, "check_monitor", check)
    code, _, err = genlab("train", *words("vae_mlp"))
    assert asked, err
    assert code == 2


def test_what_the_check_lets_through_trains(genlab, tmp_path):
    """Values that the schema allows and that the trainer once did not take."""
    words_ = words("vae_mlp", "trainer.epochs=1", "ema.rampup=null", "trainer.log_every=1 epoch")
    code, _, err = genlab("train", *words_, "name=a")
    assert code == 0, err
    rows = (tmp_path / "runs/a/metrics.jsonl").read_text()
    assert "train/loss" in rows
