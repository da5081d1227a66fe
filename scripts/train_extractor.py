"""Trains the small classifier that `fd_digits` or `fd_fashion` looks through, deterministically.

    python scripts/train_extractor.py digits --out /tmp/extractor
    python scripts/train_extractor.py fashion --out /tmp/extractor

On one kind of machine it rebuilds the committed weights bit for bit, with one thread (which it
sets). A rebuilt extractor with another hash is another extractor: its numbers compare with none
before it.
"""

import argparse
import json
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from genlab.data.fashion_mnist import FashionMnist
from genlab.data.images import Split
from genlab.data.mnist import Mnist
from genlab.metrics.extractors.base import file_sha256
from genlab.metrics.extractors.classifier import Classifier
from genlab.metrics.moments import StreamingMoments

LEAST = {"digits": 0.984, "fashion": 0.905}
EPOCHS = {"digits": 3, "fashion": 8}
BATCH, RATE = 256, 3e-3


def read(name: str, root: str | None) -> tuple[Split, Split]:
    """The training and the test split."""
    source = Mnist() if name == "digits" else FashionMnist(root)
    source.prepare()
    return source.load("train"), source.load("test")


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


@torch.no_grad()
def normalize(net: Classifier, x: Tensor) -> None:
    """Gives the features a mean variance of 1, without moving the logits.

    So the scale of a distance does not depend on how long the network was trained, and the
    polynomial of the kernel distance is used where it is neither linear nor all cubic.
    """
    moments = StreamingMoments()
    for part in x.split(500):
        moments.update(net.features(part))
    scale = (moments.finish().trace / net.fc1.out_features).sqrt().float()
    net.fc1.weight.div_(scale)
    net.fc1.bias.div_(scale)
    net.fc2.weight.mul_(scale)


@torch.inference_mode()
def accuracy(net: Classifier, x: Tensor, y: Tensor) -> float:
    right = [net(a).argmax(1).eq(b).sum() for a, b in zip(x.split(500), y.split(500), strict=True)]
    return float(torch.stack(right).sum() / len(x))


def keep(
    out: Path, name: str, tensors: dict[str, Tensor], accuracy: object, command: str, seconds: float
) -> None:
    """Writes the weights, and beside them how they were made and how well they do.

    Args:
        out: The folder.
        name: Of the extractor.
        tensors: The weights.
        accuracy: What it can tell.
        command: What made them.
        seconds: CPU-seconds that took.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.safetensors"
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    card = {
        "sha256": file_sha256(path),
        "accuracy": accuracy,
        "command": command,
        "cpu_seconds": round(seconds),
        "date": datetime.now(UTC).date().isoformat(),
        "torch": torch.__version__,
        "machine": platform.machine(),
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n")
    print(path, card["sha256"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=["digits", "fashion"])
    parser.add_argument("--root", help="folder of Fashion-MNIST's files, if not in the cache")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(0)

    train_split, test_split = read(args.name, args.root)
    assert train_split.y is not None
    assert test_split.y is not None

    started = time.process_time()
    net = Classifier()
    train(net, train_split.x, train_split.y, EPOCHS[args.name])
    normalize(net, train_split.x)
    seconds = time.process_time() - started
    reached = accuracy(net, test_split.x, test_split.y)
    print(f"{args.name}: test accuracy {reached:.4f}, {seconds:.0f} CPU-s")
    if reached < LEAST[args.name]:
        sys.exit(f"below {LEAST[args.name]}: nothing was written")

    command = f"python scripts/train_extractor.py {args.name}"
    keep(args.out, args.name, net.state_dict(), round(reached, 4), command, seconds)


if __name__ == "__main__":
    main()
