"""The tower as one picture: the rooms on their floors, and a dot where one imports another.

    python scripts/tower.py     # writes docs/tower.svg

The rows and the columns are the rooms from the roof to the ground, so all dots lie right of the
diagonal: a room imports what stands below it. Rooms on one floor share a band and no dot.
"""

import ast
from html import escape
from textwrap import wrap

from layers import LAYERS, LEVEL, MODULES, ROOT, TREES, imports, room, within

__all__ = ["TARGET", "draw"]

TARGET = ROOT / "docs" / "tower.svg"

ROW, CELL = 36, 26
"""Height of a row and width of a column of the matrix, in pixels."""

NAMES, TEXTS, WRAP = 16, 122, 52
"""Where names and descriptions begin, and characters in a line of a description."""

MATRIX, TOP = 462, 104
"""Where the matrix begins."""

BANDS = ("#ffffff", "#eef2f8")
INK, FAINT, DOT, LINE = "#1b2330", "#5a6675", "#2f5d9b", "#c9d3e0"

GROUND = "ground"
"""The name of the modules on the ground floor, which are one row."""


def rows() -> list[tuple[str, tuple[str, ...], int]]:
    """The rows from the roof to the ground: a name, the rooms that it stands for, its floor."""
    found: list[tuple[str, tuple[str, ...], int]] = [(GROUND, LAYERS[0], 0)]
    for level, names in enumerate(LAYERS[1:], 1):
        found += [(name, (name,), level) for name in reversed(names)]
    return found[::-1]


def description(rooms: tuple[str, ...]) -> str:
    """What a room says of itself: the first line of its docstring."""
    if len(rooms) > 1:
        return "What everything stands on: " + ", ".join(name for name in rooms if name)
    text = ast.get_docstring(TREES[f"genlab.{rooms[0]}"]) or ""
    return text.partition("\n")[0]


def edges() -> set[tuple[str, str]]:
    """Which room imports which other one."""
    return {
        (room(name), room(module))
        for name, tree in TREES.items()
        for module in imports(tree, name)
        if within(module, ["genlab"]) and module in MODULES and room(module) != room(name)
    }


def draw() -> str:
    """The picture as SVG."""
    table = rows()
    width, height = MATRIX + CELL * len(table) + 24, TOP + ROW * len(table) + 48
    known = edges()
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="system-ui, sans-serif" role="img">',
        "<title>The rooms of genlab and what each imports</title>",
        f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>',
        *heading(),
    ]
    for i, (name, rooms, level) in enumerate(table):
        parts += row(i, name, description(rooms), level, width)
    parts += [column(i, name, len(table)) for i, (name, _, _) in enumerate(table)]
    for i, (_, uppers, _) in enumerate(table):
        for j, (_, lowers, _) in enumerate(table):
            if touches(known, uppers, lowers):
                parts.append(dot(i, j))
    parts.append(
        text(MATRIX, height - 26, "left of the diagonal: imports from above, of which", 12)
    )
    parts.append(text(MATRIX, height - 10, "tests/test_architecture.py allows none", 12))
    return "\n".join([*parts, "</svg>", ""])


def touches(known: set[tuple[str, str]], uppers: tuple[str, ...], lowers: tuple[str, ...]) -> bool:
    """Whether a room of the first imports one of the second."""
    return uppers != lowers and any((a, b) in known for a in uppers for b in lowers)


def heading() -> list[str]:
    """The words above the table."""
    return [
        text(NAMES, 34, "The tower of genlab", 20, INK, "bold"),
        text(NAMES, 58, "a room a row, its floor a band;", 12),
        text(NAMES, 75, "a dot: the room of the row imports the room of the column", 12),
    ]


def row(i: int, name: str, words: str, level: int, width: int) -> list[str]:
    """A room: its band, its name and what it says of itself."""
    y = TOP + ROW * i
    lines = wrap(words, WRAP)[:2]
    first = y + ROW / 2 + (4 if len(lines) == 1 else -3)
    return [
        f'<rect x="0" y="{y}" width="{width}" height="{ROW}" fill="{BANDS[level % 2]}"/>',
        text(NAMES, y + ROW / 2 + 5, name, 14, INK, "bold"),
        *(text(TEXTS, first + 14 * k, line, 11.5) for k, line in enumerate(lines)),
        f'<rect x="{MATRIX + CELL * i}" y="{y}" width="{CELL}" height="{ROW}" fill="{LINE}"/>',
    ]


def dot(i: int, j: int) -> str:
    """The room of row i imports that of column j."""
    x, y = MATRIX + CELL * (j + 0.5), TOP + ROW * (i + 0.5)
    return f'<circle cx="{x}" cy="{y}" r="6" fill="{DOT}"/>'


def column(i: int, name: str, n: int) -> str:
    """A column's name, slanting, and its line down the matrix."""
    x = MATRIX + CELL * (i + 0.5)
    return (
        f'<path d="M{x} {TOP}V{TOP + ROW * n}" stroke="{LINE}" stroke-width="1" opacity="0.6"/>'
        f'<g transform="translate({x + 4} {TOP - 8}) rotate(-52)">{text(0, 0, name, 12, INK)}</g>'
    )


def text(
    x: float, y: float, words: str, size: float, fill: str = FAINT, weight: str = "normal"
) -> str:
    """A line of text."""
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" '
        f'fill="{fill}">{escape(words)}</text>'
    )


if __name__ == "__main__":
    TARGET.write_text(draw())
    print(f"{TARGET.relative_to(ROOT)}: {len(rows())} rooms on {len(set(LEVEL.values()))} floors")
