"""Cached against naive sampling of autoregressive networks, in CPU seconds of one core.

    python scripts/bench_sampling.py [--network small|gated] [--batch 16 64]

The naive sampler makes a forward pass for each pixel; its time is that of one pass times the
number of pixels. Both draw the same images from the same noise (tests/models/test_pixelcnn.py).
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch

from genlab.models.pixelcnn import PixelCNN
from genlab.types import ImageSpec

__all__ = ["main"]

SPEC = ImageSpec(1, 28, 28, levels=2)
NETWORKS: dict[str, dict[str, int | str]] = {
    "small": {"block": "residual", "blocks": 15, "width": 32},
    "gated": {"block": "gated", "blocks": 10, "width": 128},
}


def least(repeats: int, work: Callable[[], object]) -> float:
    """The least CPU time of several runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    """Prints one line for each network and batch size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--batch", nargs="*", type=int, default=[16, 64])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pixels = SPEC.height * SPEC.width
    print("network  batch  forward  naive*  cached  times faster  forward passes")
    for name in arguments.network:
        model = PixelCNN(SPEC, **NETWORKS[name]).eval()  # type: ignore[arg-type]
        for n in arguments.batch:
            x = torch.zeros(n, *SPEC.shape, dtype=torch.uint8)
            u = torch.rand(n, model.head.uniforms, SPEC.height, SPEC.width)
            with torch.inference_mode():
                forward = least(arguments.repeats, partial(model._params, x, None))
            cached = least(arguments.repeats, partial(model.fill, x, u))
            print(
                f"{name:7} {n:6} {forward:7.3f}s {forward * pixels:6.0f}s {cached:6.2f}s "
                f"{forward * pixels / cached:13.0f} {cached / forward:15.2f}",
                flush=True,
            )
    print(f"* {pixels} forward passes, extrapolated from one")


if __name__ == "__main__":
    main()
