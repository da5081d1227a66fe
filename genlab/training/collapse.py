"""Detection of a collapsed generator by its quick metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["WATCHED", "Collapse", "Reading"]

WATCHED = ("fd", "modes", "class_kl")
"""The numbers that are judged, by their short names."""

PUBLISHED = {"fd": "fid"}
"""Their names under the network of the literature."""


@dataclass(frozen=True)
class Reading:
    """The metrics of one evaluation during training.

    Args:
        images_seen: When it was.
        values: Metrics by key: ``fd_digits_2k``.
        floors: The same metrics of real images, as far as they are known.
    """

    images_seen: int
    values: Mapping[str, float]
    floors: Mapping[str, float] = field(default_factory=dict)

    def find(self, short: str) -> tuple[str, float, float | None] | None:
        """Key, value and floor of the first metric with this short name: ``fd``, ``modes``."""
        beginnings = (f"{short}_", f"{PUBLISHED.get(short, short)}_")
        for key, value in self.values.items():
            if key.startswith(beginnings) or key == PUBLISHED.get(short):
                return key, value, self.floors.get(key)
        return None


class Collapse:
    """Compares each evaluation with the best before it, and with real images.

    Mode collapse is the loss of kinds of images: the classifier finds fewer classes than before, or
    than there are, or in quite other shares. A lost game is a Fréchet distance far above its
    best: published GANs lost 1.5 to 5 times their best FID later in the same run.

    Args:
        fd_factor: The Fréchet distance may rise to this multiple of its best (plus its floor).
        modes: The number of classes found may fall to this share of the most.
        class_kl: Nats by which the shares of the classes may differ from those of real images.
    """

    def __init__(self, fd_factor: float = 2.0, modes: float = 0.5, class_kl: float = 0.5):
        self.fd_factor = fd_factor
        self.modes = modes
        self.class_kl = class_kl
        self.best: dict[str, list[float]] = {}
        """By short name, the best value and the images seen at it."""

    def judge(self, reading: Reading, early: bool = False) -> str | None:
        """A sentence about the collapse, None if there is none; remembers the best values.

        Args:
            reading: The new evaluation.
            early: True if the model may not have found all kinds of images yet; only what it has
                lost counts then.
        """
        found = [
            self._modes(reading, early),
            self._shares(reading, early),
            self._distance(reading),
        ]
        signs = [sign for sign in found if sign]
        return "; ".join(signs) or None

    def _modes(self, reading: Reading, early: bool) -> str | None:
        if (found := reading.find("modes")) is None:
            return None
        _key, value, floor = found
        most, when = self._keep("modes", value, reading.images_seen, better=max)
        wanted = most if early else max(most, floor or 0.0)
        if not wanted or value > self.modes * wanted:
            return None
        known = f" ({most:.0f} after {when:,.0f} images)" if most > value else ""
        return f"mode collapse: {value:.0f} of {wanted:.0f} classes are left{known}"

    def _shares(self, reading: Reading, early: bool) -> str | None:
        if (found := reading.find("class_kl")) is None:
            return None
        _key, value, _floor = found
        least, _when = self._keep("class_kl", value, reading.images_seen, better=min)
        # A model that has never had the right shares is late, one that had has lost them.
        late = not early and value > self.class_kl
        lost = least <= self.class_kl / 2 and value > self.class_kl
        if not late and not lost:
            return None
        return f"mode collapse: the classes' shares are {value:.2f} nats from those of real images"

    def _distance(self, reading: Reading) -> str | None:
        if (found := reading.find("fd")) is None:
            return None
        key, value, floor = found
        least, when = self._keep("fd", value, reading.images_seen, better=min)
        if value <= self.fd_factor * least + (floor or 0.0):
            return None
        return f"{key} was {least:.3g} after {when:,.0f} images and is {value:.3g} now"

    def _keep(self, name: str, value: float, images_seen: int, better: Any) -> list[float]:
        best = self.best.get(name)
        if best is None or better(value, best[0]) != best[0]:
            best = self.best[name] = [value, float(images_seen)]
        return best

    def state_dict(self) -> dict[str, Any]:
        """The best values, for a checkpoint."""
        return {k: list(v) for k, v in self.best.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what a checkpoint kept."""
        self.best = {k: list(v) for k, v in state.items()}
