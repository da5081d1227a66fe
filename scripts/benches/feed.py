"""The feed: the resident stream against torchvision's way through PIL and a DataLoader."""

from collections.abc import Sequence
from itertools import islice

import torch

from benches.data import mnist
from benches.timing import Bench, Variant, clock
from genlab.data.mnist import Mnist
from genlab.data.module import ImageDataModule
from genlab.training.ema import EMA

__all__ = ["BENCHES"]

BATCH = 128


def feed() -> Sequence[Variant]:
    from torch.utils.data import DataLoader, Dataset
    from torchvision.transforms.functional import to_pil_image, to_tensor

    module = ImageDataModule(Mnist(), batch_size=BATCH, val_size=0)
    module.prepare_data()
    module.setup()
    x, y = mnist()
    chunks, pictures = 25, 20

    class Pictures(Dataset):
        def __len__(self) -> int:
            return pictures * BATCH

        def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
            return to_tensor(to_pil_image(x[i])), int(y[i])

    def ours() -> None:
        for chunk in islice(iter(module.train_stream(chunk=16, seed=0)), chunks):
            chunk.x.float().div_(255)

    def theirs() -> None:
        for _ in DataLoader(Pictures(), BATCH, shuffle=True):
            pass

    return [
        Variant("genlab, as floats", lambda: clock(ours, chunks * 16 * BATCH)),
        Variant("DataLoader + ToTensor", lambda: clock(theirs, pictures * BATCH)),
    ]


def average() -> Sequence[Variant]:
    from benches.data import SPEC
    from benches.training import build, raw_loop

    model, optimizer = build(SPEC, "model=vae", "data=mnist")
    ema = EMA(model, 20_000)
    steps = 200

    def follow() -> None:
        for i in range(steps):
            ema.update(BATCH, 10_000 + i)

    return [
        Variant("EMA update", lambda: clock(follow, steps)),
        Variant(
            "training step of the default VAE",
            lambda: (
                (spent := raw_loop(model, optimizer, mnist()[0], steps=8)())
                and type(spent)(spent.cpu, spent.wall, 8)
            ),
        ),
    ]


BENCHES = [
    Bench("feed", "images", feed, {("genlab, as floats", "DataLoader + ToTensor"): 50.0}),
    Bench("ema", "calls", average, {("EMA update", "training step of the default VAE"): 50.0}),
]
