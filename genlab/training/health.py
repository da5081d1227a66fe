"""Plain words when a validation shows that a model has stopped using what it was given."""

import pytorch_lightning as pl

from genlab.system.terminal import notice
from genlab.training.cures import cures
from genlab.training.generative_module import GenerativeModule

__all__ = ["Health"]

SIGNS = {
    "val/collapsed": (
        "posterior collapse: the code carries less than 0.1 nats, so the decoder ignores it",
        ("warmup=100000", "free_bits=0.1 prior=normal objective=elbo"),
        ("beta",),
    ),
    "val/saturated": (
        "saturated discriminator: it tells all images apart, so the generator learns little",
        ("r1=1", "spectral=true", "augment=ada"),
        (),
    ),
}
"""Meaning of a validation metric of 1, arguments that usually cure it, and those that do when they
are smaller."""


class Health(pl.Callback):
    """Warns once for each sign of ill health that the family's diagnostics report."""

    def __init__(self) -> None:
        self.said: set[str] = set()

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, GenerativeModule)
        for metric, (meaning, keys, smaller) in SIGNS.items():
            if float(trainer.callback_metrics.get(metric, 0.0)) >= 1 and metric not in self.said:
                self.said.add(metric)
                notice(f"genlab: warning: {meaning}; {cures(module, keys, smaller)}")
