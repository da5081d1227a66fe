"""A metric as an object: the numbers it gives, of how many samples, and how they are measured."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from genlab.errors import ConfigError

if TYPE_CHECKING:
    from genlab.metrics.extractors.base import Extractor
    from genlab.metrics.report import Panel

__all__ = ["FeatureMetric", "Metric", "Number", "published_count"]


@dataclass(frozen=True)
class Number:
    """A number of a metric, and how it is to be read. Reports hold all of it beside the value.

    Args:
        name: What its keys begin with: ``fd`` of ``fd_digits_2k``.
        better: ``lower``, ``higher``, or None where neither is.
        label: What it is, in words.
        unit: What it is counted in; empty for a pure number.
        published: Its name in the literature, for the network of the literature alone.
        rank: Place among the numbers that runs are ranked by where none is named; None is last.
        shown: Whether a leaderboard has a column for it beside the number that ranks.

    Raises:
        ConfigError: A name that is no word of small letters, digits and underscores.
    """

    name: str
    better: Literal["lower", "higher"] | None = None
    label: str = ""
    unit: str = ""
    published: str = ""
    rank: int | None = None
    shown: bool = True

    def __post_init__(self) -> None:
        if not re.fullmatch("[a-z][a-z0-9_]*", self.name) or self.name.startswith("floor_"):
            raise ConfigError(
                f"metrics.metrics: a number cannot be called {self.name!r}; small letters, digits "
                "and underscores are allowed, and no floor_ in front"
            )


class Metric(ABC):
    """A metric of the samples themselves; `FeatureMetric` is one of what an extractor sees.

    The suite draws the samples, checks them, and measures real test samples in their place for the
    floor. A metric of your own needs `name`, `numbers` and `measure`; see docs/evaluation.md.

    Example:
        >>> class Brightness(Metric):
        ...     name = "brightness"
        ...     numbers = (Number("brightness_gap", "lower", "gap of the mean", "levels"),)
        ...
        ...     def measure(self, samples, real):
        ...         gap = samples.float().mean() - real.samples("train").float().mean()
        ...         return {"brightness_gap": abs(gap)}
        >>> Brightness().id == f"{Brightness.__module__}.Brightness()"
        True
    """

    name: str = ""
    """What it is called in reports and errors, the built-in ones in ``metrics.metrics``, too."""

    numbers: tuple[Number, ...] = ()
    """What it gives, in the order of a report."""

    @property
    def id(self) -> str:
        """What its numbers depend on beside their keys; those of another id do not compare.

        Empty for genlab's own metrics, else the class and its plain public attributes.
        """
        kind = type(self)
        if kind.__module__.startswith("genlab."):
            return ""
        plain = (str, int, float, bool, type(None))
        settings = ", ".join(
            f"{key}={value}"
            for key, value in sorted(vars(self).items())
            if isinstance(value, plain) and not key.startswith("_")
        )
        return f"{kind.__module__}.{kind.__qualname__}({settings})"

    def needs(self, extractor: "Extractor | None") -> bool:
        """Whether it measures what this extractor sees; None stands for the samples themselves."""
        return extractor is None

    def count(self, extractor: "Extractor | None") -> int:
        """Samples that its protocol asks for; a key without a count means these."""
        return 10_000

    @abstractmethod
    def measure(self, samples: Any, real: Any) -> Mapping[str, Any]:
        """The numbers by their names; those that these samples do not define are left out.

        It runs without gradients and at full precision. Global random generators start from the
        suite's seed, and are put back afterwards.

        Args:
            samples: The samples as they were drawn, ``(n, ...)``; `Features` for a `FeatureMetric`.
            real: The other side, `RealSamples` or `RealFeatures`: ``real.subset("train", n)`` draws
                from it; its ``device`` is where heavy work belongs.

        Raises:
            DataError: These samples cannot be measured: too few of them, say.
        """

    def panel(self, samples: Any, seen: Any, real: Any) -> "Panel | None":
        """A picture of the samples beside real ones, where the metric has one to show.

        Args:
            samples: The samples as they were drawn.
            seen: What `measure` takes.
            real: The other side.
        """
        return None


class FeatureMetric(Metric):
    """A metric of what an extractor sees in the samples: its `measure` is given `Features`."""

    def needs(self, extractor: "Extractor | None") -> bool:
        return extractor is not None


def published_count(extractor: "Extractor | None") -> int:
    """Samples of published Fréchet distances, kernel distances and scores: 50,000 under the
    networks that they are published for, else 10,000."""
    published = extractor is not None and extractor.name in ("inception", "dinov2")
    return 50_000 if published else 10_000
