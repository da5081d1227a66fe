"""The VAE: genlab against its own raw loop, pythae's trainer and the tutorial's loop."""

import contextlib
import dataclasses
import importlib.util
import io
import logging
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benches.data import SPEC, mnist
from benches.timing import Bench, Missing, Spent, Variant, clock
from benches.training import build, raw_loop, through_cli

__all__ = ["BENCHES"]

BATCH = 128
MLP = ("model=vae_mlp", "model.depth=1", "model.latent=16", "model.activation=relu")
"""pythae's default shape, 784-512-16-512-784; its pixels are binary here, as its loss has them."""


def default(steps: int, *words: str) -> Callable[[], Sequence[Variant]]:
    """`genlab train` against a raw loop over the same module."""

    def make() -> list[Variant]:
        overrides = ("model=vae", "data=mnist", *words)
        model, optimizer = build(SPEC, *overrides)
        return [
            Variant("genlab train", through_cli(*overrides, steps=steps)),
            Variant("raw loop", raw_loop(model, optimizer, mnist()[0], steps=steps)),
        ]

    return make


class TutorialVAE(nn.Module):
    """The network of pythae's default VAE, as a tutorial writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU())
        self.posterior = nn.Linear(512, 32)
        self.decoder = nn.Sequential(nn.Linear(16, 512), nn.ReLU(), nn.Linear(512, 784))

    def loss(self, x: Tensor) -> Tensor:
        mean, log_var = self.posterior(self.encoder(x)).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        pixels = binary_cross_entropy_with_logits(self.decoder(z), x.flatten(1), reduction="sum")
        return (pixels - 0.5 * (1 + log_var - mean**2 - log_var.exp()).sum()) / len(x)


def tutorial(steps: int) -> Callable[[], Spent]:
    """torchvision's data set with ToTensor, a DataLoader, Adam, ``loss.item()`` at each step."""
    from torch.utils.data import DataLoader, Dataset
    from torchvision.transforms.functional import to_pil_image, to_tensor

    x, y = mnist()

    class Pictures(Dataset):
        """As torchvision's MNIST: from tensor to PIL to tensor, image by image."""

        def __len__(self) -> int:
            return steps * BATCH

        def __getitem__(self, i: int) -> tuple[Tensor, int]:
            return to_tensor(to_pil_image(x[i])), int(y[i])

    model = TutorialVAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def epoch() -> None:
        for images, _ in DataLoader(Pictures(), BATCH, shuffle=True):
            optimizer.zero_grad()
            loss = model.loss(images)
            loss.backward()
            loss.item()
            optimizer.step()

    return lambda: clock(epoch, steps * BATCH)


def pythae(steps: int, workers: int) -> Callable[[], Spent]:
    """pythae's own trainer on its own data set class, an epoch of so many steps.

    Its README has two workers of the DataLoader; without any is what its default is.
    """
    logging.disable(logging.WARNING)
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    x, y = mnist()
    images = x[: steps * BATCH].float() / 255
    model = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=16, reconstruction_loss="bce"))
    folder = tempfile.mkdtemp()
    trainer = BaseTrainer(
        model,
        train_dataset=BaseDataset(images, y[: steps * BATCH]),
        training_config=BaseTrainerConfig(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            num_epochs=1,
            learning_rate=1e-3,
            no_cuda=True,
            train_dataloader_num_workers=workers,
        ),
    )
    trainer.prepare_training()

    def epoch() -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            trainer.train_step(1)

    return lambda: clock(epoch, steps * BATCH)


def peers(steps: int) -> list[Variant | Missing]:
    words = (*MLP, "data=mnist_dyn")
    found: list[Variant | Missing] = [
        # mnist_dyn has the same pixels' number and the loss of pythae, binary cross-entropy.
        Variant("genlab train", through_cli(*words, steps=steps)),
        Variant("tutorial loop", tutorial(steps)),
    ]
    if importlib.util.find_spec("pythae") is None:
        return [*found, Missing("pythae", "make bench-peers installs it")]
    return [
        *found,
        Variant("pythae", pythae(steps, workers=2)),
        Variant("pythae without workers", pythae(steps, workers=0)),
    ]


def sampling() -> list[Variant | Missing]:
    """512 mean images as bytes; pythae's floats become bytes as its `save_img` has it."""
    n = 512
    model, _ = build(dataclasses.replace(SPEC, levels=2), *MLP, "data=mnist_dyn")
    model.eval()
    found: list[Variant | Missing] = [
        Variant("genlab", lambda: clock(lambda: model.sample(n), n)),
    ]
    if importlib.util.find_spec("pythae") is None:
        return [*found, Missing("pythae", "make bench-peers installs it")]
    from pythae.models import VAE, VAEConfig
    from pythae.samplers import NormalSampler

    sampler = NormalSampler(VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=16)))

    def draw() -> None:
        sampler.sample(n).mul(255).to(torch.uint8)

    return [*found, Variant("pythae", lambda: clock(draw, n))]


def _goals(**goals: float) -> dict[Any, float]:
    return {("genlab train", slow.replace("_", " ")): goal for slow, goal in goals.items()}


BENCHES = [
    Bench("vae: default", "images", default(48), _goals(raw_loop=1 / 1.10)),
    Bench(
        "vae: four times smaller",
        "images",
        default(160, "model.width=8", "model.hidden=128"),
        _goals(raw_loop=1 / 1.25),
    ),
    Bench(
        "vae: pythae's MLP",
        "images",
        lambda: peers(400),
        _goals(pythae=1.6, pythae_without_workers=1.0, tutorial_loop=2.5),
    ),
    Bench("vae sampling: pythae's MLP", "images", sampling, {("genlab", "pythae"): 1 / 1.25}),
]
