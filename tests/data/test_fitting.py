"""Pictures made squares on a ground of the user's choice, or refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.data.folder import ImageFolder
from genlab.data.storage.fitting import Fitting
from genlab.errors import ConfigError, DataError

RED, BLUE = (255, 0, 0), (0, 0, 255)


def wide() -> Image.Image:
    """Red left half, blue right half, twice as wide as high."""
    picture = Image.new("RGB", (16, 8), RED)
    picture.paste(BLUE, (8, 0, 16, 8))
    return picture


def test_padding_keeps_the_whole_picture_between_two_bars_of_ground() -> None:
    array = Fitting(16, 3, way="pad", ground="#00ff00")(wide())
    expected = np.empty((16, 16, 3), np.uint8)
    expected[:] = (0, 255, 0)
    expected[4:12, :8], expected[4:12, 8:] = RED, BLUE
    np.testing.assert_array_equal(array.transpose(1, 2, 0), expected)


def test_cropping_keeps_the_middle() -> None:
    array = Fitting(8, 3)(wide()).transpose(1, 2, 0)
    assert (array[:, :4] == RED).all()
    assert (array[:, 4:] == BLUE).all()


@pytest.mark.parametrize(("ground", "grey"), [("white", 255), ("black", 0), ("#ff0000", 76)])
def test_the_ground_is_behind_what_is_transparent_in_grey_too(ground: str, grey: int) -> None:
    clear = Image.new("RGBA", (4, 4), (9, 9, 9, 0))
    assert (Fitting(4, 1, ground=ground)(clear) == grey).all()
    tall = Image.new("L", (2, 4), 200)
    array = Fitting(4, 1, way="pad", ground=ground)(tall)[0]
    assert (array[:, [0, 3]] == grey).all()
    assert (array[:, 1:3] == 200).all()


def test_what_is_done_is_said_in_the_words_of_the_way() -> None:
    assert Fitting(8, 3).treatments(wide()) == ["cropped to a square"]
    padded = Fitting(12, 3, way="pad", ground="black")
    assert padded.treatments(wide()) == ["padded with black to a square"]
    assert Fitting(12, 3).treatments(wide()) == ["cropped to a square", "enlarged"]
    clear = Image.new("RGBA", (9, 9))
    assert Fitting(8, 3, ground="grey").treatments(clear) == ["laid on grey (transparent)"]


def folder(root: Path) -> Path:
    for i in range(4):
        Image.new("RGB", (16, 16), (i, 0, 0)).save(root / f"{i}.png")
    wide().save(root / "wide.png")
    Image.new("L", (16, 16), 7).save(root / "grey.png")
    return root


def test_strict_refuses_by_name_what_would_be_changed(tmp_path: Path) -> None:
    data = ImageFolder(str(folder(tmp_path)), size=8, strict=True, test_size=0.5)
    with pytest.raises(DataError) as caught:
        data.load("train")
    said = str(caught.value)
    assert "data.strict=true" in said
    assert "grey.png (grey to colour); " in said
    assert "wide.png (cropped to a square)" in said
    for name in ("wide.png", "grey.png"):
        (tmp_path / name).unlink()
    whole = ImageFolder(str(tmp_path), size=8, strict=True)
    assert len(whole.load("train").x) + len(whole.load("test").x) == 4


def test_other_settings_are_other_data(tmp_path: Path) -> None:
    place = str(folder(tmp_path))
    keys = [
        ImageFolder(place, **options).key()
        for options in ({}, {"fit": "pad"}, {"ground": "black"}, {"strict": True})
    ]
    assert len(set(keys)) == 4


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"fit": "squeeze"}, "data.fit=squeeze: must be crop or pad"),
        ({"ground": "whit"}, "data.ground=whit: must be white, black, grey or #rrggbb"),
        ({"channels": 2}, "data.channels=2: must be 1"),
    ],
)
def test_bad_values_are_one_line(tmp_path: Path, options: dict, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ImageFolder(str(tmp_path), **options)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
