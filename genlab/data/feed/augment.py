"""Parser of ``data.augment=[flip,crop]`` into transforms."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from genlab.data.transforms import Affine, Flip, PadCrop, Transform
from genlab.errors import ConfigError, nearest

__all__ = ["TRANSFORMS", "parse_augment"]

TRANSFORMS: dict[str, type[Transform]] = {"flip": Flip, "crop": PadCrop, "affine": Affine}
"""The short names that ``data.augment=[flip,crop]`` takes."""


def parse_augment(
    augment: Sequence[Any] | Mapping[str, Any] | None, instantiate: Callable[[Any], Any]
) -> tuple[Transform, ...]:
    """The transforms that a config names.

    Args:
        augment: Names (``[flip, crop]``), a mapping from names to arguments
            (``{crop: {padding: 2}}``), or both (``[flip, {crop: {padding: 2}}]``). An item with
            a ``_target_`` is any other transform.
        instantiate: Makes an object of a mapping with a ``_target_``.

    Raises:
        ConfigError: No such transform, or wrong arguments.
    """
    if augment is None:
        return ()
    if isinstance(augment, str) or not isinstance(augment, Sequence | Mapping):
        raise ConfigError(f"data.augment={augment}: must be a list, like [flip, crop]")
    items: list[tuple[Any, Any]] = []
    for item in [augment] if isinstance(augment, Mapping) else augment:
        named = isinstance(item, Mapping) and "_target_" not in item
        items += item.items() if named else [(item, None)]
    return tuple(
        one_transform(name, arguments, instantiate)
        for name, arguments in items
        if arguments is not False
    )


def one_transform(name: Any, arguments: Any, instantiate: Callable[[Any], Any]) -> Transform:
    """One transform by its name, or by its ``_target_``."""
    if isinstance(name, Transform):
        return name
    described = name if isinstance(name, Mapping) else arguments
    if isinstance(described, Mapping) and "_target_" in described:
        made = instantiate(described)
        if not isinstance(made, Transform):
            raise ConfigError(f"data.augment: {described['_target_']} is not a Transform")
        return made
    if not isinstance(name, str) or name not in TRANSFORMS:
        raise ConfigError(
            f"data.augment={name}: must be of {', '.join(TRANSFORMS)}"
            f"{nearest(str(name), TRANSFORMS)}"
        )
    try:
        return TRANSFORMS[name](**(arguments if isinstance(arguments, Mapping) else {}))
    except TypeError as error:
        raise ConfigError(f"data.augment.{name}: {error}") from None
