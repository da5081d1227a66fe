"""The feed, against torchvision's way through PIL and a DataLoader; feed and EMA against a step."""

import dataclasses
from collections.abc import Callable, Sequence
from itertools import islice

import torch

from benches.data import SPEC, mnist
from benches.timing import Bench, Variant, clock
from benches.training import build, raw_loop
from genlab.data.mnist import Mnist
from genlab.data.module import ImageDataModule
from genlab.training.step.ema import EMA

__all__ = ["BENCHES"]

BATCH, CHUNK = 128, 16


def feed() -> Sequence[Variant]:
    from torch.utils.data import DataLoader, Dataset
    from torchvision.transforms.functional import to_pil_image, to_tensor

    x, y = mnist()
    chunks, pictures = 25, 20

    class Pictures(Dataset):
        def __len__(self) -> int:
            return pictures * BATCH

        def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
            return to_tensor(to_pil_image(x[i])), int(y[i])

    def theirs() -> None:
        for _ in DataLoader(Pictures(), BATCH, shuffle=True):
            pass

    ours = drawing(chunks)
    return [
        Variant("genlab, as floats", lambda: clock(ours, chunks * CHUNK * BATCH)),
        Variant("DataLoader + ToTensor", lambda: clock(theirs, pictures * BATCH)),
    ]


def drawing(chunks: int) -> Callable[[], None]:
    """Draws so many chunks of batches of real MNIST, resident, and makes floats of them."""
    module = ImageDataModule(Mnist(), batch_size=BATCH, val_size=0, chunk=CHUNK)
    module.prepare_data()
    module.setup()

    def draw() -> None:
        for chunk in islice(iter(module.train_loader()), chunks):
            chunk.x.float().div_(255)

    return draw


def beside() -> Sequence[Variant]:
    """What comes to a step from outside the network: the batch, and the average of the weights."""
    model, optimizer = build(SPEC, "model=vae", "data=mnist")
    ema = EMA(model, 20_000, every=4)
    updates, chunks, steps = 200, 25, 8
    draw = drawing(chunks)

    def follow() -> None:
        for i in range(updates):
            ema.follow(BATCH, 10_000 + i, 1000 + i)

    train = raw_loop(model, optimizer, mnist()[0], steps=steps)
    return [
        Variant("EMA", lambda: clock(follow, updates)),
        Variant("feed", lambda: clock(draw, chunks * CHUNK)),
        Variant("default VAE", lambda: dataclasses.replace(train(), units=steps)),
    ]


BENCHES = [
    Bench("feed", "images", feed, {("genlab, as floats", "DataLoader + ToTensor"): 50.0}),
    Bench(
        "beside a step",
        "steps",
        beside,
        {("EMA", "default VAE"): 50.0, ("feed", "default VAE"): 50.0},
    ),
]
