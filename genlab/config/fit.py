"""The fit of a model and a data set: whether the family models data of that kind."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from genlab.config.catalog import entries, family, kinds_of_data
from genlab.config.source import locate

__all__ = ["misfits"]


def misfits(content: Mapping[str, Any], folders: Sequence[Path]) -> Iterator[str]:
    """A line about a model that does not take the data, with those that do.

    Args:
        content: A whole config whose components may be named.
        folders: Where the configs of models lie.
    """
    sections = [content.get(name) for name in ("model", "data")]
    targets = [str(s.get("_target_")) if isinstance(s, Mapping) else "" for s in sections]
    model, data = (locate(target) for target in targets)
    chosen = family(model) if model else None
    kinds = kinds_of_data(data) if data else ()
    if model is None or data is None or chosen is None or not chosen.accepts or not kinds:
        return  # a function, say, whose source tells nothing: the model itself will refuse
    if not set(kinds) & set(chosen.accepts):
        known = entries("model", folders)
        names = [e.name for e in known if e.family and set(kinds) & set(e.family.accepts)]
        yield (
            f"model: {model.name} takes {' and '.join(chosen.accepts)} data, and {data.name} is "
            f"{kinds[0]} data; " + (f"take model={', '.join(names)}" if names else "no model does")
        )
