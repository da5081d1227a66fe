"""Pixel heads by name."""

from typing import Literal

from genlab.errors import ConfigError
from genlab.nn.heads.base import Bernoulli, Categorical, Head
from genlab.nn.heads.gaussian import DequantizedGaussian
from genlab.nn.heads.logistic import DiscretizedLogisticMixture
from genlab.nn.heads.spiked import SpikedLogisticMixture
from genlab.types import ImageSpec

__all__ = ["HeadName", "make_head"]

HeadName = Literal["auto", "bernoulli", "categorical", "logistic", "spiked", "gaussian"]


def make_head(name: HeadName, spec: ImageSpec, *, components: int = 5) -> Head:
    """Builds the head for these images.

    Args:
        name: ``auto`` is Bernoulli for binary images and the mixture of logistics for others.
        spec: What the images look like.
        components: Number of components of the mixture of logistics.

    Raises:
        ConfigError: Bernoulli for images of more than two levels, masses for several channels.
    """
    if name == "auto":
        name = "bernoulli" if spec.levels == 2 else "logistic"
    if name == "bernoulli":
        if spec.levels != 2:
            raise ConfigError(
                f"model.head=bernoulli needs images of 2 levels, but data has {spec.levels}: "
                "take model.head=auto, categorical, logistic or gaussian, or binary data"
            )
        return Bernoulli(spec)
    if name == "categorical":
        return Categorical(spec)
    if name == "logistic":
        return DiscretizedLogisticMixture(spec, components)
    if name == "spiked":
        return SpikedLogisticMixture(spec, components)
    return DequantizedGaussian(spec)
