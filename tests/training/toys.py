"""The smallest families and data on which the training module can be checked by hand."""

from collections import namedtuple

import pytorch_lightning as pl
import torch
from torch import nn

from genlab.models.base import GenerativeModel
from genlab.rng import stream
from genlab.training.generative_module import GenerativeModule
from genlab.training.run_context import RunContext, RunTrainer
from genlab.training.schedules import Constant
from genlab.types import Batch, ImageSpec, Loss

Split = namedtuple("Split", "x y")
SPEC = ImageSpec(1, 2, 3, levels=2)


class Coins(GenerativeModel):
    """A coin for each pixel: exact likelihood, and noise in the loss to see the random stream."""

    likelihood = "exact"

    def __init__(self, spec, noise=0.1):
        super().__init__(spec)
        self.logits = nn.Parameter(torch.randn(spec.shape))
        self.noise = noise
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def loss(self, batch, player="model"):
        x = batch.x.float() + self.noise * torch.randn(batch.x.shape)
        nats = nn.functional.binary_cross_entropy_with_logits(
            self.logits.expand(len(x), *self.spec.shape), x.clamp(0, 1), reduction="none"
        )
        total = nats.flatten(1).sum(1).mean()
        return Loss(total, {"nats": total.detach()})

    def after_step(self, player):
        self.steps += 1

    def draw(self, n, y, generator, options):
        p = torch.sigmoid(self.logits).expand(n, *self.spec.shape)
        return torch.bernoulli(p, generator=generator).to(torch.uint8)

    def log_prob(self, batch, *, samples=1, generator=None):
        x = batch.x.float()
        return -(
            nn.functional.binary_cross_entropy_with_logits(
                self.logits.expand(len(x), *self.spec.shape), x, reduction="none"
            )
            .flatten(1)
            .sum(1)
        )


class Duel(GenerativeModel):
    """Two players with one weight each; each one's loss depends on both."""

    players = ("discriminator", "generator")

    def __init__(self, spec):
        super().__init__(spec)
        self.discriminator = nn.Linear(1, 1, bias=False)
        self.generator = nn.Linear(1, 1, bias=False)
        self.turns = []

    def loss(self, batch, player="model"):
        x = batch.x.float().flatten(1).mean(1, keepdim=True)
        d, g = self.discriminator(x + 1), self.generator(x + 1)
        total = (d * g - 1).square().mean() if player == "generator" else (d - g).square().mean()
        return Loss(total, {})

    def after_step(self, player):
        self.turns.append(player)

    def draw(self, n, y, generator, options):
        return torch.zeros(n, *self.spec.shape, dtype=torch.uint8)


class ToyData(pl.LightningDataModule):
    """Random bits as an endless stream of chunks that starts where the module stands."""

    def __init__(self, chunk=3, batch_size=4, n=32, world=1):
        super().__init__()
        x = torch.randint(0, 2, (n, *SPEC.shape), generator=stream(0, "toy")).to(torch.uint8)
        self.train, self.val = Split(x, None), Split(x[:8], None)
        self.chunk, self.batch_size, self.n_train = chunk, batch_size, n

    def batch(self, position):
        index = torch.randint(
            0, self.n_train, (self.batch_size,), generator=stream(0, "o", position)
        )
        return self.train.x[index]

    def train_dataloader(self):
        position, trainer = self.trainer.lightning_module.images_seen, self.trainer
        share = self.batch_size // trainer.world_size
        mine = slice(trainer.global_rank * share, (trainer.global_rank + 1) * share)
        size, chunk, batch = self.batch_size, self.chunk, self.batch

        class Chunks:
            def __iter__(self):
                at = position
                while True:
                    yield Batch(torch.stack([batch(at + k * size)[mine] for k in range(chunk)]))
                    at += chunk * size

        return Chunks()

    def val_dataloader(self):
        batches = [Batch(self.val.x[:4]), Batch(self.val.x[4:])]

        class Halves:  # a list would be taken for a collection of loaders
            def __iter__(self):
                return iter(batches)

        return Halves()


def module_of(model=None, *, optimizer=None, schedule=None, **options):
    """A module around a toy with plain defaults."""
    torch.manual_seed(0)
    model = Coins(SPEC) if model is None else model
    options = {"seed": 0, "max_images": 96, "log_every": 1} | options
    make = optimizer or (lambda parameters: torch.optim.Adam(parameters, lr=0.1))
    return GenerativeModule(model, make, schedule or Constant(), **options)


def fit(module, data=None, *, callbacks=(), ckpt_path=None, folder=None, **options):
    """Trains a module, with its checkpoints in a folder; returns the trainer."""
    options = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": -1,
        "val_check_interval": 2,
        "check_val_every_n_epoch": None,
        "num_sanity_val_steps": 0,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
    } | options
    trainer = RunTrainer(RunContext(folder), callbacks=list(callbacks), **options)
    trainer.fit(module, datamodule=data or ToyData(), ckpt_path=ckpt_path)
    return trainer
