"""Record of a spec as JSON can hold it: a run or an export is then used without its data."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch

from genlab.types import ImageSpec, LabelSpec, SequenceSpec, Spec, VectorSpec

__all__ = ["recorded_spec", "spec_record"]

KINDS: dict[str, type[Spec]] = {
    kind.kind(): kind for kind in (ImageSpec, LabelSpec, SequenceSpec, VectorSpec)
}


def spec_record(spec: Spec | None) -> dict[str, Any] | None:
    """The spec's fields by their names, and its kind; None for a kind of somebody else's.

    Example:
        >>> spec_record(LabelSpec(10))
        {'kind': 'label', 'num_classes': 10}
    """
    if spec is None or KINDS.get(spec.kind()) is not type(spec):
        return None
    record: dict[str, Any] = {"kind": spec.kind()}
    for field in fields(spec):
        value = getattr(spec, field.name)
        if isinstance(value, Spec):
            value = spec_record(value)
            if value is None:
                return None
        elif isinstance(value, torch.dtype):
            value = str(value).removeprefix("torch.")
        if value is not None:
            record[field.name] = value
    return record


def recorded_spec(record: Mapping[str, Any] | None) -> Spec | None:
    """The spec of a record; None where there is none, as in older runs.

    Example:
        >>> spec = ImageSpec(1, 8, 8, levels=2, condition=LabelSpec(3))
        >>> recorded_spec(spec_record(spec)) == spec
        True
    """
    if not record or record.get("kind") not in KINDS:
        return None
    given = {name: value for name, value in record.items() if name != "kind"}
    if "condition" in given:
        given["condition"] = recorded_spec(given["condition"])
    if "dtype" in given:
        given["dtype"] = getattr(torch, given["dtype"])
    return KINDS[record["kind"]](**given)
