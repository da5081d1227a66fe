"""Trains the small classifier that `fd_digits` or `fd_fashion` looks through, deterministically.

    python scripts/train_extractor.py digits --root data/mnist --out /tmp/extractor
    python scripts/train_extractor.py fashion --root data/fashion-mnist --out /tmp/extractor

On one machine it rebuilds the committed weights bit for bit, with one thread (which it sets). A
rebuilt extractor with another hash is another extractor: its numbers compare with none before it.
"""

import argparse
import gzip
import json
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from genlab.metrics.classifier import Classifier
from genlab.metrics.features import file_sha256

LEAST = {"digits": 0.984, "fashion": 0.905}
WIDTH = {"digits": 16, "fashion": 16}
EPOCHS = {"digits": 3, "fashion": 8}
BATCH, RATE = 256, 3e-3


def read_idx(path: Path) -> Tensor:
    """A gzipped IDX file of bytes."""
    data = gzip.decompress(path.read_bytes())
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).copy()).view(
        shape
    )


def read(root: Path, split: str) -> tuple[Tensor, Tensor]:
    """Images ``(n, 1, 28, 28)`` and labels of a split."""
    x = read_idx(root / f"{split}-images-idx3-ubyte.gz")[:, None]
    return x, read_idx(root / f"{split}-labels-idx1-ubyte.gz").long()


def train(net: Classifier, x: Tensor, y: Tensor, epochs: int) -> None:
    """Adam under a one-cycle schedule, no augmentation."""
    steps = epochs * -(-len(x) // BATCH)
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    order = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for index in torch.randperm(len(x), generator=order).split(BATCH):
            loss = cross_entropy(net(x[index]), y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


@torch.inference_mode()
def accuracy(net: Classifier, x: Tensor, y: Tensor) -> float:
    right = [net(a).argmax(1).eq(b).sum() for a, b in zip(x.split(500), y.split(500), strict=True)]
    return float(torch.stack(right).sum() / len(x))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=["digits", "fashion"])
    parser.add_argument("--root", type=Path, required=True, help="folder of the four idx.gz files")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--width", type=int)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(0)

    started = time.process_time()
    net = Classifier(args.width or WIDTH[args.name])
    train(net, *read(args.root, "train"), args.epochs or EPOCHS[args.name])
    net.eval()
    seconds = time.process_time() - started
    reached = accuracy(net, *read(args.root, "t10k"))
    print(f"{args.name}: test accuracy {reached:.4f}, {seconds:.0f} CPU-s")
    if reached < LEAST[args.name]:
        sys.exit(f"below {LEAST[args.name]}: nothing was written")

    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{args.name}.safetensors"
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, path)
    card = {
        "sha256": file_sha256(path),
        "accuracy": round(reached, 4),
        "command": f"python scripts/train_extractor.py {args.name}",
        "cpu_seconds": round(seconds),
        "date": datetime.now(UTC).date().isoformat(),
        "torch": torch.__version__,
        "machine": platform.machine(),
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n")
    print(path, card["sha256"])


if __name__ == "__main__":
    main()
