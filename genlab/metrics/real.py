"""The real images' side of every distance: worked out once, then taken from the user's cache."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from genlab.errors import DataError
from genlab.metrics.diversity import class_shares
from genlab.metrics.extractors.base import Extractor, Features, extract
from genlab.metrics.likelihood import random_subset
from genlab.metrics.moments import Moments
from genlab.metrics.shipped import shipped_floor, shipped_moments
from genlab.modalities.images.levels import check_images
from genlab.system.paths import cache_dir

__all__ = ["RealImages", "Reference"]

FORMAT = 1


@dataclass(frozen=True)
class Reference:
    """The real images that samples are compared with.

    Args:
        train: The whole training split as published, uint8 ``(N, C, H, W)`` with values 0..255;
            without the images that a run holds out for validation, numbers do not compare.
        test: The test split, likewise.
        fingerprint: sha256 of the data's contents.
        name: Name of the data set.
        extractor: One that comes with the data set, if there is one.
    """

    train: Tensor
    test: Tensor
    fingerprint: str
    name: str
    extractor: Extractor | None = None

    def __post_init__(self) -> None:
        check_images(self.train, f"{self.name} train")
        check_images(self.test, f"{self.name} test")

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(C, H, W)``."""
        _n, channels, height, width = self.train.shape
        return channels, height, width


class RealImages:
    """Features and moments of a reference under one extractor.

    Args:
        reference: The images.
        extractor: What looks at them.
        device: Where it is.
        advance: Called with the number of images done, where features must be worked out.
    """

    def __init__(
        self,
        reference: Reference,
        extractor: Extractor,
        *,
        device: torch.device | str = "cpu",
        advance: Callable[[int], object] | None = None,
    ):
        self.reference = reference
        self.extractor = extractor
        self.device = device
        self.advance = advance
        self._features: dict[str, Features] = {}

    def key(self, split: Literal["train", "test"]) -> str:
        """Names the cached features: data, split, n, extractor's hash, preprocessing.

        A sample of the very images is part of it, too: a reference that differs from what its
        fingerprint says (redrawn, limited, scaled) never gets another's features.
        """
        images = self.reference.train if split == "train" else self.reference.test
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
        """Where they are cached."""
        return cache_dir() / "features" / self.key(split)

    def cached(self, split: Literal["train", "test"]) -> bool:
        """Whether they are."""
        return (self.folder(split) / "features.npy").exists()

    def features(self, split: Literal["train", "test"]) -> Features:
        """Features of a whole split, memory-mapped from the cache."""
        if split not in self._features:
            folder = self.folder(split)
            if not (found := self._read(folder)):
                images = self.reference.train if split == "train" else self.reference.test
                computed = extract(self.extractor, images, device=self.device, advance=self.advance)
                found = self._write(folder, computed)
            self._features[split] = found
        return self._features[split]

    def subset(self, split: Literal["train", "test"], n: int, seed: int) -> Features:
        """Features of a seeded random subset of n images, or of all where there are fewer."""
        features = self.features(split)
        return features.take(random_subset(len(features), min(n, len(features)), seed))

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

    def floor(self, name: str, compute: Callable[[], dict[str, float]]) -> dict[str, float]:
        """What `compute` returns, cached under a name that says all it depends on."""
        digest = self.floor_key(name)
        if (known := shipped_floor(digest)) is not None:
            return known
        path = cache_dir() / "floors" / f"{digest}.json"
        if path.exists():
            return json.loads(path.read_text())
        floor = compute()
        _atomically(path, lambda part: part.write_text(json.dumps(floor)))
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
