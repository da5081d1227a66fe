"""Measures the sampling engines against each other: the table of docs/sampling.md.

    python scripts/engines.py                  # all networks and batches; minutes
    python scripts/engines.py --only tiny --batches 64 --repeats 21

Engines take turns (A B A B ...) after a warm-up each; medians of CPU time on one thread.
"""

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from benches.timing import Spent, Variant, clock, interleave
from benches.training import build
from genlab.models.autoregressive import Autoregressive
from genlab.nn.causal.sampling.cached import Cached
from genlab.nn.causal.sampling.engines import is_wavefront_faster
from genlab.nn.causal.sampling.filling import fill
from genlab.nn.causal.sampling.wavefront import Wavefront, lag
from genlab.types import ImageSpec

GRAY, BINARY, COLOR = ImageSpec(1, 28, 28), ImageSpec(1, 28, 28, levels=2), ImageSpec(3, 32, 32)
BENCH = ("model=pixelcnn_tiny", "model.dilations=[1]", "model.blocks=15", "model.width=32")
WIDE = ("model=pixelcnn_tiny", "model.dilations=[1]", "model.blocks=10", "model.width=128")
NETWORKS: dict[str, tuple[ImageSpec, tuple[str, ...]]] = {
    "pixelcnn, 256 levels": (GRAY, ("model=pixelcnn",)),
    "pixelcnn, binary": (BINARY, ("model=pixelcnn",)),
    "pixelcnn, binary, fold 2": (BINARY, ("model=pixelcnn", "model.fold=2")),
    "pixelcnn, binary, fold 1": (BINARY, ("model=pixelcnn", "model.fold=1")),
    "pixelcnn, 32x32 in color": (COLOR, ("model=pixelcnn",)),
    "pixelcnn_tiny, 256 levels": (GRAY, ("model=pixelcnn_tiny",)),
    "pixelcnn_tiny, binary": (BINARY, ("model=pixelcnn_tiny",)),
    "15 x 32, binary": (BINARY, BENCH),
    "10 x 128, binary": (BINARY, WIDE),
    "gated 10 x 128, binary": (
        BINARY,
        ("model=pixelcnn_gated", "model.blocks=10", "model.width=128"),
    ),
}


def drawing(model: Autoregressive, batch: int, engine: type) -> Callable[[], Spent]:
    """Draws a batch with an engine, from the same noise each time."""
    u = torch.rand(batch, model.head.uniforms, *model.canvas.shape[1:])

    def run() -> Spent:
        x = torch.zeros(batch, *model.canvas.shape, dtype=torch.uint8)
        parts = (model.network, model.head, model.fold)
        return clock(lambda: fill(x, u, *parts, make_engine=engine), batch)

    return run


def cell(model: Autoregressive, batch: int, repeats: int) -> str:
    """Milliseconds of each engine, and their ratio; the chosen one's are bold."""
    engines = [Cached, Wavefront] if lag(model.network) else [Cached]
    variants = [Variant(e.__name__, drawing(model, batch, e)) for e in engines]
    rows = interleave(variants, repeats, lambda what: None)
    times = [f"{row.cpu * batch * 1e3:.1f}" for row in rows]
    if len(rows) == 1:
        return f"**{times[0]}**"
    shape = model.fold.sites(torch.empty(batch, *model.canvas.shape)).shape
    chosen = int(is_wavefront_faster(model.network, shape))
    times[chosen] = f"**{times[chosen]}**"
    return f"{times[0]} / {times[1]} = {rows[0].cpu / rows[1].cpu:.2f}"


def main() -> None:
    """Prints a row of the table for each network."""
    parser = argparse.ArgumentParser(description="Measures the sampling engines.")
    parser.add_argument("--only", default="", help="part of a network's name")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    torch.manual_seed(0)
    print("|", " | ".join(["CPU ms of Cached / Wavefront", *map(str, args.batches)]), "|")
    print("|---" * (len(args.batches) + 1) + "|")
    for name, (spec, words) in NETWORKS.items():
        if args.only in name:
            model, _ = build(spec, *words, "data=mnist")
            assert isinstance(model, Autoregressive)
            model.eval()
            cells = [cell(model, batch, args.repeats) for batch in args.batches]
            print("|", " | ".join([name, *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
