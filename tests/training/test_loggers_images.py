import io

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.modalities.images.grid import compare, grid, half_blocks, show
from genlab.modalities.rendering import save_png

GAP = 48


def test_every_pixel_of_a_grid():
    x = torch.tensor([[[[10, 20], [30, 40]]], [[[50, 60], [70, 80]]], [[[1, 2], [3, 4]]]])
    got = grid(x.to(torch.uint8), columns=2, padding=1)
    g = GAP
    expected = np.array(
        [
            [g, g, g, g, g, g, g],
            [g, 10, 20, g, 50, 60, g],
            [g, 30, 40, g, 70, 80, g],
            [g, g, g, g, g, g, g],
            [g, 1, 2, g, g, g, g],
            [g, 3, 4, g, g, g, g],
            [g, g, g, g, g, g, g],
        ],
        np.uint8,
    )
    np.testing.assert_array_equal(got, np.repeat(expected[..., None], 3, axis=2))


def test_it_equals_torchvisions_grid():
    utils = pytest.importorskip("torchvision.utils")
    x = torch.randint(0, 256, (10, 3, 5, 7), dtype=torch.uint8)
    theirs = utils.make_grid(x, nrow=4, padding=2, pad_value=GAP).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(grid(x, columns=4), theirs)


@pytest.mark.parametrize(
    ("levels", "values", "bytes_"),
    [
        (2, [0, 1], [0, 255]),
        (4, [0, 1, 2, 3], [0, 85, 170, 255]),
        (11, [0, 1, 3, 10], [0, 26, 77, 255]),  # 25.5 and 76.5: as in what metrics look at
        (256, [0, 1, 255], [0, 1, 255]),
    ],
)
def test_levels_are_stretched_to_bytes(levels, values, bytes_):
    x = torch.tensor(values, dtype=torch.uint8).reshape(1, 1, 1, -1)
    np.testing.assert_array_equal(grid(x, levels=levels, padding=0)[0, :, 0], bytes_)


def test_pairs_stand_one_above_the_other():
    a = torch.arange(1, 6, dtype=torch.uint8).reshape(5, 1, 1, 1)
    got = compare(a, a + 100, columns=3, padding=1)[..., 0]
    g = GAP
    np.testing.assert_array_equal(
        got,
        [
            [g, g, g, g, g, g, g],
            [g, 1, g, 2, g, 3, g],
            [g, g, g, g, g, g, g],
            [g, 101, g, 102, g, 103, g],
            [g, g, g, g, g, g, g],
            [g, 4, g, 5, g, g, g],
            [g, g, g, g, g, g, g],
            [g, 104, g, 105, g, g, g],
            [g, g, g, g, g, g, g],
        ],
    )


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.rand(2, 1, 4, 4), "uint8"),
        (torch.zeros(2, 2, 4, 4, dtype=torch.uint8), "1 or 3"),
        (torch.zeros(4, 4, dtype=torch.uint8), "1 or 3"),
        (torch.zeros(0, 1, 4, 4, dtype=torch.uint8), "1 or 3"),
    ],
)
def test_what_is_no_image_is_refused(x, message):
    with pytest.raises(ValueError, match=message):
        grid(x)


def test_a_value_beyond_the_levels_is_refused():
    with pytest.raises(ValueError, match="2 levels hold the value 255"):
        grid(torch.full((1, 1, 2, 2), 255, dtype=torch.uint8), levels=2)
    with pytest.raises(ValueError, match="equal shapes"):
        compare(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), torch.zeros(2, 1, 2, 2).byte())


def test_a_saved_png_holds_the_pixels_and_nothing_lies_beside_it(tmp_path):
    pixels = grid(torch.randint(0, 256, (4, 3, 6, 6), dtype=torch.uint8))
    save_png(tmp_path / "new" / "a.png", pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "a.png")), pixels)
    assert [f.name for f in (tmp_path / "new").iterdir()] == ["a.png"]


def test_half_blocks_hold_two_pixels_each():
    pixels = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [1, 2, 3]]], np.uint8)
    assert half_blocks(pixels, 80) == (
        "\x1b[38;2;255;0;0;48;2;0;0;255m▀\x1b[38;2;0;255;0;48;2;1;2;3m▀\x1b[0m"
    )
    wide = half_blocks(np.zeros((40, 100, 3), np.uint8), 50).split("\n")
    assert len(wide) == 10  # 40/100 of 50 columns, two pixels a line
    assert {line.count("▀") for line in wide} == {50}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_pictures_are_shown_on_terminals_only(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    pixels = grid(torch.randint(0, 256, (4, 1, 6, 6), dtype=torch.uint8))
    save_png(tmp_path / "a.png", pixels)
    terminal, pipe = Terminal(), io.StringIO()
    assert show(tmp_path / "a.png", width=20, file=terminal)
    assert terminal.getvalue() == half_blocks(pixels, 20) + "\n"
    assert not show(pixels, file=pipe)
    assert pipe.getvalue() == ""
    monkeypatch.setenv("NO_COLOR", "1")
    assert not show(pixels, width=20, file=terminal)
