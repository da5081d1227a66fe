"""Real samples, the other side of every metric: seen once, then taken from the user's cache."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from genlab.errors import DataError
from genlab.metrics.base import Metric
from genlab.metrics.diversity import class_shares
from genlab.metrics.extractors.base import Extractor, Features, extract
from genlab.metrics.likelihood import random_subset
from genlab.metrics.moments import Moments
from genlab.metrics.shipped import shipped_floor, shipped_moments
from genlab.modalities.images.levels import check_images
from genlab.system.paths import cache_dir

__all__ = ["RealFeatures", "RealSamples", "Reference"]

FORMAT = 1


@dataclass(frozen=True)
class Reference:
    """The real images that samples are compared with.

    It knows their kind of data: one of another kind overrides `check` and `picture`.

    Args:
        train: The whole training split as published, uint8 ``(N, C, H, W)`` with values 0..255;
            without the images that a run holds out for validation, numbers do not compare.
        test: The test split, likewise.
        fingerprint: sha256 of the data's contents.
        name: Name of the data set.
        extractor: One that comes with the data set, if there is one.
        train_y, test_y: Classes of the images, int64 ``(N,)``; None where there are none.
    """

    train: Tensor
    test: Tensor
    fingerprint: str
    name: str
    extractor: Extractor | None = None
    train_y: Tensor | None = None
    test_y: Tensor | None = None
    floors: dict[Any, dict[str, float]] = field(default_factory=dict, repr=False, compare=False)
    """Floors that this process alone knows, by what they are of."""

    def __post_init__(self) -> None:
        self.check(self.train, f"{self.name} train")
        self.check(self.test, f"{self.name} test")

    def check(self, samples: Tensor, name: str, n: int | None = None) -> None:
        """Refuses samples of another kind, and with n what are not n of the same shape.

        Raises:
            DataError: They are.
        """
        check_images(samples, name)
        if n is not None and tuple(samples.shape) != (n, *self.shape):
            raise DataError(
                f"{name}: shape {tuple(samples.shape)}, expected {(n, *self.shape)} as the "
                f"real images of {self.name}"
            )

    def picture(self, samples: Tensor, neighbours: Tensor) -> Tensor:
        """A picture of samples, each at the left of its nearest training images.

        Args:
            samples: uint8 ``(n, C, H, W)``.
            neighbours: int64 ``(n, k)``, indices of training images.

        Returns:
            uint8 ``(C, n * H, (1 + k) * W)``.
        """
        rows = torch.cat([samples[:, None], self.train[neighbours]], 1)  # (n, 1 + k, C, H, W)
        return rows.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2).contiguous()

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(C, H, W)``."""
        _n, channels, height, width = self.train.shape
        return channels, height, width


class RealSamples:
    """The real samples themselves, as a `Metric` is given them.

    Args:
        reference: All of them.
        extractor: The network that sees them, for `RealFeatures`.
        device: Where it is, and where heavy work belongs.
        advance: Called with the number of images done, where features must be worked out.
        seed: Seed of their subsets.
    """

    def __init__(
        self,
        reference: Reference,
        extractor: Extractor | None = None,
        *,
        device: torch.device | str = "cpu",
        advance: Callable[[int], object] | None = None,
        seed: int = 0,
    ):
        self.reference = reference
        self.extractor = extractor
        self.device = device
        self.advance = advance
        self.seed = seed
        self._features: dict[str, Features] = {}

    def samples(self, split: Literal["train", "test"]) -> Tensor:
        """A whole split, ``(N, ...)``."""
        return self.reference.train if split == "train" else self.reference.test

    def subset(self, split: Literal["train", "test"], n: int, seed: int | None = None) -> Any:
        """A seeded random subset of n of a split, or of all where there are fewer."""
        return self.samples(split)[self._index(split, n, seed)]

    def _index(self, split: Literal["train", "test"], n: int, seed: int | None) -> Tensor:
        total = len(self.samples(split))
        return random_subset(total, min(n, total), self.seed if seed is None else seed)

    def floor(
        self, name: str, compute: Callable[[], dict[str, float]], metric: Metric | None = None
    ) -> dict[str, float]:
        """The numbers that `compute` returns, kept by name and metric for this process."""
        known, key = self.reference.floors, (name, type(metric), metric and metric.id)
        if key not in known:
            known[key] = compute()
        return known[key]


class RealFeatures(RealSamples):
    """Features and moments of the real images under one extractor, as a `FeatureMetric` is given
    them."""

    extractor: Extractor

    def key(self, split: Literal["train", "test"]) -> str:
        """Names the cached features: data, split, n, extractor's hash, preprocessing.

        A sample of the very images is part of it, too: a reference that differs from what its
        fingerprint says (redrawn, limited, scaled) never gets another's features.
        """
        images = self.samples(split)
        few = images[:: max(1, len(images) // 256)].contiguous().numpy().tobytes()
        parts = [
            FORMAT,
            self.reference.fingerprint,
            split,
            tuple(images.shape),
            hashlib.sha256(few).hexdigest(),
            self.extractor.name,
            self.extractor.id,
            self.extractor.preprocessing,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def folder(self, split: Literal["train", "test"]) -> Path:
        """The file that caches them."""
        return cache_dir() / "features" / self.key(split)

    def cached(self, split: Literal["train", "test"]) -> bool:
        """True if they are."""
        return (self.folder(split) / "features.npy").exists()

    def features(self, split: Literal["train", "test"]) -> Features:
        """Features of a whole split, memory-mapped from the cache."""
        if split not in self._features:
            folder = self.folder(split)
            if not (found := self._read(folder)):
                images = self.samples(split)
                computed = extract(self.extractor, images, device=self.device, advance=self.advance)
                found = self._write(folder, computed)
            y = self.reference.train_y if split == "train" else self.reference.test_y
            self._features[split] = found.of(y)
        return self._features[split]

    def subset(self, split: Literal["train", "test"], n: int, seed: int | None = None) -> Features:
        """Features of a seeded random subset of n images, or of all where there are fewer."""
        return self.features(split).take(self._index(split, n, seed))

    @cached_property
    def moments(self) -> Moments:
        """Moments of the training split, with their matrix root."""
        if known := shipped_moments(self.key("train")):
            return known[0]
        path = self.folder("train") / "moments.safetensors"
        if path.exists():
            saved = load_file(path)
            rows, full = saved.get("rows"), saved.get("full")
            moments = Moments(int(saved["n"]), saved["mean"], rows=rows, full=full)
            if full is not None:
                moments.__dict__["root"] = saved["root"]
            return moments
        moments = Moments.of(self.features("train").features)
        saved = {"n": torch.tensor(moments.n), "mean": moments.mean}
        if moments.full is None:
            assert moments.rows is not None
            saved["rows"] = moments.rows
        else:
            saved |= {"full": moments.full, "root": moments.root.contiguous()}
        _atomically(path, lambda part: part.write_bytes(save(saved)))
        return moments

    @cached_property
    def shares(self) -> Tensor:
        """Share of training images that the extractor puts in each class."""
        if known := shipped_moments(self.key("train")):
            return known[1]
        logits = self.features("train").logits
        if logits is None:
            raise DataError(f"extractor {self.extractor.name} has no classes")
        return class_shares(logits)

    def floor(
        self, name: str, compute: Callable[[], dict[str, float]], metric: Metric | None = None
    ) -> dict[str, float]:
        """The numbers that `compute` returns, cached under a name that says all they depend on.

        A metric of somebody else's is code that may be another tomorrow: it is not kept on disk.
        """
        if metric is not None and metric.id:
            return super().floor(f"{name}/{self.extractor.id}", compute, metric)
        digest = self.floor_key(name)
        if (known := shipped_floor(digest)) is not None:
            return known
        path = cache_dir() / "floors" / f"{digest}.json"
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))
        floor = compute()
        _atomically(path, lambda part: part.write_text(json.dumps(floor), encoding="utf-8"))
        return floor

    def floor_key(self, name: str) -> str:
        """Names a cached floor: the images of both splits, and what was measured."""
        parts = [self.key("train"), self.key("test"), name]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def _read(self, folder: Path) -> Features | None:
        if not folder.is_dir():
            return None
        try:
            arrays = [
                torch.from_numpy(np.load(folder / f"{name}.npy", mmap_mode="c"))
                for name in ("features", "logits")
                if name == "features" or self.extractor.classes
            ]
        except (OSError, ValueError, EOFError):  # cut short by a full disk, say: once more
            shutil.rmtree(folder, ignore_errors=True)
            return None
        return Features(*arrays)

    def _write(self, folder: Path, found: Features) -> Features:
        """Stores features; in memory they stay where the cache cannot be written."""
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(dir=folder.parent))
        except OSError:
            return found
        try:
            np.save(part / "features.npy", found.features.numpy())
            if found.logits is not None:
                np.save(part / "logits.npy", found.logits.numpy())
            part.rename(folder)
        except OSError:  # another process was faster, or the disk is full
            shutil.rmtree(part, ignore_errors=True)
        return self._read(folder) or found


def _atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Writes beside and renames; a cache that cannot be written is only slower."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
