"""Suggestions for override keys that the config does not have."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from genlab.config.annotations import shown, unknown
from genlab.config.check import SUPPLIED, arguments_of
from genlab.config.overrides import key_of
from genlab.config.source import locate
from genlab.errors import nearest

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["unknown_key"]


def unknown_key(override: str, cfg: "DictConfig") -> str:
    """A line about an override whose key is not in the composed config.

    Args:
        override: As it was typed.
        cfg: The config without it.
    """
    from omegaconf import OmegaConf

    # The section that the key would lie in
    key = key_of(override).partition("@")[0].replace("/", ".")
    parent, _, name = key.rpartition(".")
    while parent and not OmegaConf.is_config(node_at(cfg, parent)):
        if node_at(cfg, parent) is not None:
            return f"{override}: {parent} is {shown(node_at(cfg, parent))} and has no keys"
        parent, _, name = parent.rpartition(".")
    node = node_at(cfg, parent) if parent else cfg
    known = [str(word) for word in node if not str(word).startswith("_")]
    if not parent:
        known += [str(group) for group in cfg.hydra.runtime.choices if "/" not in str(group)]
        known = [word for word in dict.fromkeys(known) if word != "hydra"]
    # What its class takes
    target = node.get("_target_") if OmegaConf.is_dict(node) else None
    definition = locate(target) if isinstance(target, str) else None
    where = parent or "the config"
    if definition is not None:
        where = definition.name
        supplied = SUPPLIED.get(parent, ())
        taken = [word for word in arguments_of(parent, definition).names if word not in supplied]
        if name in taken:
            return f"{override}: its YAML leaves {name} at the default; add it: +{override}"
        known = list(dict.fromkeys([*taken, *known]))
    # The nearest key, or the same one elsewhere
    if not parent and name in known:  # a group of which nothing was chosen
        return f"{override}: no {name} is chosen here; choose it first: {name}=NAME"
    if parent and not nearest(name, known):
        tail = key.removeprefix(f"{parent}.")
        elsewhere = [w for w in paths(cfg) if w == tail or w.endswith(f".{tail}")]
        if elsewhere:
            return f"{override}: {unknown(name, known, where)}; there is {', '.join(elsewhere[:3])}"
    return f"{override}: {unknown(name, known, where)}"


def node_at(cfg: "DictConfig", path: str) -> Any:
    """The config's node at a path, None where there is none or it cannot be resolved."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.select(cfg, path)
    except OmegaConfBaseException:
        return None


def paths(cfg: "DictConfig") -> list[str]:
    """The dotted paths of all keys of the job's config."""
    from omegaconf import OmegaConf

    def walk(section: Any, prefix: str = "") -> Iterator[str]:
        for key, value in section.items():
            if prefix or key != "hydra":
                yield f"{prefix}{key}"
                if isinstance(value, dict):
                    yield from walk(value, f"{prefix}{key}.")

    return list(walk(OmegaConf.to_container(cfg, resolve=False)))
