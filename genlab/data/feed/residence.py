"""Placing of images in memory, or in a file of the cache that is mapped."""

import os
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from genlab.data.images import Split
from genlab.data.storage.cache import Writer, cached

__all__ = ["fits", "free_memory", "materialize", "nbytes"]

SHARE = 0.5
"""Share of the free memory that images may take by default."""

ROWS = 4096
"""Images copied at a time on their way to a file."""


def nbytes(split: Split) -> int:
    """Bytes that the images and labels of a split take."""
    return sum(t.numel() * t.element_size() for t in split if t is not None)


def free_memory(device: torch.device | None = None) -> int:
    """Free bytes of a device, or of this machine within the limits of its control group."""
    if device is not None and device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(available(), in_group())


def available() -> int:
    """Free memory of the machine by its system's account."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        table = dict(line.split(":", 1) for line in lines)
        return int(table["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        # Not a Linux: all of the memory is the best that the standard library tells.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def in_group(folder: Path = Path("/sys/fs/cgroup")) -> int:
    """Free memory within the control group that a container runs in; huge where there is none."""
    try:
        limit = (folder / "memory.max").read_text(encoding="utf-8").strip()
        used = int((folder / "memory.current").read_text(encoding="utf-8"))
        return 1 << 62 if limit == "max" else max(0, int(limit) - used)
    except (OSError, ValueError):
        return 1 << 62


def fits(resident: bool | Literal["auto"], needed: int, device: torch.device | None = None) -> bool:
    """Decides on memory or a mapped file: as asked, or memory if images take at most half of it."""
    return needed <= SHARE * free_memory(device) if resident == "auto" else bool(resident)


def materialize(split: Split, index: Tensor, resident: bool, key: str) -> Split:
    """A copy of the chosen images of a split, in memory or in the cache.

    Args:
        split: Where they come from, possibly mapped from disk.
        index: Which of them, in this order.
        resident: In memory; else in a file of the cache, which is mapped.
        key: Name of the cache entry; it must change with the images and the index.
    """
    y = None if split.y is None else split.y[index]
    if resident:
        whole = len(index) == len(split.x) and bool((index == torch.arange(len(index))).all())
        return Split(split.x.clone() if whole else split.x.index_select(0, index), y)

    def build(writer: Writer) -> None:
        out = writer.array("x", (len(index), *split.x.shape[1:]), str(split.x.numpy().dtype))
        for start in range(0, len(index), ROWS):
            out[start : start + ROWS] = split.x[index[start : start + ROWS]].numpy()

    return Split(torch.from_numpy(cached(key, build)["x"]), y)
