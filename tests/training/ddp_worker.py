"""Trains the toys on N processes and writes the weights: python ddp_worker.py N FILE."""

import sys
import warnings

import pytorch_lightning as pl
import torch
from toys import SPEC, Coins, Duel, ToyData, fit, module_of

warnings.filterwarnings("ignore")


def main(world: int, target: str) -> None:
    weights = {}
    for family, kwargs in ((Coins, {"noise": 0.0}), (Duel, {})):
        torch.manual_seed(0)
        sgd = lambda parameters: torch.optim.SGD(parameters, lr=0.1)  # noqa: E731
        module = module_of(family(SPEC, **kwargs), optimizer=sgd)
        trainer: pl.Trainer = fit(
            module,
            ToyData(chunk=3, batch_size=4),
            devices=world,
            strategy="ddp_find_unused_parameters_true" if world > 1 else "auto",
        )
        weights |= {f"{family.__name__}.{k}": v for k, v in module.model.state_dict().items()}
        weights[f"{family.__name__}.images_seen"] = torch.tensor(module.images_seen)
        if "val/nll" in trainer.callback_metrics:
            weights["val/nll"] = trainer.callback_metrics["val/nll"]
    if trainer.is_global_zero:
        torch.save(weights, target)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
