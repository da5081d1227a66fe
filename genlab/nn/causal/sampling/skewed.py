"""What a wavefront remembers: values, by the time that they are computed at."""

from collections.abc import Callable

from torch import Tensor

__all__ = ["SkewedMap"]

AHEAD = 12
"""Times that are made room for at once: few, for the pages of a long line are many."""


class SkewedMap:
    """A value of many rows, ``(rows, B, times, C)``, in which a slanted line is a plain matrix.

    Pixel ``(r, c)`` is computed at time ``c + lag r`` and lies there. So all pixels of a time, and
    neighbours of all of them beside each other, are ``(pixels * B, taps * C)`` with one stride: a
    matrix product reads them where they are. Of the past, only what kernels reach is kept. Outside
    the image are zeros.

    Args:
        batch: Images.
        channels: Channels.
        height: Rows.
        width: Columns.
        lag: How many columns a row is behind the one above.
        like: A tensor of the device and the dtype.
    """

    def __init__(self, batch: int, channels: int, height: int, width: int, lag: int, like: Tensor):
        self.batch, self.channels, self.height, self.width = batch, channels, height, width
        self.lag, self.like = lag, like
        self.top = self.past = 0
        self.data = like
        self.known: Tensor | None = None
        self.first = self.origin = 0

    def widen(self, top: int, past: int) -> None:
        """Makes room for a kernel that reaches so many rows up and so long into the past."""
        self.top, self.past = max(self.top, top), max(self.past, past)

    def begin(self, time: int) -> None:
        """Zeros, and what is known, from as long before a time as kernels reach."""
        length = (self.past + AHEAD) | 1  # odd, lest all rows fall to the same lines of a cache
        rows = self.top + self.height
        self.data = self.like.new_zeros(rows, self.batch, length, self.channels)
        self.origin = time - self.past
        self._recall()

    def know(self, value: Tensor, first: int) -> None:
        """Rows that are known whole, ``(B, C, rows, W)``, from row ``first`` on; before `begin`."""
        self.known, self.first = value, first

    def advance(self, time: int) -> None:
        """Makes room for a time, which must not be earlier than the one before."""
        length = self.data.shape[2]
        if time - self.origin < length:
            return
        moved = length - self.past
        self.origin += moved
        # All others are read no more, or not begun and zero.
        first = max(0, (self.origin - self.past - self.width) // self.lag)
        last = min(self.height, (self.origin + self.past) // self.lag + 1)
        rows = self.data[self.top + first : self.top + last]
        rows[:, :, : self.past] = rows[:, :, moved:].clone()
        for row in range(first, last):  # beyond their ends, where kernels look
            end = self.lag * row + self.width - self.origin
            self.data[self.top + row, :, max(end, self.past) :].zero_()
        self._recall()

    def reading(self, up: int, past: int, taps: int) -> Callable[[int, int, int], Tensor]:
        """What gives the values of neighbours, side by side.

        Args:
            up: How many rows above each pixel.
            past: How long ago, in times, the first of them was computed.
            taps: How many of them.

        Returns:
            A function of the time, the first row and the number of rows; its result
            ``(rows B, taps C)`` is of the map's memory.
        """
        width = taps * self.channels

        def at(time: int, row: int, count: int) -> Tensor:
            data = self.data
            across, image, step, _ = data.stride()
            start = (self.top + row - up) * across + (time - past - self.origin) * step
            return data.as_strided((count * self.batch, width), (image, 1), start)

        return at

    def _recall(self) -> None:
        """Writes what is known of the times that there is room for."""
        if self.known is None:
            return
        length, width = self.data.shape[2], self.known.shape[3]
        for i in range(self.known.shape[2]):
            row = self.first + i
            shift = self.lag * row - self.origin  # of column 0
            start, stop = max(0, -shift), min(width, length - shift)
            if start < stop:
                columns = self.known[:, :, i, start:stop].transpose(1, 2)
                self.data[self.top + row, :, start + shift : stop + shift] = columns
