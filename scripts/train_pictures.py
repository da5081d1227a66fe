"""Trains the network that `fd_pictures` looks through, deterministically.

    python scripts/train_pictures.py --out /tmp/extractor

On one kind of machine it rebuilds the committed weights bit for bit, with one thread (which it
sets). A rebuilt extractor with another hash is another extractor: its numbers compare with none
before it.

It sees the training portraits of `data=faces` with eight attributes (a nose cannot be told at 32
pixels), every second portrait of `test_unseen`, so that a judge of composition knows all pairs of
hair and colour, and the training emoji of the three bundled makers: group, subgroup, maker, and
which of them it is. No generated image, and no image of a `test` split.
"""

import argparse
import sys
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, cross_entropy, pad
from train_extractor import keep

from genlab.data.emoji import Emoji
from genlab.data.faces import Faces
from genlab.metrics.extractors.picture_network import PicturesNet, to_64
from genlab.metrics.moments import StreamingMoments

STEPS, RATE = 3200, 3e-3
FACES, EMOJI = 72, 32
"""Images of a step."""

LEAST = 0.85
"""Mean accuracy over the attributes of the test faces at 32 pixels, below which nothing is kept."""

STYLES = ("fluent", "fluent_line", "noto")
SHIFT = 2
"""Pixels that a batch is moved by at most, of 64."""

Labelled = tuple[Tensor, dict[str, Tensor]]
"""Images, and a label for each head; -1 where an image does not show it."""


def faces(split: str, start: int = 0, step: int = 1) -> Labelled:
    """Portraits of a split and what they show."""
    source = Faces(64)
    source.prepare()
    x, known = source.load(split).x, source.attributes(split)  # type: ignore[arg-type]
    y = known.y.masked_fill(~known.visible, -1)
    labels = {f"faces/{n}": y[start::step, i] for i, n in enumerate(known.names) if n != "nose"}
    return x[start::step], labels


def emoji(split: str) -> Labelled:
    """Emoji of a split by all makers, and what they are."""
    images: list[Tensor] = []
    heads = ("emoji/group", "emoji/subgroup", "emoji/style", "which")
    labels: dict[str, list[Tensor]] = {name: [] for name in heads}
    for number, style in enumerate(STYLES):
        for label in ("group", "subgroup"):
            source = Emoji(style, 64, labels=label)  # type: ignore[arg-type]
            source.prepare()
            part = source.load(split)  # type: ignore[arg-type]
            assert part.y is not None
            labels[f"emoji/{label}"].append(part.y)
        images.append(part.x)
        labels["emoji/style"].append(torch.full((len(part.x),), number))
        labels["which"].append(torch.arange(len(part.x)))
    return torch.cat(images), {name: torch.cat(y) for name, y in labels.items()}


def augment(x: Tensor, random: torch.Generator, *, flip: bool) -> Tensor:
    """The batch shifted as a whole, half the time at 32 pixels, flipped where that is no lie."""
    down, right, small, turn = torch.randint(0, 2 * SHIFT + 1, (4,), generator=random).tolist()
    h, w = x.shape[-2:]
    x = pad(x.float(), (SHIFT,) * 4, mode="replicate")[..., down : down + h, right : right + w]
    if flip and turn % 2:
        x = x.flip(-1)
    return avg_pool2d(x, 2).round() if small % 2 else x


def loss_of(logits: dict[str, Tensor], labels: dict[str, Tensor]) -> Tensor:
    """Mean cross-entropy over the heads that the images have labels for."""
    losses = [cross_entropy(logits[name], y, ignore_index=-1) for name, y in labels.items()]
    return torch.stack(losses).mean()


def train(net: PicturesNet, parts: list[tuple[Labelled, int]], steps: int) -> None:
    """Adam under a one-cycle schedule, a batch of each part in each step."""
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    random = torch.Generator().manual_seed(0)
    started = time.monotonic()
    for step in range(steps):
        # All in one batch, so that the normalization is the same for all
        images, labelled = [], []
        for (x, labels), n in parts:
            index = torch.randint(0, len(x), (n,), generator=random)
            images.append(to_64(augment(x[index], random, flip="which" in labels)))
            labelled.append({name: y[index] for name, y in labels.items()})
        features = net.features(torch.cat(images)).split([len(part) for part in images])
        losses = [loss_of(net.logits(seen), y) for seen, y in zip(features, labelled, strict=True)]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()
        schedule.step()
        if step % 200 == 199:
            said = ", ".join(f"{loss.item():.3f}" for loss in losses)
            print(f"step {step + 1}: {said}; {time.monotonic() - started:.0f} s", flush=True)


@torch.no_grad()
def normalize(net: PicturesNet, images: Tensor) -> None:
    """Gives the features a mean variance of 1, without moving the logits."""
    moments = StreamingMoments()
    for part in images.split(500):
        moments.update(net.features(to_64(part)))
    scale = (moments.finish().trace / net.fc.out_features).sqrt().float()
    net.fc.weight.div_(scale)
    net.fc.bias.div_(scale)
    for head in net.heads.values():
        assert isinstance(head, torch.nn.Linear)
        head.weight.mul_(scale)


@torch.inference_mode()
def accuracies(net: PicturesNet, part: Labelled, size: int) -> dict[str, float]:
    """Share of images for which each head is right."""
    x, labels = part
    x = avg_pool2d(x.float(), 64 // size).round().to(torch.uint8)
    logits = [net(images) for images in x.split(250)]
    right = {}
    for name, y in labels.items():
        if name != "which":
            seen, shown = torch.cat([part[name] for part in logits]).argmax(1), y >= 0
            right[name] = round(float((seen[shown] == y[shown]).float().mean()), 4)
    return right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--steps", type=int, default=STEPS, help="fewer for a try")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(0)

    # Read what it learns from
    seen, composed, things = faces("train"), faces("test_unseen", 1, 2), emoji("train")
    x, labels = torch.cat([seen[0], composed[0]]), {}
    for name in seen[1]:
        labels[name] = torch.cat([seen[1][name], composed[1][name]])
    parts = [((x, labels), FACES), (things, EMOJI)]
    heads = {
        name: int(y.max()) + 1 for _, found in (p for p, _ in parts) for name, y in found.items()
    }

    # Train
    started = time.process_time()
    net = PicturesNet(heads, normalized=True)
    train(net, parts, args.steps)
    net = net.fused()
    del net.heads["which"]
    normalize(net, torch.cat([x[:4000], things[0]]))
    net.half().float()  # as it is stored
    seconds = time.process_time() - started

    # What it can tell
    told = {}
    for size in (32, 64):
        told[f"test_{size}"] = accuracies(net, faces("test"), size) | accuracies(
            net, emoji("test"), size
        )
        told[f"test_unseen_{size}"] = accuracies(net, faces("test_unseen", 0, 2), size)
    for name, right in told.items():
        print(name, right)
    of_faces = [value for name, value in told["test_32"].items() if name.startswith("faces/")]
    if (mean := sum(of_faces) / len(of_faces)) < LEAST:
        sys.exit(f"mean accuracy {mean:.3f} is below {LEAST}: nothing was written")

    # Write
    halves = {name: value.half() for name, value in net.state_dict().items()}
    keep(args.out, "pictures", halves, told, "python scripts/train_pictures.py", seconds)


if __name__ == "__main__":
    main()
