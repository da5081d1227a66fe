"""Weights of the extractors that are part of this package, verified when they are read."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import load
from torch import Tensor

from genlab.errors import DataError
from genlab.metrics.extractors.base import file_sha256

__all__ = ["WEIGHTS", "ShippedWeights", "read_shipped"]

WEIGHTS = Path(__file__).parent / "weights"


class ShippedWeights(NamedTuple):
    """Verified weights.

    Args:
        tensors: By their names in the network.
        card: How they were made, and how well they do.
        sha256: Of the file.
    """

    tensors: dict[str, Tensor]
    card: dict[str, Any]
    sha256: str


def read_shipped(name: str, folder: Path = WEIGHTS) -> ShippedWeights:
    """The weights ``NAME.safetensors`` of a folder, whose hash ``NAME.json`` has.

    Raises:
        DataError: A file is missing, or the weights' sha256 is not the one of the JSON.
    """
    path, card_path = folder / f"{name}.safetensors", folder / f"{name}.json"
    for file in (path, card_path):
        if not file.exists():
            raise DataError(f"extractor {name}: {file} is missing; reinstall genlab")
    card = json.loads(card_path.read_text(encoding="utf-8"))
    sha256 = file_sha256(path)
    if sha256 != card["sha256"]:
        raise DataError(
            f"extractor {name}: {path} has sha256 {sha256}, expected {card['sha256']}; "
            "the file is damaged or replaced: reinstall genlab"
        )
    return ShippedWeights(load(path.read_bytes()), card, sha256)
