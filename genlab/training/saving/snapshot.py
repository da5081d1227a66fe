"""Snapshot of a checkpoint's values, which later training steps do not change."""

import copy
from typing import Any

import torch
from torch import Tensor, UntypedStorage

__all__ = ["snapshot"]


def snapshot(value: Any) -> Any:
    """A copy, in the host's memory, that shares nothing with its original.

    Tensors that share memory share it in the copy, too, so that a file of the copy is the file of
    the original, byte for byte on a CPU: `torch.save` writes each memory once, and all of it.
    Copies lie on the host even of tensors on a GPU: there they would take memory that training
    counts on, and the thread that writes them would have to wait for the GPU among its kernels.

    Args:
        value: Tensors and plain data, in dictionaries, lists and tuples.

    Example:
        >>> weights = {"w": torch.zeros(2), "history": [1]}
        >>> kept = snapshot(weights)
        >>> _ = weights["w"].add_(1)
        >>> weights["history"].append(2)
        >>> kept
        {'w': tensor([0., 0.]), 'history': [1]}
    """
    return copied(value, {})


def copied(value: Any, memories: dict[tuple[str, int, int], UntypedStorage]) -> Any:
    """The copy of a part; ``memories`` are the copies of what the tensors so far lie in."""
    if isinstance(value, Tensor):
        return tensor(value.detach(), memories)
    if isinstance(value, dict):
        new = copy.copy(value)  # of its own type, with its own attributes: a state_dict has some
        new.update((key, copied(part, memories)) for key, part in value.items())
        return new
    if type(value) in (list, tuple):
        return type(value)(copied(part, memories) for part in value)
    return copy.deepcopy(value)


def tensor(value: Tensor, memories: dict[tuple[str, int, int], UntypedStorage]) -> Tensor:
    """The copy of a tensor, in the copy of its memory."""
    if value.layout != torch.strided or value.is_quantized:
        return value.to("cpu", copy=True)
    memory = value.untyped_storage()
    place = (str(memory.device), memory.data_ptr(), memory.nbytes())
    if place not in memories:
        memories[place] = memory.clone() if memory.device.type == "cpu" else memory.cpu()
    new = torch.empty(0, dtype=value.dtype)
    return new.set_(memories[place], value.storage_offset(), value.size(), value.stride())
