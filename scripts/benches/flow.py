"""The flow: genlab against nflows' RealNVP of the same shape, training and sampling."""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from benches.data import SPEC, mnist
from benches.timing import Bench, Missing, Spent, Variant, clock
from benches.training import build, raw_loop, through_cli

__all__ = ["BENCHES"]

BATCH = 128
SAME = (
    "model=flow_nice",
    "model.coupling=affine",
    "model.top_steps=5",
    "model.top_width=256",
    "model.top_depth=2",
)
"""The shape of nflows' SimpleRealNVP(784, 256, 5 layers, 2 blocks): 2.83 million parameters."""


def realnvp() -> Any:
    """nflows' RealNVP of 5 couplings, with 2 residual blocks of 256 units each."""
    from nflows.flows import SimpleRealNVP

    torch.manual_seed(0)
    return SimpleRealNVP(784, 256, num_layers=5, num_blocks_per_layer=2)


def nflows(steps: int, loader: bool) -> Callable[[], Spent]:
    """A training loop as nflows' examples have it, with a DataLoader or data in memory."""
    from torch.utils.data import DataLoader, Dataset
    from torchvision.transforms.functional import to_pil_image, to_tensor

    x, _ = mnist()
    model = realnvp()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    class Pictures(Dataset):
        """From PIL to tensor, dequantized, image by image."""

        def __len__(self) -> int:
            return steps * BATCH

        def __getitem__(self, i: int) -> Tensor:
            levels = to_tensor(to_pil_image(x[i])) * 255
            return (levels + torch.rand_like(levels)) / 256

    def in_memory() -> Any:
        order = torch.randperm(len(x))
        for i in range(steps):
            levels = x[order[i * BATCH : (i + 1) * BATCH]].float()
            yield (levels + torch.rand_like(levels)) / 256

    def epoch() -> None:
        for images in DataLoader(Pictures(), BATCH, shuffle=True) if loader else in_memory():
            optimizer.zero_grad()
            loss = -model.log_prob(images.flatten(1)).mean()
            loss.backward()
            optimizer.step()

    return lambda: clock(epoch, steps * BATCH)


def training() -> list[Variant | Missing]:
    steps, words = 48, (*SAME, "data=mnist")
    model, optimizer = build(SPEC, *words)
    found: list[Variant | Missing] = [
        Variant("genlab train", through_cli(*words, steps=steps)),
        Variant("raw loop", raw_loop(model, optimizer, mnist()[0], steps=steps)),
    ]
    if importlib.util.find_spec("nflows") is None:
        return [*found, Missing("nflows", "make bench-peers installs it")]
    return [
        *found,
        Variant("nflows, DataLoader", nflows(steps, loader=True)),
        Variant("nflows, in memory", nflows(steps, loader=False)),
    ]


def sampling() -> list[Variant | Missing]:
    model, _ = build(SPEC, *SAME, "data=mnist")
    model.eval()
    found: list[Variant | Missing] = [
        Variant("genlab", lambda: clock(lambda: model.sample(512), 512))
    ]
    if importlib.util.find_spec("nflows") is None:
        return [*found, Missing("nflows", "make bench-peers installs it")]
    peer = realnvp().eval()

    def draw() -> None:
        with torch.no_grad():
            peer.sample(512)

    return [*found, Variant("nflows", lambda: clock(draw, 512))]


def default() -> Sequence[Variant]:
    """`genlab train` of the default flow against a raw loop over the same module."""
    words, steps = ("model=flow", "data=mnist"), 16
    model, optimizer = build(SPEC, *words)
    return [
        Variant(
            "genlab train",
            through_cli(*words, "trainer.chunk=4", steps=steps),
        ),
        Variant("raw loop", raw_loop(model, optimizer, mnist()[0], steps=steps)),
    ]


BENCHES = [
    Bench("flow: default", "images", default, {("genlab train", "raw loop"): 1 / 1.25}),
    Bench(
        "flow: nflows' RealNVP",
        "images",
        training,
        {("genlab train", "nflows, DataLoader"): 1.8, ("genlab train", "nflows, in memory"): 1.3},
    ),
    Bench("flow sampling: nflows' RealNVP", "images", sampling, {("genlab", "nflows"): 1.5}),
]
