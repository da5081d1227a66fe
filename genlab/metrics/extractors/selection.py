"""Choosing extractors by name, or the one that fits a data set."""

import warnings
from collections.abc import Mapping, Sequence

import torch

from genlab.errors import ConfigError, nearest
from genlab.metrics.extractors.base import Extractor
from genlab.metrics.extractors.classifier import ClassifierExtractor, StackedClassifierExtractor
from genlab.metrics.extractors.dinov2 import DinoV2Extractor
from genlab.metrics.extractors.efficientnet import EfficientNetExtractor
from genlab.metrics.extractors.inception import InceptionExtractor
from genlab.metrics.extractors.picture_network import PicturesExtractor
from genlab.metrics.extractors.pixels import PixelsExtractor
from genlab.metrics.extractors.weights_files import WeightsMissing

__all__ = ["EXTRACTORS", "build", "choose", "own"]

EXTRACTORS = (
    "digits",
    "fashion",
    "stacked_digits",
    "pictures",
    "inception",
    "dinov2",
    "efficientnet",
    "pixels",
    "plane",
)

Shape = tuple[int, int, int]

LEAST_SIDE = 16
"""Height and width from which the network of pictures is chosen: it sees 64x64."""


def own(dataset: str, shape: Shape) -> str | None:
    """The extractor that was trained on the kind of image of a data set, if there is one.

    Example:
        >>> own("mnist_dyn", (1, 28, 28)), own("faces", (3, 32, 32)), own("cifar10", (3, 32, 32))
        ('digits', 'pictures', None)
    """
    if dataset in ("faces", "emoji"):
        return "pictures"
    if shape == (3, 28, 28) and dataset == "stacked_mnist":
        return "stacked_digits"
    if shape != (1, 28, 28):
        return None
    if dataset == "fashion_mnist":
        return "fashion"
    return "digits" if dataset == "mnist" or dataset.startswith("mnist_") else None


def without_weights(shape: Shape) -> str:
    """The extractor for data of any kind that needs no weights from elsewhere.

    Example:
        >>> without_weights((3, 64, 64)), without_weights((1, 28, 28)), without_weights((3, 4, 4))
        ('pictures', 'pixels', 'pixels')
    """
    return "pictures" if shape[0] == 3 and min(shape[1:]) >= LEAST_SIDE else "pixels"


def build(name: str, shape: Shape, *, path: str | None = None, download: bool = True) -> Extractor:
    """The extractor of that name for images of that shape.

    Raises:
        ConfigError: There is none of that name, or it is for images of another shape.
        WeightsMissing: Its weights were not found.
    """
    needed: dict[str, Shape] = {
        "digits": (1, 28, 28),
        "fashion": (1, 28, 28),
        "stacked_digits": (3, 28, 28),
    }
    # Whether it exists, and is for such images
    if name not in EXTRACTORS:
        raise ConfigError(
            f"metrics.extractors={name}: allowed are auto, fast, {', '.join(EXTRACTORS)}"
            f"{nearest(name, ('auto', 'fast', *EXTRACTORS))}"
        )
    if needed.get(name, shape) != shape:
        raise ConfigError(
            f"metrics.extractors={name}: it was trained on images of shape {needed[name]}, these "
            f"are {shape}; choose inception or pixels"
        )
    # Build it
    match name:
        case "plane":
            raise ConfigError(
                "metrics.extractors=plane: it needs data whose modes are points, data=gaussians"
            )
        case "digits" | "fashion":
            return ClassifierExtractor(name)
        case "stacked_digits":
            return StackedClassifierExtractor()
        case "pictures":
            return PicturesExtractor()
        case "inception":
            return InceptionExtractor(path, download=download)
        case "dinov2":
            return DinoV2Extractor(path, download=download)
        case "efficientnet":
            return EfficientNetExtractor(path, download=download)
        case _:
            return PixelsExtractor(*shape)


def choose(
    names: Sequence[str] | str,
    dataset: str,
    shape: Shape,
    *,
    paths: Mapping[str, str | None] | None = None,
    device: torch.device | str = "cpu",
    download: bool = True,
    given: Extractor | None = None,
) -> list[Extractor]:
    """The extractors to evaluate with, ready to use.

    Args:
        names: Their names, or ``auto``: the data set's own classifier where there is one, else
            Inception where its weights are, else, with one warning, the network of pictures for
            colour and pixels for gray. ``fast`` is ``auto`` without Inception on a CPU, where it
            costs half a second an image.
        dataset: Name of the data set.
        shape: ``(C, H, W)`` of its images.
        paths: Weights files by name of the extractor.
        device: Where they will run.
        download: Whether missing weights may be downloaded.
        given: An extractor that comes with the data set; it is what ``auto`` means then.

    Raises:
        ConfigError: An unknown name, or images of the wrong shape.
        WeightsMissing: An extractor asked for by name has no weights.
    """
    paths = paths or {}
    if names not in ("auto", "fast"):
        chosen = [names] if isinstance(names, str) else names
        found = [
            given
            if given is not None and n == given.name
            else build(n, shape, path=paths.get(n), download=download)
            for n in chosen
        ]
    elif given is not None:
        found = [given]
    elif name := own(dataset, shape):
        found = [build(name, shape)]
    elif names == "fast" and torch.device(device).type == "cpu":
        found = [build(without_weights(shape), shape)]
    else:
        try:
            found = [build("inception", shape, path=paths.get("inception"), download=download)]
        except WeightsMissing as error:
            name = without_weights(shape)
            warnings.warn(f"no fid: {error}. Distances are of {name} instead", stacklevel=2)
            found = [build(name, shape)]
    return [extractor.to(device) for extractor in found]
