"""A model as files that anybody can read and that can run nothing.

    model.safetensors   the weights, a name and a tensor each
    model.json          the config, what the weights are, and the SHA-256 of their file
    DATA_LICENCE.md     the terms of the data that it was trained on, where they are known
    CARD.md, card.json, samples.png   its card
    SHA256SUMS          of all files, for ``sha256sum -c SHA256SUMS``

A flipped bit in a safetensors file loads without a word, so the hashes are compared on reading.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from genlab.errors import DataError
from genlab.system.paths import write_atomically, write_json

__all__ = ["FACTS", "NOTICE", "SUMS", "WEIGHTS", "read_portable", "write_portable"]

WEIGHTS = "model.safetensors"
FACTS = "model.json"
NOTICE = "DATA_LICENCE.md"
SUMS = "SHA256SUMS"
FORMAT = "genlab-1"


def write_portable(
    folder: Path,
    state: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    notice: Path | None = None,
    card: Mapping[str, bytes] | None = None,
) -> None:
    """Writes a model's weights and what is known of it.

    Args:
        folder: Where to; made if it does not exist.
        state: Tensors by name; those that share memory are written once each.
        facts: What else there is to say, as JSON can hold it; without secrets.
        notice: File with the terms of the data, which is copied.
        card: Files of its card by their names.
    """
    whole = torch.contiguous_format
    content = save({n: t.detach().cpu().clone(memory_format=whole) for n, t in state.items()})
    write_atomically(folder / WEIGHTS, content)
    digest = hashlib.sha256(content).hexdigest()
    write_json(folder / FACTS, {"format": FORMAT, **facts, "weights_sha256": digest})
    sums = [(hashlib.sha256((folder / FACTS).read_bytes()).hexdigest(), FACTS), (digest, WEIGHTS)]
    others = dict(card or {})
    if notice is not None:
        others[NOTICE] = notice.read_bytes()
    for name, added in others.items():
        write_atomically(folder / name, added)
        sums.append((hashlib.sha256(added).hexdigest(), name))
    text = "".join(f"{found}  {name}\n" for found, name in sums)
    write_atomically(folder / SUMS, text.encode())


def read_portable(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `write_portable` wrote; nothing is unpickled.

    Returns:
        The tensors by name, and the facts, among them ``config``, which is to be checked before
        anything that it names is built.

    Raises:
        DataError: A file is missing, is not the one that was written, or is none of its kind.
    """
    facts = parsed(folder / FACTS)
    path = folder / WEIGHTS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected weights, found {error.strerror}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != facts["weights_sha256"]:
        raise DataError(
            f"{path}: expected sha256 {facts['weights_sha256']}, found {found}; "
            "repair: export it again with genlab export"
        )
    try:
        return load(content), facts
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: expected safetensors, found: {error}") from None


def parsed(path: Path) -> dict[str, Any]:
    """The facts, of the right form."""
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected a model's description, found {error}") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise DataError(f"{path}: expected the format {FORMAT}, found another")
    wanted = {"weights_sha256": str, "config": dict, "images_seen": int}
    for key, kind in wanted.items():
        if not isinstance(facts.get(key), kind):
            raise DataError(f"{path}: expected {key} ({kind.__name__}), found none")
    return facts
