"""The small immutable records that every part of genlab shares."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args, get_type_hints

import torch
from torch import Tensor

from genlab.errors import ConfigError
from genlab.ranges import PositiveFloat, Range

__all__ = [
    "Batch",
    "ImageSpec",
    "LabelSpec",
    "Loss",
    "OnProgress",
    "SamplingOptions",
    "SequenceSpec",
    "Spec",
    "Tempered",
    "Unit",
    "VectorSpec",
]

Unit = Literal["pixel", "character", "token", "frame", "number", "label"]
"""What one of the `Spec.dims` of an example is, for reports: bits per pixel, per character ..."""

OnProgress = Callable[[int, int, Tensor], None]
"""Told of partial results, ``(done, total, x)``: steps done, steps in all, and what there is."""


@dataclass(frozen=True)
class Spec(ABC):
    """The kind and the geometry of one example: all that a model learns about its data up front.

    It is read off the data and handed to the model by the code, never repeated in YAML. A kind of
    data is a subclass; what can be done with it is a matter of `genlab.modalities`.

    Args:
        condition: What ``Batch.y`` holds beside each example, None where the data has nothing.
    """

    condition: "Spec | None" = field(default=None, kw_only=True)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of an example's tensor."""

    @property
    @abstractmethod
    def levels(self) -> int | None:
        """Number of values of each entry, the integers ``0 .. levels - 1``; None for reals."""

    @property
    @abstractmethod
    def unit(self) -> Unit:
        """Unit of an entry."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Of the entries outside a model."""

    @property
    def dims(self) -> int:
        """Number of entries, the divisor of bits/dim."""
        return math.prod(self.shape)

    @classmethod
    def kind(cls) -> str:
        """The kind of data in a word, ``image`` for `ImageSpec`."""
        return cls.__name__.removesuffix("Spec").lower()


@dataclass(frozen=True)
class LabelSpec(Spec):
    """One of a number of classes.

    Args:
        num_classes: How many; labels are int64 from 0 to ``num_classes - 1``.

    Example:
        >>> LabelSpec(10).shape, LabelSpec(10).levels, LabelSpec(10).kind()
        ((), 10, 'label')
    """

    num_classes: int
    unit = "label"
    dtype = torch.int64
    shape = ()

    @property
    def levels(self) -> int:
        """The number of classes."""
        return self.num_classes


@dataclass(frozen=True)
class ImageSpec(Spec):
    """Discrete images.

    Args:
        channels: Number of channels C.
        height: Height H in pixels.
        width: Width W in pixels.
        levels: Number of values a sub-pixel can take: 256 for 8-bit images, 2 for binary ones.
            Stored images hold the integers ``0 .. levels - 1`` as uint8.
        num_classes: Number of labels, 0 where the data has none; short for
            ``condition=LabelSpec(num_classes)``.
        condition: What ``Batch.y`` holds: labels, another image for image-to-image ...

    Raises:
        ValueError: ``num_classes`` beside another condition.

    Example:
        >>> spec = ImageSpec(1, 28, 28, num_classes=10)
        >>> spec.shape, spec.dims, spec.condition
        ((1, 28, 28), 784, LabelSpec(condition=None, num_classes=10))
        >>> ImageSpec(3, 32, 32, condition=ImageSpec(1, 32, 32)).condition.channels
        1
    """

    channels: int
    height: int
    width: int
    levels: int = 256
    num_classes: int = 0
    unit = "pixel"
    dtype = torch.uint8

    def __post_init__(self) -> None:
        labels = LabelSpec(self.num_classes) if self.num_classes else None
        if self.condition is None:
            object.__setattr__(self, "condition", labels)
        elif isinstance(self.condition, LabelSpec) and labels is None:
            object.__setattr__(self, "num_classes", self.condition.num_classes)
        elif labels not in (None, self.condition):
            raise ValueError(f"num_classes={self.num_classes} beside condition={self.condition}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(C, H, W)``; the entries are sub-pixels."""
        return (self.channels, self.height, self.width)


@dataclass(frozen=True)
class SequenceSpec(Spec):
    """Sequences of ids: characters, tokens, frames of music.

    Args:
        length: Ids in a sequence.
        levels: Size of the vocabulary, 256 for bytes.
        unit: What an id stands for.
        dtype: Of the ids; an embedding takes int32 and int64 only.
        vocabulary: The characters in the order of their ids; None where ids are no characters.

    Raises:
        ValueError: The vocabulary has another size, or a character twice.

    Example:
        >>> spec = SequenceSpec(128, levels=1000)
        >>> spec.shape, spec.dims, spec.dtype, spec.unit
        ((128,), 128, torch.int64, 'token')
        >>> SequenceSpec(8, levels=3, unit="character", vocabulary="abc").levels
        3
    """

    length: int
    levels: int = 256
    unit: Unit = "token"
    dtype: torch.dtype = torch.int64
    vocabulary: str | None = None

    def __post_init__(self) -> None:
        known = self.vocabulary
        if known is not None and not len(known) == len(set(known)) == self.levels:
            raise ValueError(f"{len(known)} characters are no vocabulary of {self.levels}")

    @property
    def shape(self) -> tuple[int]:
        """``(length,)``."""
        return (self.length,)


@dataclass(frozen=True)
class VectorSpec(Spec):
    """Vectors of real numbers, float32.

    Args:
        size: Numbers in a vector.

    Example:
        >>> VectorSpec(2).shape, VectorSpec(2).levels, VectorSpec(2).unit
        ((2,), None, 'number')
    """

    size: int
    levels = None
    unit = "number"
    dtype = torch.float32

    @property
    def shape(self) -> tuple[int]:
        """``(size,)``."""
        return (self.size,)


class Batch(NamedTuple):
    """A batch of examples.

    Args:
        x: ``(B, *shape)`` of the spec's dtype: images are uint8 ``(B, C, H, W)``, the integers
            ``0 .. levels - 1``.
        y: What `Spec.condition` describes: int64 labels ``(B,)``, images ``(B, C, H, W)``, ids
            ``(B, length)``; None where the data has nothing.
    """

    x: Tensor
    y: Tensor | None = None


class Loss(NamedTuple):
    """A player's loss on a batch.

    Args:
        total: The scalar to differentiate, a mean over the batch.
        parts: Detached scalars worth logging, by the field's names (``rate``, ``distortion``).
    """

    total: Tensor
    parts: dict[str, Tensor]


@dataclass(frozen=True)
class SamplingOptions:
    """Options of how a family draws samples: a frozen dataclass with a default for each field.

    A family names its own as `GenerativeModel.sampling_options`, and the command line takes its
    fields as ``sampling.steps=50``. Fields with a range of `genlab.ranges` are held to it.

    Raises:
        ConfigError: A value is out of its range.
    """

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self), include_extras=True).items():
            value = getattr(self, name)
            for limits in (limit for part in (hint, *get_args(hint)) for limit in limits_of(part)):
                if value is not None and value not in limits:
                    raise ConfigError(f"{name}={value}: must be {limits}")


@dataclass(frozen=True)
class Tempered(SamplingOptions):
    """Options of a family whose samples have a temperature and nothing else to choose.

    Args:
        temperature: Scale of the randomness; 1 samples from the model itself, below 1 samples are
            fewer in kind and better.

    Example:
        >>> Tempered(temperature=0)
        Traceback (most recent call last):
        genlab.errors.ConfigError: temperature=0: must be > 0
    """

    temperature: PositiveFloat = 1.0


def limits_of(hint: object) -> list[Range]:
    """The ranges in an annotation."""
    return [limit for limit in getattr(hint, "__metadata__", ()) if isinstance(limit, Range)]
