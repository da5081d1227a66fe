"""Survey of a data set before training: counts, sizes, modes, and images that occur twice.

Of a folder only the files' headers are read, and those files whole that may be the same.
"""

import hashlib
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from genlab.data.feed.eval_loader import resampled
from genlab.data.feed.split import VAL_SIZE, divide, limited
from genlab.data.folder import ImageFolder
from genlab.data.images import ImageData, Split, SplitName
from genlab.data.storage.fitting import Fitting
from genlab.data.storage.headers import Headers
from genlab.data.storage.picture_files import stamp
from genlab.data.storage.tally import tally
from genlab.rng import stream

__all__ = ["Survey", "choose_by_class"]


class Part(NamedTuple):
    """A split among those of the data set.

    Args:
        source: The split of the data set that it is taken from.
        chosen: Which of its images.
        y: Their labels, or None.
    """

    source: SplitName
    chosen: Tensor
    y: Tensor | None


class Survey:
    """Survey of a data set as a config divides it; nothing is decoded that need not be.

    Args:
        source: The data set.
        val_size, split_seed, limit: As for `ImageDataModule`.
    """

    def __init__(
        self,
        source: ImageData,
        val_size: float = VAL_SIZE,
        split_seed: int = 0,
        limit: int | None = None,
    ):
        self.source = source
        self.split_seed = split_seed
        outline = {name: source.outline(name) for name in source.splits_there()}
        origin: dict[SplitName, SplitName] = {
            "train": "train",
            "val": "val" if source.own_val else "train",
            "test": "test",
        }
        n_val = outline["val"][0] if source.own_val else None
        counts = (outline["train"][0], n_val, outline["test"][0])
        groups = None if source.own_val else source.groups()
        index = divide(*counts, val_size, split_seed, limit, groups)
        for name in outline:
            if name not in index:  # a further test
                origin[name] = name
                index[name] = limited(outline[name][0], split_seed, limit)
        self.parts: dict[SplitName, Part] = {}
        for name in origin:
            y = outline[origin[name]][1]
            self.parts[name] = Part(
                origin[name], index[name], None if y is None else y[index[name]]
            )

    def counts(self) -> list[list[str]]:
        """Rows of a table: a class, and how many images of it each split has; then the sums."""
        names = [*self.source.class_names] or [str(k) for k in range(self.source.spec.num_classes)]
        rows = []
        for k, name in enumerate(names):
            found = [int((p.y == k).sum()) if p.y is not None else 0 for p in self.parts.values()]
            rows.append([str(k), name, *(f"{n:,}" for n in found)])
        return [*rows, ["", "all", *(f"{len(p.chosen):,}" for p in self.parts.values())]]

    def images(self, split: SplitName, chosen: Tensor) -> Tensor:
        """Some images of a split, by their numbers in it."""
        part = self.parts[split]
        x = self.source.peek(part.source, part.chosen[chosen])
        return resampled(self.source, Split(x), self.split_seed, split).x

    def lines(self) -> list[str]:
        """Further notes on the images, a line each."""
        source = self.source
        if not isinstance(source, ImageFolder):
            return self.repeated({n: self.contents(n) for n in self.parts})
        files = {
            name: [source.splits[part.source][i] for i in part.chosen.tolist()]
            for name, part in self.parts.items()
        }
        every = [path for paths in files.values() for path in paths]
        same = same_files(every)
        lines = [
            *source.layout.notes,
            *headers(every, source.path, source.fitting),
            *self.repeated({name: [same[p] for p in paths] for name, paths in files.items()}),
            *tally("left out", source.skipped),
        ]
        pairs = defaultdict(list)
        for path in every:
            pairs[same[path]].append(path)
        twice = [
            " = ".join(str(path.relative_to(source.path)) for path in paths[:3])
            for paths in pairs.values()
            if len(paths) > 1
        ]
        return [*lines, *(f"  the same: {names}" for names in twice[:3])]

    def contents(self, split: SplitName) -> list[bytes]:
        """Digests of the images of a split."""
        part = self.parts[split]
        rows = self.source.load(part.source).x[part.chosen].numpy()
        return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]

    def repeated(self, contents: dict[SplitName, list[bytes]]) -> list[str]:
        """Numbers of images that occur twice inside a split, and in two."""
        counts = {
            f"inside {name}": len(found) - len(set(found)) for name, found in contents.items()
        }
        for one, other in combinations(contents, 2):
            inside = set(contents[one])
            counts[f"of {other} in {one}, too"] = sum(found in inside for found in contents[other])
        return tally("twice", {words: n for words, n in counts.items() if n}) or ["twice: none"]


def headers(paths: Sequence[Path], root: Path, fitting: Fitting) -> list[str]:
    """Sizes, formats and modes of pictures, and what will be done to them, from their headers."""
    sizes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    treated: Counter[str] = Counter()
    unread: list[str] = []
    read = Headers(fitting).read
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        for path in paths:
            try:
                header = read(path)
            # Pillow's decoders raise whatever they like on damaged files.
            except Exception as error:
                unread.append(f"{path.relative_to(root)} ({type(error).__name__})")
            else:
                sizes[header.size] += 1
                kinds[header.kind] += 1
                treated.update(header.treated)
    # What they say, in a few lines
    if len(sizes) > 5:
        common = sizes.most_common(4)
        sizes = Counter(dict(common) | {"others": sizes.total() - sum(n for _, n in common)})
    lines = [*tally("sizes", sizes), *tally("modes", kinds), *tally("converted", treated)]
    if fitting.channels == 3 and treated["grey to colour"] == len(paths):
        lines.append(
            "all pictures are grey: data.channels=1 has the same in a third of the numbers"
        )
    if unread:
        more = f" and {len(unread) - 5:,} more" if len(unread) > 5 else ""
        lines.append(f"cannot be read: {', '.join(unread[:5])}{more}; training refuses them")
    return lines


def same_files(paths: Iterable[Path]) -> dict[Path, bytes]:
    """A key of each file that others have only if they hold the same; most are not read for it."""
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in paths:
        by_size[stamp(path)[0]].append(path)
    keys = {}
    for size, alike in by_size.items():
        if len(alike) == 1:
            keys[alike[0]] = b"%d" % size
            continue
        for path in alike:
            with open(path, "rb", buffering=0) as file:
                content = hashlib.blake2b(file.readall(), digest_size=16)
            keys[path] = b"%d %b" % (size, content.digest())
    return keys


def choose_by_class(y: Tensor | None, n_all: int, n: int, classes: int) -> list[Tensor]:
    """Images to be shown, at random and always the same: a row a class, or one row in all.

    Args:
        y: Labels.
        n_all: Number of images to choose from.
        n: How many to choose.
        classes: How many classes there are; more than 40 are not shown one by one.
    """
    if y is None or not 0 < classes <= 40:
        return [torch.randperm(n_all, generator=stream(0, "data show"))[:n]]
    rows = []
    for k in range(min(n, classes)):
        found = (y == k).nonzero()[:, 0]
        order = torch.randperm(len(found), generator=stream(0, "data show", k))
        rows.append(found[order[: -(-n // classes)]])
    return rows
