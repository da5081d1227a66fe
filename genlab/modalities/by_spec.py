"""The modality that belongs to a kind of data."""

from genlab.errors import ConfigError
from genlab.modalities.base import Modality
from genlab.modalities.images.modality import ImageModality
from genlab.modalities.sequences.sequence_modality import SequenceModality
from genlab.types import ImageSpec, SequenceSpec, Spec

__all__ = ["modality_of"]

MODALITIES: dict[type[Spec], type[Modality]] = {
    ImageSpec: ImageModality,
    SequenceSpec: SequenceModality,
}
"""By the class of the spec; a subclass of a spec takes its parent's."""


def modality_of(spec: Spec) -> Modality:
    """The modality of data of a kind.

    Raises:
        ConfigError: There is none for it, or none that can show as many channels.

    Example:
        >>> modality_of(ImageSpec(1, 28, 28)).noun
        'images'
    """
    if isinstance(spec, ImageSpec) and spec.shape[0] not in (1, 3):
        raise ConfigError(
            f"data: images of {spec.shape[0]} channels have no picture, those of 1 (grey) or 3 "
            "(colour) do; modality=NAME names one of your own"
        )
    for kind in type(spec).__mro__:
        if kind in MODALITIES:
            return MODALITIES[kind](spec)
    known = ", ".join(kind.kind() for kind in MODALITIES)
    raise ConfigError(
        f"modality: there is none for {type(spec).kind()} data, only for {known}; "
        "modality=NAME names one of your own"
    )
