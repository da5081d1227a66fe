"""Extractors: the features of images that distances between sets of them look at.

Every number of this package is computed on features, and the extractor's hash is the number's
identity: two numbers compare only where their extractors' hashes are equal.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from genlab.modalities.images.levels import check_images

__all__ = ["Extractor", "Features", "extract", "file_sha256", "full_precision", "to_rgb"]


class Features(NamedTuple):
    """Features of n images.

    Args:
        features: float32 of shape ``(n, d)``.
        logits: float32 of shape ``(n, classes)``, or None where the extractor has no classes.
        y: int64 of shape ``(n,)``, the classes that the images are of or were drawn for; None where
            there are none.
    """

    features: Tensor
    logits: Tensor | None = None
    y: Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)

    def of(self, y: Tensor | None) -> "Features":
        """The same features of images of these classes."""
        return Features(self.features, self.logits, None if y is None else y.cpu())

    def take(self, index: Tensor) -> "Features":
        """The rows of the given indices."""
        logits, y = (None if x is None else x[index] for x in (self.logits, self.y))
        return Features(self.features[index], logits, y)


@runtime_checkable
class Extractor(Protocol):
    """Turns images into features; `extract` calls it, in batches and at full precision."""

    name: str
    """End of the keys: ``digits`` makes ``fd_digits``."""

    id: str
    """sha256 of the weights, or of the description where there are none."""

    preprocessing: str
    """Preparation of an image for the network, in one line; part of the cache key."""

    dim: int
    """Number of features d."""

    classes: int
    """Number of logits, 0 for none."""

    modes: int
    """Number of first classes that are the kinds of the data itself; 0 for those of other data."""

    batch: int
    """Images in a forward pass on a CPU, where small ones stay in its caches; 8 times more else."""

    def to(self, device: torch.device | str) -> "Extractor":
        """Moves the weights."""
        ...

    def __call__(self, images: Tensor) -> Features:
        """Features of uint8 images ``(n, C, H, W)`` with values 0..255, on their device."""
        ...


def to_rgb(images: Tensor) -> Tensor:
    """Repeats the channel of gray images three times, and leaves RGB alone."""
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


@contextmanager
def full_precision() -> Iterator[None]:
    """No TF32, no autocast, no benchmark-chosen kernels: the same features on every call.

    TF32 keeps 10 bits of the mantissa, which moves a Fréchet distance in its third digit.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    conv = cudnn.conv  # type: ignore[attr-defined]
    saved = matmul.fp32_precision, conv.fp32_precision, cudnn.benchmark
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        # not allow_tf32: reading that raises once anybody has set the new switches
        matmul.fp32_precision = conv.fp32_precision = "ieee"
        cudnn.benchmark = False
        with torch.autocast(kind, enabled=False), torch.inference_mode():
            yield
    finally:
        matmul.fp32_precision, conv.fp32_precision, cudnn.benchmark = saved


def extract(
    extractor: Extractor,
    images: Tensor,
    *,
    batch: int | None = None,
    device: torch.device | str = "cpu",
    advance: Callable[[int], object] | None = None,
) -> Features:
    """Features of many images, gathered on the CPU.

    Args:
        extractor: Where the features come from.
        images: uint8 of shape ``(n, C, H, W)``, values 0..255.
        batch: Images in a forward pass; what suits the extractor and the device if None.
        device: Where the extractor is.
        advance: Called with the number of images done after each batch.

    Raises:
        DataError: The images are not what they should be.
    """
    check_images(images)
    batch = batch or extractor.batch * (1 if torch.device(device).type == "cpu" else 8)
    features, logits = [], []
    with full_precision():
        for part in images.split(batch):
            seen = extractor(part.to(device))
            features.append(seen.features.float().cpu())
            if seen.logits is not None:
                logits.append(seen.logits.float().cpu())
            if advance is not None:
                advance(len(part))
    with torch.inference_mode(False):
        return Features(torch.cat(features), torch.cat(logits) if logits else None)


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
