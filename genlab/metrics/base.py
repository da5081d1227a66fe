"""A metric as an object: the numbers it gives, of how many samples, and how they are measured."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:  # nothing heavy: leaderboards read numbers, too
    from genlab.metrics.extractors.base import Extractor
    from genlab.metrics.report import Panel

__all__ = ["FeatureMetric", "Metric", "Number"]


@dataclass(frozen=True)
class Number:
    """A number of a metric, and how it is to be read. A report holds it beside the value.

    Args:
        name: What its keys begin with: ``fd`` of ``fd_digits_2k``.
        better: ``lower``, ``higher``, or None where neither is.
        label: Its name in words.
        unit: What it is counted in; empty for a pure number.
        published: Its name in the literature, for the network of the literature alone.
        rank: Place among the numbers that runs are ranked by where none is named; None is last.
        shown: Whether a leaderboard has a column for it beside the number that ranks.
    """

    name: str
    better: Literal["lower", "higher"] | None = None
    label: str = ""
    unit: str = ""
    published: str = ""
    rank: int | None = None
    shown: bool = True

    @property
    def text(self) -> str:
        """Label, unit and direction in one line; empty where there is no label.

        Example:
            >>> Number("nll", "lower", "negative log-likelihood", "nats").text
            'negative log-likelihood (nats), lower is better'
        """
        unit = f" ({self.unit})" if self.unit else ""
        way = f", {self.better} is better" if self.better else ""
        return f"{self.label}{unit}{way}" if self.label else ""


class Metric(ABC):
    """A metric of the samples themselves; `FeatureMetric` is one of what an extractor sees.

    The suite draws the samples, checks them, and measures real test samples in their place for the
    floor. A metric of your own needs `numbers` and `measure`; see docs/evaluation.md.

    Example:
        >>> class Brightness(Metric):
        ...     numbers = (Number("brightness_gap", "lower", "gap of the means", "levels"),)
        ...
        ...     def measure(self, samples, real):
        ...         gap = samples.float().mean() - real.samples("train").float().mean()
        ...         return {"brightness_gap": abs(gap)}
        >>> [number.name for number in Brightness().numbers]
        ['brightness_gap']
    """

    name: str = ""
    """Name of a built-in one in ``metrics.metrics``."""

    numbers: tuple[Number, ...] = ()
    """Its numbers, in the order of a report."""

    count: int = 10_000
    """Samples that its protocol asks for; a key without a count means these."""

    count_under: ClassVar[Mapping[str, int]] = {}
    """The same under extractors whose literature asks for another number."""

    least: int = 1
    """Samples without which it is not defined."""

    least_real: int = 1
    """Training images without which it is not."""

    @property
    def id(self) -> str:
        """Identity of its numbers beside their keys: those of another id do not compare.

        Empty for genlab's own metrics, else the class and its plain public attributes.
        """
        kind = type(self)
        if kind.__module__.startswith("genlab."):
            return ""
        settings = ", ".join(
            f"{key}={value}"
            for key, value in sorted(vars(self).items())
            if isinstance(value, str | int | float | None) and not key.startswith("_")
        )
        return f"{kind.__module__}.{kind.__qualname__}({settings})"

    def needs(self, extractor: "Extractor | None") -> bool:
        """True if it measures what this extractor sees; None stands for the samples themselves."""
        return extractor is None

    def count_for(self, extractor: "Extractor | None") -> int:
        """Samples that its protocol asks for under an extractor."""
        return self.count_under.get(extractor.name, self.count) if extractor else self.count

    def usable(self, n: int, n_train: int, n_test: int) -> int:
        """Samples that it uses of n, beside so many real ones: the n of its report."""
        return n

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
        """A picture of samples beside real ones, where the metric has one to show.

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
