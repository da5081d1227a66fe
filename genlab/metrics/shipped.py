"""Moments and floors of well-known real images that come with the package."""

import functools
import json
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from genlab.metrics.moments import Moments

__all__ = ["ship", "shipped_floor", "shipped_moments"]

FOLDER = Path(__file__).parent / "real_moments"
"""Files by the key of the real images: data, split, n, extractor's hash, preprocessing."""


def shipped_moments(key: str) -> tuple[Moments, Tensor] | None:
    """Moments and class shares of the images with this key, or None.

    The features of 60,000 images cost seconds, more than all the quick metrics of a short run;
    their moments are 130 kB. They are what `Moments.of` gave on the machine that wrote them:
    another machine's own differ by rounding, about 1e-7 of a distance.
    """
    path = FOLDER / f"{key}.safetensors"
    if not path.exists():
        return None
    saved = load_file(path)
    return Moments(int(saved["n"]), saved["mean"], full=saved["full"]), saved["shares"]


@functools.cache
def _floors() -> dict[str, dict[str, float]]:
    path = FOLDER / "floors.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def shipped_floor(digest: str) -> dict[str, float] | None:
    """The floor of this digest (images, metric, count, seed), or None."""
    return _floors().get(digest)


def ship(
    key: str, moments: Moments, shares: Tensor, floors: dict[str, dict[str, float]]
) -> list[Path]:
    """Writes what `shipped_moments` and `shipped_floor` read; see scripts/ship_real_moments.py.

    Returns:
        The files.
    """
    FOLDER.mkdir(exist_ok=True)
    path, table = FOLDER / f"{key}.safetensors", FOLDER / "floors.json"
    n = moments.mean.new_tensor(moments.n)
    full = moments.covariance.contiguous()
    save_file({"n": n, "mean": moments.mean, "full": full, "shares": shares}, path)
    everything = json.loads(table.read_text(encoding="utf-8")) if table.exists() else {}
    text = json.dumps(everything | floors, indent=1, sort_keys=True) + "\n"
    table.write_text(text, encoding="utf-8")
    _floors.cache_clear()
    return [path, table]
