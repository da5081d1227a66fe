"""Named ranges for constructor arguments: the type checker sees a number, the config check a range.

``latent: PositiveInt = 32`` is an ``int`` to Python and to mypy; before anything is loaded,
`genlab.config.check.check` reads the same annotation and refuses ``model.latent=-4`` in one line.
"""

from dataclasses import dataclass
from typing import Annotated

__all__ = [
    "Fraction",
    "NonNegativeFloat",
    "NonNegativeInt",
    "PositiveFloat",
    "PositiveInt",
    "Probability",
    "Range",
]


@dataclass(frozen=True)
class Range:
    """The values from ``low`` to ``high``; an open end leaves its end point out."""

    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        if self.low is not None and (value < self.low or (self.open_low and value == self.low)):
            return False
        return self.high is None or not (
            value > self.high or (self.open_high and value == self.high)
        )

    def __str__(self) -> str:
        low = "" if self.low is None else f"{'>' if self.open_low else '>='} {self.low:g}"
        high = "" if self.high is None else f"{'<' if self.open_high else '<='} {self.high:g}"
        return " and ".join(end for end in (low, high) if end)


PositiveInt = Annotated[int, Range(low=1)]
NonNegativeInt = Annotated[int, Range(low=0)]
PositiveFloat = Annotated[float, Range(low=0, open_low=True)]
NonNegativeFloat = Annotated[float, Range(low=0)]
Probability = Annotated[float, Range(low=0, high=1)]
Fraction = Annotated[float, Range(low=0, high=1, open_high=True)]
