"""PixelCNN: cached sampling against a forward pass for each pixel, and training."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from benches.data import SPEC, mnist
from benches.timing import Bench, Spent, Variant, clock
from benches.training import build, raw_loop, through_cli
from genlab.nn.scaling import to_signed

__all__ = ["BENCHES"]

BINARY = replace(SPEC, levels=2)
SMALL = ("model=pixelcnn_tiny", "model.blocks=15", "model.width=32", "model.dilations=[1]")
GATED = ("model=pixelcnn_gated", "model.blocks=10", "model.width=128")
PIXELS = 28 * 28
NAIVE, FORWARD = "naive, 784 times a measured forward pass", "one forward pass"
PUBLISHED = "naive, 784 times a pass of masked Conv2d as most repositories have it"


def sampling(
    batch: int, *words: str, peer: Callable[[], nn.Module] | None = None
) -> Callable[[], Sequence[Variant]]:
    """Cached sampling of a batch, one forward pass of it, and 784 of these.

    Args:
        batch: Images.
        words: Overrides that make the model.
        peer: Makes the same network as most repositories write it, for their 784 passes.
    """

    def make() -> list[Variant]:
        model, _ = build(BINARY, *words, "data=mnist_dyn")
        model.eval()
        x = to_signed((mnist()[0][:batch] > 127).to(torch.uint8), 2)

        def forward() -> None:
            with torch.inference_mode():
                model.network(x, None)  # type: ignore[operator]

        def extrapolated() -> Spent:
            spent = clock(forward)
            return Spent(spent.cpu * PIXELS, spent.wall * PIXELS, batch)

        plain = None if peer is None else peer()

        def published() -> Spent:
            assert plain is not None
            with torch.inference_mode():
                spent = clock(lambda: plain(x))
            return Spent(spent.cpu * PIXELS, spent.wall * PIXELS, batch)

        rows = [Variant(PUBLISHED, published)] if plain is not None else []
        return [
            *rows,
            Variant("cached", lambda: clock(lambda: model.sample(batch), batch)),
            Variant(NAIVE, extrapolated),
            Variant(FORWARD, lambda: clock(forward, batch)),
        ]

    return make


class Masked(nn.Conv2d):
    """The straightforward masked convolution: a full kernel, multiplied by a mask at each call."""

    def __init__(self, inputs: int, outputs: int, side: int, first: bool):
        super().__init__(inputs, outputs, side, padding=side // 2)
        mask = torch.ones(side, side)
        mask[side // 2, side // 2 + (not first) :] = 0
        mask[side // 2 + 1 :] = 0
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        mask = self.get_buffer("mask")
        return conv2d(x, self.weight * mask, self.bias, padding=self.padding)


class Straightforward(nn.Module):
    """The small network of this bench, as most repositories write it."""

    def __init__(self, blocks: int = 15, width: int = 32):
        super().__init__()
        half = width // 2
        self.first = Masked(1, width, 7, True)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.Conv2d(width, half, 1),
                nn.ReLU(),
                Masked(half, half, 3, False),
                nn.ReLU(),
                nn.Conv2d(half, width, 1),
            )
            for _ in range(blocks)
        )
        self.out = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, 1, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.out(x)


def training() -> Sequence[Variant]:
    """The small network, binary images in memory, batches of 128."""
    steps, batch = 4, 128
    words = (*SMALL, "data=mnist_dyn")
    model, optimizer = build(BINARY, *words)
    binary = (mnist()[0] > 127).to(torch.uint8)
    plain = Straightforward()
    adam = torch.optim.Adam(plain.parameters(), lr=1e-3)
    loss_of = nn.BCEWithLogitsLoss(reduction="sum")

    def straightforward() -> None:
        order = torch.randperm(len(binary))
        for i in range(steps):
            x = binary[order[i * batch : (i + 1) * batch]].float()
            adam.zero_grad()
            (loss_of(plain(x), x) / batch).backward()
            adam.step()

    return [
        Variant(
            "genlab train",
            through_cli(*words, "trainer.chunk=2", steps=steps + 2),
        ),
        Variant("raw loop", raw_loop(model, optimizer, binary, steps=steps)),
        Variant("masked Conv2d", lambda: clock(straightforward, steps * batch)),
    ]


BENCHES = [
    Bench(
        "pixelcnn sampling: 15 x 32, batch 16",
        "images",
        sampling(16, *SMALL, peer=Straightforward),
        {("cached", PUBLISHED): 150.0, ("cached", NAIVE): 150.0},
    ),
    Bench(
        "pixelcnn sampling: 15 x 32, batch 64",
        "images",
        sampling(64, *SMALL, peer=Straightforward),
        {
            ("cached", PUBLISHED): 250.0,
            ("cached", NAIVE): 250.0,
            ("cached", FORWARD): 1 / 3,
        },
    ),
    Bench(
        "pixelcnn sampling: gated 10 x 128, batch 64",
        "images",
        sampling(64, *GATED),
        {("cached", NAIVE): 600.0, ("cached", FORWARD): 1 / 1.2},
    ),
    Bench(
        "pixelcnn training: 15 x 32",
        "images",
        training,
        {("genlab train", "masked Conv2d"): 1.25},
    ),
]
