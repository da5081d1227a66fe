"""Plain words when a validation shows that a model has stopped using what it was given."""

import pytorch_lightning as pl

from genlab.system.terminal import notice

__all__ = ["Health"]

SIGNS = {
    "val/collapsed": (
        "posterior collapse: the code carries less than 0.1 nats, so the decoder ignores it; "
        "usual cures: model.warmup=100000, model.free_bits=0.1, a smaller model.beta"
    ),
    "val/saturated": (
        "saturated discriminator: it tells all images apart, so the generator learns little; usual "
        "cures: model.r1=1, model.spectral=true, model.augment=ada, a smaller discriminator step"
    ),
}
"""Causes and usual cures, by the validation metric whose value is 1."""


class Health(pl.Callback):
    """Warns once for each sign of ill health that the family's diagnostics report."""

    def __init__(self) -> None:
        self.said: set[str] = set()

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        for metric, meaning in SIGNS.items():
            if float(trainer.callback_metrics.get(metric, 0.0)) >= 1 and metric not in self.said:
                self.said.add(metric)
                notice(f"genlab: warning: {meaning}")
