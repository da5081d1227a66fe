"""Detection of odd images with a run: the numbers, a table, a row for each image, and a picture."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table
from torch import Tensor

from genlab.applications.roc import auroc, false_alarms
from genlab.experiment.detector import FLOORS, SCORES, Detector
from genlab.metrics.base import Number
from genlab.metrics.report import Report, Value
from genlab.modalities.images.grid import grid
from genlab.modalities.images.levels import from_bytes
from genlab.modalities.rendering import Pixels
from genlab.types import Batch

__all__ = ["Detection", "Judged", "judge", "odd_picture"]


@runtime_checkable
class HasPixels(Protocol):
    """A model that says of each pixel how likely it is, given those before it."""

    def pixel_log_prob(self, batch: Batch) -> Tensor:
        """Nats, ``(B, H, W)``."""
        ...


PICTURED = 12
"""Odd images of a set in the picture."""


@dataclass(frozen=True)
class Judged:
    """A set of images with its scores.

    Args:
        images: uint8 ``(n, C, H, W)``, 0..255.
        scores: By the names of `SCORES` and `FLOORS`, ``(n,)`` each.
        p: Conformal p-values, ``(n,)``.
        names: Of the images.
    """

    images: Tensor
    scores: dict[str, Tensor]
    p: Tensor
    names: list[str]


def judge(detector: Detector, images: Tensor, what: str, names: list[str] | None = None) -> Judged:
    """Scores and p-values of a set."""
    scores = detector(images, what)
    return Judged(
        images, scores, detector.p_values(scores), names or [str(i) for i in range(len(images))]
    )


@dataclass(frozen=True)
class Detection:
    """What a run makes of normal and of odd images.

    Args:
        normal: Test images of the run's data.
        odd: The sets that it was measured by, by name.
        asked: The images in question, if there are some.
        score: The score of p-values and flags.
        alpha: Share of normal images that may be flagged.
    """

    normal: Judged
    odd: dict[str, Judged]
    asked: Judged | None
    score: str
    alpha: float

    def flagged(self, judged: Judged) -> float:
        """Share of a set that is flagged."""
        return float((judged.p <= self.alpha).double().mean())

    def values(self) -> list[Value]:
        """AUROC and false alarms of every score and set, and the shares that are flagged."""
        found = []
        for name, odd in self.odd.items():
            n, set_name = min(len(self.normal.p), len(odd.p)), key_of(name)
            for score in (*SCORES, *FLOORS):
                pair = self.normal.scores[score], odd.scores[score]
                shown = score == self.score
                for number, value in (
                    (Number("auroc", "higher", "odd images found", shown=shown), auroc(*pair)),
                    (Number("fpr95", "lower", "false alarms", shown=False), false_alarms(*pair)),
                ):
                    key = f"{number.name}_{score}_vs_{set_name}"
                    found.append(Value(key, value, number.better, n, "test", number=number))
        flags = Number("flagged", "lower", "normal images flagged", shown=False)
        share = self.flagged(self.normal)
        key = f"flagged_{self.score}_alpha{self.alpha:g}"
        found.append(Value(key, share, "lower", len(self.normal.p), "test", number=flags))
        return found

    def table(self) -> Table:
        """A row a score, a column a set: AUROC, and false alarms where 95 % are caught."""
        table = Table(
            title="area under the ROC curve (false alarms where 95 % are caught)",
            box=SIMPLE_HEAD,
            pad_edge=False,
        )
        table.add_column("score", no_wrap=True)
        for name in self.odd:
            table.add_column(f"vs {name}", justify="right")
        for score in (*SCORES, *FLOORS):
            cells = []
            for odd in self.odd.values():
                pair = self.normal.scores[score], odd.scores[score]
                cells.append(f"{auroc(*pair):.3f} ({false_alarms(*pair):.2f})")
            mark = " (no model)" if score in FLOORS else ""
            table.add_row(f"{score}{mark}", *cells)
        return table

    def lines(self) -> list[str]:
        """What is flagged, in sentences."""
        level = f"alpha={self.alpha:g}"
        n = len(self.normal.p)
        found = [f"{self.flagged(self.normal):.1%} of {n} normal images are flagged at {level}"]
        for name, odd in self.odd.items():
            found.append(f"{self.flagged(odd):.1%} of {len(odd.p)} of {name}")
        if self.asked is not None:
            count = int((self.asked.p <= self.alpha).sum())
            found.append(f"{count} of the {len(self.asked.p)} images in question")
        return found

    def rows(self) -> bytes:
        """A table of all images as CSV, the oddest first within a set."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["set", "image", "p", "flagged", *SCORES, *FLOORS])
        sets = {"normal": self.normal, **self.odd}
        if self.asked is not None:
            sets = {"images": self.asked, **sets}
        for name, judged in sets.items():
            order = judged.scores[self.score].argsort(descending=True, stable=True)
            for i in order.tolist():
                p = float(judged.p[i])
                scores = [f"{float(judged.scores[key][i]):.6g}" for key in (*SCORES, *FLOORS)]
                flag = int(p <= self.alpha)
                writer.writerow([name, judged.names[i], f"{p:.6g}", flag, *scores])
        return file.getvalue().encode()

    def add_to(self, report: Report) -> Report:
        """The report with the numbers."""
        report.values.extend(self.values())
        return report


def key_of(name: str) -> str:
    """A set's name as a part of a key.

    Example:
        >>> key_of("fashion_mnist"), key_of("../my odd/ones.npz")
        ('fashion_mnist', 'my_odd_ones_npz')
    """
    return "_".join("".join(c if c.isalnum() else " " for c in name).split())


def odd_picture(detector: Detector, sets: Mapping[str, Judged]) -> Pixels:
    """The oddest images of each set, a row a set; under an autoregressive model's, where they are.

    The map has the nats of each pixel: dark is likely, red and yellow are unlikely.
    """
    rows, model = [], detector.model
    for judged in sets.values():
        order = judged.scores[detector.score].argsort(descending=True, stable=True)[:PICTURED]
        images = judged.images[order]
        rows.append(filled(as_rgb(images)))
        if isinstance(model, HasPixels) and not model.conditional:
            x = from_bytes(images, model.spec.levels).to(model.device)
            rows.append(filled(heat(-model.pixel_log_prob(Batch(x, None)).cpu())))
    return grid(torch.cat(rows), columns=PICTURED)


def as_rgb(images: Tensor) -> Tensor:
    """Images of three channels."""
    return images.expand(-1, 3, -1, -1)


def filled(images: Tensor) -> Tensor:
    """A whole row: black where there are fewer images."""
    empty = images.new_zeros(max(0, PICTURED - len(images)), *images.shape[1:])
    return torch.cat([images, empty])


def heat(nats: Tensor) -> Tensor:
    """Nats of pixels ``(n, H, W)`` as colours, black to red to yellow, uint8 ``(n, 3, H, W)``."""
    t = (nats / nats.quantile(0.995).clamp_min(1e-6)).clamp(0, 1)
    colours = torch.stack([(2 * t).clamp(0, 1), (2 * t - 1).clamp(0, 1), torch.zeros_like(t)], 1)
    return (255 * colours).round().to(torch.uint8)
