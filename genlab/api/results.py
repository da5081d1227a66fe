"""Results that a notebook shows: samples, evaluations, comparisons."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.comparison.leaderboard import Leaderboard
    from genlab.comparison.ranking import Block
    from genlab.metrics.report import Report
    from genlab.modalities.base import Modality
    from genlab.modalities.rendering import Rendering
    from genlab.tasks.base import Outcome

__all__ = ["Comparison", "Evaluation", "Samples"]


@dataclass(frozen=True)
class Samples:
    """Samples of a model; a notebook shows them.

    Args:
        made: The examples, or frames of a film.
        modality: Their kind.
        note: Where they come from; kept in the files that they are saved to.
    """

    made: "Outcome"
    modality: "Modality"
    note: Mapping[str, Any]

    @property
    def x(self) -> "Tensor":
        """The examples ``(n, ...)``, images as bytes; of a film frames of examples."""
        return self.made.x

    @property
    def suffix(self) -> str:
        """Of the file that they are saved to if nothing else is asked for."""
        return ".gif" if self.made.film else self.modality.suffix

    @property
    def count(self) -> str:
        """Their number and noun, for a person."""
        noun = self.modality.noun
        if self.made.film:
            return f"{len(self.x):,} frames of {self.x.shape[1]:,} {noun}"
        return f"{len(self.x):,} {noun}"

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"{self.count} of {self.note['run']}"

    def render(self) -> "Rendering":
        """A picture or text for a person; of a film the last frame."""
        shown = self.made.x[-1] if self.made.film else self.made.x
        return self.modality.render(shown, self.made.columns)

    def save(self, target: str | Path) -> Path:
        """Writes them in the form that the name asks for; images: ``.png``, ``.npz``, a folder, and
        a film ``.gif``. Where a file has no record of its origin, a JSON file beside it has.

        Raises:
            ConfigError: The name asks for something else, or cannot be written to.
        """
        from genlab.modalities.provenance import write_sidecar
        from genlab.modalities.provenance_reading import find_record

        path = Path(target).expanduser()
        if self.made.film:
            written = self.modality.save_film(self.made.x, path, self.note)
        else:
            written = self.modality.save(self.made.x, path, self.made.columns, self.note)
        if written.is_file() and find_record(written) is None:
            write_sidecar(written, self.note)
        return written

    def _repr_png_(self) -> bytes | None:
        pixels = self.render().pixels
        if pixels is None:
            return None
        from PIL import Image

        content = io.BytesIO()
        Image.fromarray(pixels).save(content, format="PNG")
        return content.getvalue()


@dataclass(frozen=True)
class Evaluation:
    """The numbers of an evaluation; a notebook shows them as a table.

    Args:
        report: Every number with what it takes to trust it.
    """

    report: "Report"

    def __getitem__(self, key: str) -> float:
        return self.metrics[key]

    @property
    def metrics(self) -> dict[str, float]:
        """The values by their keys."""
        return self.report.scalars()

    def __repr__(self) -> str:
        return "\n".join(" ".join(map(str, row)) for row in self.rows())

    def rows(self) -> list[tuple[str, str, str, int]]:
        """Key, value, floor and sample count of each number."""
        return [
            (v.key, f"{v.value:.4g}", "" if v.floor is None else f"{v.floor:.4g}", v.n)
            for v in self.report.values
        ]

    def _repr_html_(self) -> str:
        return html_table(("metric", "value", "floor", "n"), self.rows())


@dataclass(frozen=True)
class Comparison:
    """A leaderboard; a notebook shows it as tables, one for each block of comparable runs.

    Args:
        board: What is known of the runs.
        blocks: What may be ranked with what, the best first.
        key: The metric that ranks.
    """

    board: "Leaderboard"
    blocks: "list[Block]"
    key: str

    @property
    def best(self) -> str:
        """The path of the best run of the first block; of several seeds the first.

        Raises:
            ConfigError: Nothing was ranked.
        """
        if not self.blocks or not self.blocks[0].rows:
            raise ConfigError(f"nothing was measured by {self.key}")
        return str(self.blocks[0].rows[0].path)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of all blocks in their order, as plain data."""
        from genlab.comparison.writing import to_plain

        plain = to_plain(self.board, self.blocks, self.key, False)
        found: list[dict[str, Any]] = plain["runs"]
        return found

    def __repr__(self) -> str:
        from genlab.comparison.writing import to_markdown

        return to_markdown(self.board, self.blocks, self.key, False)

    def _repr_html_(self) -> str:
        from genlab.comparison.columns import columns

        tables = []
        for block in self.blocks:
            shown = columns(self.board, self.key)
            rows = [tuple(column.text(row) for column in shown) for row in block.rows]
            tables.append(html_table([column.title for column in shown], rows))
        return "".join(tables)


def html_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table; all text is escaped.

    Example:
        >>> html_table(["a"], [["<b>"]])
        '<table><tr><th>a</th></tr><tr><td>&lt;b&gt;</td></tr></table>'
    """
    from html import escape

    first = "".join(f"<th>{escape(str(cell))}</th>" for cell in head)
    others = (
        f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><tr>{first}</tr>{''.join(others)}</table>"
