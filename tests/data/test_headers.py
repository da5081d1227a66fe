"""Headers of pictures, each kind read once: against Pillow, picture by picture."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from genlab.data.storage.decoding import open_picture
from genlab.data.storage.fitting import Fitting
from genlab.data.storage.headers import Header, Headers


def noise(seed: int, mode: str = "RGB", size: tuple[int, int] = (9, 7)) -> Image.Image:
    rows = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(rows).convert(mode)


def turned(path: Path, picture: Image.Image, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(path, exif=exif)


def commented(path: Path, picture: Image.Image) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "not the pixels: IDAT")
    picture.save(path, pnginfo=info)


KINDS: dict[str, Callable[[Path, int], None]] = {
    "plain.png": lambda p, k: noise(k).save(p),
    "wide.png": lambda p, k: noise(k, size=(20, 7)).save(p),
    "small.png": lambda p, k: noise(k, size=(3, 3)).save(p),
    "grey.png": lambda p, k: noise(k, "L").save(p),
    "line.png": lambda p, k: noise(k, "1").save(p),
    "palette.png": lambda p, k: noise(k, "L").convert("P").save(p),
    "keyed.png": lambda p, k: noise(k).save(p, transparency=(0, 0, 0)),
    "alpha.png": lambda p, k: noise(k, "RGBA").save(p),
    "deep.png": lambda p, k: noise(k, "L").convert("I;16").save(p),
    "turned.png": lambda p, k: turned(p, noise(k), 6),
    "film.png": lambda p, k: noise(k).save(p, save_all=True, append_images=[noise(k + 9)]),
    "commented.png": lambda p, k: commented(p, noise(k)),
    "plain.jpg": lambda p, k: noise(k).save(p),
    "wide.jpg": lambda p, k: noise(k, size=(20, 7)).save(p),
    "grey.jpg": lambda p, k: noise(k, "L").save(p),
    "cmyk.jpg": lambda p, k: noise(k, "CMYK").save(p),
    "upright.jpg": lambda p, k: turned(p, noise(k), 1),
    "turned.jpg": lambda p, k: turned(p, noise(k), 6),
    "progressive.jpg": lambda p, k: noise(k).save(p, progressive=True),
    "two.mpo": lambda p, k: noise(k).save(p, save_all=True, append_images=[noise(k + 9)]),
    "plain.gif": lambda p, k: noise(k).save(p),
    "plain.webp": lambda p, k: noise(k).save(p),
    "plain.bmp": lambda p, k: noise(k).save(p),
    "named.wrong.jpg": lambda p, k: noise(k).save(p, format="PNG"),
}


def by_pillow(path: Path, fitting: Fitting) -> Header:
    with open_picture(str(path)) as picture:
        said = f"{picture.width}x{picture.height}", f"{picture.format} {picture.mode}"
        return Header(*said, fitting.treatments(picture))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three pictures of each kind, which differ in their pixels."""
    root = tmp_path_factory.mktemp("pictures")
    paths = [root / f"{k}.{name}" for k in range(3) for name in KINDS]
    for path in paths:
        k, _, name = path.name.partition(".")
        KINDS[name](path, int(k))
    return paths


@pytest.mark.parametrize("fitting", [Fitting(8, 3), Fitting(4, 1, way="pad")])
def test_headers_of_all_kinds_are_those_of_pillow(files: list[Path], fitting: Fitting) -> None:
    headers = Headers(fitting)
    for path in files:
        assert headers.read(path) == by_pillow(path, fitting), path.name


def test_pictures_of_one_program_are_opened_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def spy(source: str) -> Image.Image:
        opened.append(source)
        return open_picture(source)

    monkeypatch.setattr("genlab.data.storage.headers.open_picture", spy)
    headers = Headers(Fitting(8, 3))
    for k in range(4):
        for name in ("plain.png", "plain.jpg"):
            KINDS[name](tmp_path / f"{k}.{name}", k)
            headers.read(tmp_path / f"{k}.{name}")
    assert len(opened) == 2


def test_damage_is_found_after_whole_pictures_of_the_same_kind(tmp_path: Path) -> None:
    headers = Headers(Fitting(8, 3))
    KINDS["plain.png"](tmp_path / "whole.png", 0)
    headers.read(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    for end in (0, 3, 8, 20, 33):
        (tmp_path / "cut.png").write_bytes(content[:end])
        with pytest.raises(OSError, match=r"cannot identify|[Tt]runcated"):
            headers.read(tmp_path / "cut.png")
