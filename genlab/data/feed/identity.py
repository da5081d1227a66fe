"""Identity of a run's data: what its directory keeps of them, to tell whether they have changed."""

from collections.abc import Mapping
from typing import Any

from genlab.data.module import ImageDataModule

__all__ = ["changes", "identity"]


def identity(data: ImageDataModule) -> dict[str, Any]:
    """Fingerprint, class names and numbers of images, for ``run.json``."""
    return {
        "fingerprint": data.fingerprint,
        "classes": list(data.class_names),
        "images": {"train": data.n_train, "val": len(data.val.x), "test": len(data.test.x)},
    }


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Changes of the data since a run began, a line each; empty where nothing has changed.

    Args:
        before: The run's record; those of older runs have the fingerprint alone, or no names of
            classes that have some by now.
        now: The `identity` of the data as they are.

    Example:
        >>> changes({"fingerprint": "a", "classes": ["x"]}, {"fingerprint": "b", "classes": ["y"]})
        ['class y is new', 'class x is gone']
        >>> changes({"fingerprint": "a"}, {"fingerprint": "a"})
        []
        >>> changes({"fingerprint": "a", "classes": []}, {"fingerprint": "a", "classes": ["x"]})
        []
    """
    lines = []
    if before.get("classes") and now.get("classes"):
        old, new = list(before["classes"]), list(now["classes"])
        lines += [f"class {name} is new" for name in new if name not in old]
        lines += [f"class {name} is gone" for name in old if name not in new]
        if not lines and old != new:
            lines = ["the classes are in another order"]
    if before.get("fingerprint") in (None, now.get("fingerprint")):
        return lines
    counts = before.get("images", {}), now.get("images", {})
    for split in ("train", "val", "test"):
        was, found = (count.get(split) for count in counts)
        if was is not None and found is not None and was != found:
            lines.append(f"{found:,} {split} images, there were {was:,}")
    return lines or ["the images are not those that it began with"]
