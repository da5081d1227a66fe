"""Configurations by dotted keys, and the hash that runs of one setting share."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from genlab.config.schema import Record, Train
from genlab.errors import ConfigError
from genlab.system.secrets import redact

__all__ = ["ABSENT", "OWN", "flat_config", "setting_hash", "shown_value", "table_values"]

OWN = (
    "seed",
    "name",
    "run",
    "root",
    "places",
    "group",
    "notes",
    "tags",
    "trust",
    "logger",
    "hydra",
    "objective",
)
"""Sections of a config that may differ between runs of one setting: they change no result."""


ABSENT = object()
"""The value of a key that a configuration lacks."""


def setting_hash(text: str) -> str:
    """The hash of a config less the seed and the names, which runs of one setting share.

    Neither the order of its keys counts nor a key that it lacks because it was saved before there
    was such a key: the value is what the program did then (`genlab.config.schema`).

    Example:
        >>> setting_hash("seed: 0\\nlr: 1\\n") == setting_hash("lr: 1\\nmodality: null\\n")
        True
        >>> setting_hash("seed: 0\\nlr: 1\\n") == setting_hash("seed: 1\\nlr: 1\\n")
        True
        >>> setting_hash("lr: 1\\n") == setting_hash("lr: 2\\n")
        False
    """
    import yaml

    try:
        content = _parse(text)
    except yaml.YAMLError:
        content = None
    if isinstance(content, dict):  # a damaged one is a setting of its own
        kept = {k: v for k, v in _merged(_younger_keys(), content).items() if k not in OWN}
        text = json.dumps(kept, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


@cache
def _younger_keys() -> dict[str, Any]:
    return _defaults(Train)


def _defaults(kind: type[Record]) -> dict[str, Any]:
    """The defaults of a record and of the records in it, by their keys."""
    hints, found = get_type_hints(kind), {}
    for field in fields(kind):
        hint = hints[field.name]
        if isinstance(hint, type) and issubclass(hint, Record):
            found[field.name] = _defaults(hint)
        elif field.default is not MISSING:
            found[field.name] = field.default
    return found


def _merged(defaults: Any, content: Any) -> Any:
    """A value with text for keys, and defaults for what it lacks."""
    if isinstance(content, list):
        return [_merged(None, item) for item in content]
    if not isinstance(content, Mapping):
        return content
    known = defaults if isinstance(defaults, Mapping) else {}
    return {**known, **{str(k): _merged(known.get(k), v) for k, v in content.items()}}


def flat_config(text: str, path: Path) -> dict[str, Any]:
    """A config.yaml by dotted keys, without secrets.

    Raises:
        ConfigError: It is damaged.
    """
    import yaml

    try:
        content = _parse(text)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"{path / 'config.yaml'} is damaged: {' '.join(str(error).split())}"
        ) from None
    if content is not None and not isinstance(content, dict):
        raise ConfigError(f"{path / 'config.yaml'} is damaged: a mapping is expected")
    return dict(_flatten(redact(content or {})))


@cache
def _parse(text: str) -> Any:
    import yaml

    # ten times as fast, where PyYAML was built with it
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _flatten(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def table_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration by dotted keys, with lists as JSON: what a tracker's table can compare.

    Example:
        >>> table_values({"model": {"latent": 8, "_target_": "a.B"}, "tags": ["x"]})
        {'model.latent': 8, 'model._target_': 'a.B', 'tags': '["x"]'}
    """
    return {
        key: value
        if isinstance(value, bool | int | float | str | None)
        else json.dumps(value, default=str)
        for key, value in _flatten(config)
    }


def shown_value(value: Any) -> str:
    """A configuration's value as a person would type it.

    Example:
        >>> shown_value(None), shown_value(True), shown_value([1, 2]), shown_value(1e-3)
        ('null', 'true', '[1,2]', '0.001')
        >>> shown_value("genlab.models.vae.VAE"), shown_value(0.00231551737)
        ('genlab.models.vae.VAE', '0.002316')
    """
    if value is ABSENT:
        return "-"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return f"[{','.join(map(shown_value, value))}]"
    return str(value)
