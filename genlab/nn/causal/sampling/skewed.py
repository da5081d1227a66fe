"""Skewed maps: a value of all pixels, of which every slanted line is a plain matrix."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

__all__ = ["Line", "SkewedMap"]


@dataclass
class Line:
    """The line at hand: the pixels ``(r, time - lag r)`` of ``count`` rows from ``first`` on."""

    time: int = 0
    first: int = 0
    count: int = 0

    def set(self, time: int, first: int, count: int) -> None:
        """Comes to another line."""
        self.time, self.first, self.count = time, first, count


class SkewedMap:
    """A value of the pixels of some rows, each shifted by ``lag`` columns against the one above.

    Pixel ``(r, c)`` of image b begins at ``((r B + b) L + lag r + c) C``, with L the length of a
    row and its margins. So the pixels of a line lie at one distance, ``L C``, over rows and images
    alike, and of each of them the neighbours lie side by side: a matrix ``(rows B, taps C)`` that
    a product reads where it is. Margins, and rows above the first, are zero; all other memory is
    as it came, and is written before it is read.

    Args:
        size: Images, channels, rows and columns.
        line: The line at hand, which changes.
        lag: How many columns a row is behind the one above.
        above: Rows above the first that kernels reach.
        margin: Columns on either side of the image that kernels reach.
        like: A tensor of the device and the dtype.

    Attributes:
        memory: All of it, row by row: ``(above + rows, B, L, C)``.
    """

    def __init__(
        self,
        size: tuple[int, int, int, int],
        line: Line,
        lag: int,
        above: int,
        margin: int,
        like: Tensor,
    ):
        self.batch, self.channels, rows, self.width = size
        self.line, self.lag, self.above, self.margin = line, lag, above, margin
        length = (self.width + 2 * margin) | 1  # odd, lest all rows fall to the same cache lines
        self.distance = length * self.channels
        across = self.batch * self.distance + lag * self.channels  # from a row to the next
        shape = (above + rows, self.batch, length, self.channels)
        memory = like.new_empty(shape[0] * across)
        self.memory = memory.as_strided(shape, (across, self.distance, self.channels, 1))
        self.memory[:above] = 0
        self.memory[:, :, :margin] = 0
        self.memory[:, :, margin + self.width :] = 0

    def write(self, value: Tensor, first: int = 0) -> None:
        """Fills in whole rows ``(B or 1, C, rows, W or 1)``, from one of them on."""
        into = self.memory[self.above + first : self.above + first + value.shape[2]]
        into[:, :, self.margin : self.margin + self.width] = value.permute(2, 0, 3, 1)

    def move_up(self) -> None:
        """Makes the first row of the line the first of the map: moves what kernels still reach."""
        past = self.margin + self.lag * self.above
        for row in range(self.line.first - self.above, self.line.first + self.line.count):
            now = self.line.time - self.lag * row + self.margin
            if now > self.margin:  # not the row that is about to begin, for which there is no room
                columns, place = slice(max(0, now - past), now), self.above + row
                self.memory[place - self.line.first, :, columns] = self.memory[place, :, columns]

    def reading(self, up: int = 0, left: int = 0, taps: int = 1) -> Callable[[], Tensor]:
        """Reader of the neighbours' values side by side, for each pixel of the line.

        Args:
            up: How many rows above each pixel.
            left: How many columns to the left the first of them is.
            taps: How many of them.

        Returns:
            A function whose result ``(rows B, taps C)`` is a view of the map.
        """
        line, memory, batch, distance = self.line, self.memory, self.batch, self.distance
        channels, columns = self.channels, taps * self.channels
        # With `time`, the first column read of any row: rows are shifted as lines are slanted.
        offset = self.lag * (self.above - up) + self.margin - left

        def read() -> Tensor:
            row = (self.above + line.first - up) * batch * distance
            start = row + (line.time + offset) * channels
            return memory.as_strided((line.count * batch, columns), (distance, 1), start)

        return read
