"""A folder of the user's pictures: each row of docs/pictures.md, against Pillow and datasets."""

import io
import os
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from genlab.data.feed.identity import changes, identity
from genlab.data.folder import ImageFolder
from genlab.data.module import ImageDataModule
from genlab.data.storage.folder_layout import split_of_name
from genlab.data.storage.picture_files import FORMATS, SUFFIXES
from genlab.errors import ConfigError, DataError, GenlabError

PAGE = Path(__file__).parents[2] / "docs" / "pictures.md"
RNG = np.random.default_rng(0)


def rows(title):
    """First cells of the table below a heading of the page."""
    section = PAGE.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    return [
        line.split(" | ")[0].removeprefix("| ")
        for line in section.splitlines()
        if line.startswith("| ")
    ][1:]


def lay(root, *folders, n=4):
    """Pictures, all of them different, in folders; a name with a suffix is a picture itself."""
    for folder in folders:
        names = (
            [folder] if "." in Path(folder).name[1:] else [f"{folder}/{i}.png" for i in range(n)]
        )
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(RNG.integers(0, 256, (8, 8, 3), np.uint8)).save(path)


def read(root, **keys):
    return ImageFolder(str(root), size=8, **keys)


def counts(source):
    """Number of pictures of each split, and the classes."""
    source.prepare()
    return {name: len(source.load(name).x) for name in source.splits_there()}, source.classes


CATS = ["cat", "dog"]
SPLITS = [f"{s}/{k}" for s in ("train", "test") for k in CATS]
LAYOUTS = {
    "`0.png 1.png ...`": (["."], {"train": 3, "test": 1}, []),
    "`cat/ dog/`": (CATS, {"train": 7, "test": 1}, CATS),
    "`cat/a/ dog/b/`": (["cat/a", "dog/b"], {"train": 7, "test": 1}, CATS),
    "`pictures/cat/ pictures/dog/`": ([f"p/{k}" for k in CATS], {"train": 7, "test": 1}, CATS),
    "`cat/`": (["cat"], {"train": 3, "test": 1}, []),
    "`0/ 1/ ... 11/`": (
        [str(k) for k in range(12)], {"train": 43, "test": 5}, [str(k) for k in range(12)]
    ),
    "`cat/ dog/ 0.png`": ([*CATS, "0.png"], {"train": 8, "test": 1}, []),
    "`train/cat/ test/cat/ ...`": (SPLITS, {"train": 8, "test": 8}, CATS),
    "`Training/ Validation/ TESTING/`": (
        ["Training", "Validation", "TESTING"], {"train": 4, "test": 4, "val": 4}, []
    ),
    "`train/ val/`": (["train", "val"], {"train": 3, "test": 1, "val": 4}, []),
    "`train2017/ val2017/`": (["train2017", "val2017"], {"train": 3, "test": 1, "val": 4}, []),
    "`cat_train/ cat_test/ dog_train/ dog_test/`": (
        [f"{k}_{s}" for s in ("train", "test") for k in CATS], {"train": 8, "test": 8}, CATS
    ),
    "`cat/train/ cat/test/ dog/train/ dog/test/`": (
        [f"{k}/{s}" for s in ("train", "test") for k in CATS], {"train": 8, "test": 8}, CATS
    ),
    "`train/train/cat/ test/test/cat/ ...`": (
        [f"seg_{s}/seg_{s}/{k}" for s in ("train", "test") for k in CATS],
        {"train": 8, "test": 8}, CATS,
    ),
    "`data/train/cat/ data/test/cat/ ...`": (
        [f"data/{s}" for s in SPLITS], {"train": 8, "test": 8}, CATS
    ),
    "`train/ test/ 0.png`": (["train", "test", "0.png"], {"train": 4, "test": 4}, []),
    "`train/ test/ extra/`": (["train", "test", "extra"], "are train, test|are test, train", None),
    "`train/ car/`": (["train", "car"], {"train": 7, "test": 1}, ["car", "train"]),
    "`train/cat/ test/cat/ test/dog/ ...`": (
        ["train/cat", "train/cow", "test/cat", "test/dog"],
        {"train": 8, "test": 8}, ["cat", "cow", "dog"],
    ),
    "`cat -> /elsewhere/cat`": (["dog"], {"train": 7, "test": 1}, CATS),
    "`cat -> nothing`": (["dog"], "cat: expected .* found a link to nothing", None),
    "`.hidden/ __MACOSX/ ._0.png`": (
        [*CATS, ".hidden", "__MACOSX", "cat/._0.png"], {"train": 7, "test": 1}, CATS
    ),
    "`train_0.png test_0.png`": (["train_0.png", "test_0.png"], {"train": 1, "test": 1}, []),
}  # fmt: skip
SAID = {
    "`cat/ dog/ 0.png`": "no classes: 1 of 9 pictures",
    "`train/ test/ 0.png`": "left out: 1 pictures beside the folders of the splits",
    "`train/cat/ test/cat/ test/dog/ ...`": "class 'dog' has no training pictures",
    "`cat -> /elsewhere/cat`": "1 links in a circle",
    "`.hidden/ __MACOSX/ ._0.png`": "left out: 3 hidden",
}


def make_layout(layout, tmp_path):
    root = tmp_path / "root"
    lay(root, *LAYOUTS[layout][0])
    if "->" in layout:
        lay(tmp_path, "elsewhere")
        target = "nothing" if "nothing" in layout else "elsewhere"
        (root / "cat").symlink_to(tmp_path / target)
        (root / "dog" / "up").symlink_to(root)
    return root


def test_every_layout_of_the_page_is_tested():
    assert rows("Layouts") == list(LAYOUTS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, tmp_path):
    root, (_, want, classes) = make_layout(layout, tmp_path), LAYOUTS[layout]
    if isinstance(want, str):
        with pytest.raises(GenlabError, match=want):
            read(root).prepare()
        return
    source = read(root)
    assert counts(source) == (want, classes)
    assert SAID.get(layout, "") in "\n".join(source.notes())


SAME_AS_DATASETS = [
    "`0.png 1.png ...`",
    "`cat/ dog/`",
    "`pictures/cat/ pictures/dog/`",
    "`cat/`",
    "`train/cat/ test/cat/ ...`",
    "`train/ val/`",
    "`train2017/ val2017/`",
    "`data/train/cat/ data/test/cat/ ...`",
    "`train/train/cat/ test/test/cat/ ...`",
    "`.hidden/ __MACOSX/ ._0.png`",
]


@pytest.mark.parametrize("layout", SAME_AS_DATASETS)
def test_layouts_are_those_of_datasets(layout, tmp_path, monkeypatch):
    """Which file is in which split and class, as the library has it."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    root = make_layout(layout, tmp_path)
    theirs = datasets.load_dataset(
        "imagefolder", data_dir=str(root), cache_dir=str(tmp_path / "cache")
    )
    source = read(root)
    names = {"validation": "val"}
    ours = {name: {str(p) for p in paths} for name, paths in source.splits.items()}
    if "test" not in theirs:  # which we set aside
        ours["train"] |= ours.pop("test")
    found = {}
    for split, data in theirs.items():
        data = data.cast_column("image", datasets.Image(decode=False))
        files = [row["image"]["path"] for row in data]
        found[names.get(split, split)] = {str(Path(f)) for f in files}
        if not source.classes:  # they take folders named like splits for classes of one each
            names_of = data.features["label"].names if "label" in data.column_names else []
            assert {split_of_name(name) is None for name in names_of} <= {False}
            continue
        assert data.features["label"].names == source.classes
        by_path = dict(zip(files, data["label"], strict=True))
        for name, paths in source.splits.items():
            for path, y in zip(paths, source.labels_of(name), strict=True):
                assert by_path.get(str(path), y) == y
    assert ours == found


def test_the_user_decides_where_it_is_unclear(tmp_path):
    lay(tmp_path, "train/cat", "train/dog", "test/cat", "extra/cow", "0.png")
    with pytest.raises(ConfigError, match=r"data.splits=true .* data.splits=false"):
        read(tmp_path).prepare()
    source = read(tmp_path, splits=True)
    assert counts(source) == ({"train": 8, "test": 4}, CATS)
    assert source.skipped == {"pictures beside the folders of the splits": 5}
    assert counts(read(tmp_path, splits=False, labels=True))[1] == ["extra", "test", "train"]
    with pytest.raises(ConfigError, match=r"there are no folders train and test"):
        read(tmp_path / "extra", splits=True).prepare()


def test_labels_true_leaves_the_others_out(tmp_path):
    lay(tmp_path, *CATS, "0.png")
    source = read(tmp_path, labels=True)
    assert counts(source) == ({"train": 7, "test": 1}, CATS)
    assert "1 pictures in no class's folder" in source.notes()[0]


def test_images_and_labels_are_those_of_their_files(tmp_path):
    """The right pixels under the right label, in each split."""
    for k in range(12):
        for split in ("Train", "VAL", "testing"):
            (tmp_path / split / str(k)).mkdir(parents=True)
            for i in range(3):
                Image.new("L", (8, 8), 20 * k + 3).save(tmp_path / split / str(k) / f"{i}.png")
    source = read(tmp_path, channels=1)
    assert source.class_names == tuple(map(str, range(12)))
    for split in ("train", "val", "test"):
        loaded = source.load(split)
        assert (loaded.x[:, 0, 0, 0] == 20 * loaded.y + 3).all()
    data = ImageDataModule(source, val_size=5)
    assert (len(data.train.x), len(data.val.x), len(data.test.x)) == (36, 36, 36)
    assert "36 validation (its own)" in data.summary()


# ----------------------------------------------------------------------------------------------
# Modes


def noise(*shape, top=255, dtype=np.uint8):
    return np.random.default_rng(1).integers(0, top + 1, shape).astype(dtype)


def on_white(rgba):
    """Alpha composition by its formula, in whole numbers as near as Pillow is to it."""
    x = np.asarray(rgba, np.float64)
    alpha = x[..., 3:] / 255
    return (x[..., :3] * alpha + 255 * (1 - alpha)).round()


def lab():
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    return ImageCms.applyTransform(Image.fromarray(noise(8, 8, 3)), to_lab)


GREY, RGB, RGBA = noise(8, 8), noise(8, 8, 3), noise(8, 8, 4)
DEEP = noise(8, 8, top=65535, dtype=np.uint16)
DEEP[0, 0] = 65535
TWELVE = noise(8, 8, top=4095, dtype=np.uint16)
TWELVE[0, 0] = 4095
PALETTE = Image.fromarray(RGB).quantize(16)


def as_jpeg():
    """What Pillow reads of a JPEG of the colours."""
    file = io.BytesIO()
    Image.fromarray(RGB).convert("YCbCr").save(file, format="JPEG")
    return np.asarray(Image.open(file).convert("RGB"))


def luma(rgb):
    return np.asarray(Image.fromarray(np.asarray(rgb, np.uint8)).convert("L"))


def rotated():
    picture = Image.fromarray(np.rot90(RGB).copy())
    exif = picture.getexif()
    exif[0x0112] = 6
    return picture, {"exif": exif}


def frames(kind):
    first, second = Image.fromarray(GREY), Image.fromarray(255 - GREY)
    return first, {"save_all": True, "append_images": [second], "format": kind}


def wide():
    return np.concatenate([np.zeros((8, 4), np.uint8), GREY, np.zeros((8, 4), np.uint8)], 1)


# Picture (with how to save it), suffix, what it must be in grey and in colour, and what is said.
MODES = {
    "black and white (1)": (
        Image.fromarray(GREY > 127),
        "png",
        255 * (GREY > 127),
        None,
        "black and white to grey",
    ),
    "grey (L)": (Image.fromarray(GREY), "png", GREY, None, "grey to colour"),
    "grey with transparency (LA)": (
        Image.merge("LA", [Image.fromarray(GREY)] * 2),
        "png",
        on_white(np.stack([GREY] * 4, -1))[..., 0],
        None,
        "laid on white",
    ),
    "palette (P)": (PALETTE, "png", None, np.asarray(PALETTE.convert("RGB")), "P to RGB"),
    "palette with transparency (P)": (
        (PALETTE, {"transparency": PALETTE.getpixel((0, 0))}),
        "png",
        None,
        np.where(
            (np.asarray(PALETTE) == PALETTE.getpixel((0, 0)))[..., None],
            255,
            np.asarray(PALETTE.convert("RGB")),
        ),
        "laid on white",
    ),
    "colour (RGB)": (Image.fromarray(RGB), "png", luma(RGB), RGB, ""),
    "colour with transparency (RGBA)": (
        Image.fromarray(RGBA),
        "png",
        None,
        on_white(RGBA),
        "laid on white",
    ),
    "CMYK": (Image.fromarray(RGB).convert("CMYK"), "tif", luma(RGB), RGB, "CMYK to RGB"),
    "YCbCr": (Image.fromarray(RGB).convert("YCbCr"), "jpg", None, as_jpeg(), ""),
    "LAB": (
        lab(),
        "tif",
        luma(lab().convert("RGB")),
        np.asarray(lab().convert("RGB")),
        "LAB to RGB",
    ),
    "grey of 16 bits (I;16)": (
        Image.fromarray(DEEP),
        "png",
        DEEP / 257,
        None,
        "grey of 16 bits to 8",
    ),
    "grey of 12 bits in 16": (
        Image.fromarray(TWELVE),
        "tif",
        TWELVE / 4095 * 255,
        None,
        "12 bits in 16: the largest value is 4095",
    ),
    "grey of 16 bits in 32 (I)": (
        Image.fromarray(DEEP.astype(np.int32)),
        "tif",
        DEEP / 257,
        None,
        "grey of 16 bits to 8",
    ),
    "32 bits of wider range (I)": (
        Image.fromarray(DEEP.astype(np.int32) * 9),
        "tif",
        None,
        None,
        "values from",
    ),
    "32 bits with a point (F)": (
        Image.fromarray(GREY.astype(np.float32)),
        "tif",
        None,
        None,
        "no known range",
    ),
    "colour of 16 bits": (None, "png", None, RGB, "colour of 16 bits to its upper 8"),
    "several frames (GIF, TIFF, PNG, WebP)": (
        frames("TIFF"),
        "tif",
        GREY,
        None,
        "first frame of several",
    ),
    "turned by EXIF": (rotated(), "png", luma(RGB), RGB, "turned upright"),
    "not square": (Image.fromarray(wide()), "png", GREY, None, "cropped to a square"),
    "smaller than `data.size`": (
        Image.new("L", (4, 4), 77),
        "png",
        np.full((8, 8), 77),
        None,
        "enlarged",
    ),
    "cut off, empty, or no picture at all": (
        b"GIF89a",
        "png",
        None,
        None,
        "found 3 that cannot be read",
    ),
    "another format than the suffix says": (
        (Image.fromarray(RGB), {"format": "BMP"}),
        "jpg",
        luma(RGB),
        RGB,
        "",
    ),
}


def png_of_16_bits(path):
    """An RGB PNG with 16 bits a channel, which Pillow does not write."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    deep = (RGB.astype(int) * 256 + 99).astype(">u2")
    lines = b"".join(b"\0" + row.tobytes() for row in deep)
    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def test_every_mode_of_the_page_is_tested():
    assert rows("Modes and depths") == list(MODES)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", MODES)
def test_modes(mode, channels, tmp_path):
    picture, suffix, grey, colour, said = MODES[mode]
    for i in range(4):
        path = tmp_path / f"{i}.{suffix}"
        if picture is None:
            png_of_16_bits(path)
        elif isinstance(picture, bytes):
            path.write_bytes(picture)
        else:
            image, how = picture if isinstance(picture, tuple) else (picture, {})
            image.save(path, **how)
    source = read(tmp_path, channels=channels)
    if grey is None and colour is None:
        with pytest.raises(DataError, match=said):
            source.prepare()
        return
    x = source.load("train").x.numpy()
    notes = "\n".join(source.notes())
    if not (said == "grey to colour" and channels == 1):
        assert said in notes
    if channels == 1:
        want = luma(colour) if grey is None else grey
        assert np.abs(x[:, 0] - np.asarray(want, float)).max() <= 1
    else:
        want = np.stack([grey] * 3, -1) if colour is None else colour
        assert np.abs(x.transpose(0, 2, 3, 1) - np.asarray(want, float)).max() <= 1


def test_bits_are_those_of_the_whole_folder(tmp_path):
    """One scale for all: a dark picture beside a bright one stays dark."""
    for split, top in (("train", 1000), ("test", 4000)):
        (tmp_path / split).mkdir()
        for i in range(3):
            flat = np.full((8, 8), top, np.uint16)
            Image.fromarray(flat).save(tmp_path / split / f"{i}.png")
    source = read(tmp_path, channels=1)
    assert source.load("train").x.unique().tolist() == [round(1000 / 4095 * 255)]
    assert source.load("test").x.unique().tolist() == [round(4000 / 4095 * 255)]
    forced = read(tmp_path, channels=1, bits=16)
    assert forced.load("train").x.unique().tolist() == [round(1000 / 257)]
    with pytest.raises(DataError, match=r"values from 4000 to 4000 in a picture of 10 bits"):
        read(tmp_path, channels=1, bits=10).prepare()
    with pytest.raises(ConfigError, match=r"data.bits=17: must be 1 to 16"):
        read(tmp_path, bits=17)


@pytest.mark.parametrize(("kind", "suffix"), [("GIF", "gif"), ("PNG", "png"), ("WEBP", "webp")])
def test_the_first_frame_counts(kind, suffix, tmp_path):
    first, how = frames(kind)
    for i in range(3):
        first.save(
            tmp_path / f"{i}.{suffix}", **how, **({"lossless": True} if kind == "WEBP" else {})
        )
    source = read(tmp_path, channels=1)
    assert np.abs(source.load("train").x[0, 0].numpy() - GREY.astype(int)).max() <= 1
    assert "first frame of several" in source.notes()[0]


# ----------------------------------------------------------------------------------------------
# Suffixes


def test_every_suffix_of_the_page_is_read():
    named = [cell for row in rows("Suffixes") for cell in re.findall(r"\.[a-z0-9]+", row)]
    assert set(SUFFIXES) <= set(named)
    assert {s for n in FORMATS for s in FORMATS[n]} == set(SUFFIXES)


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
@pytest.mark.parametrize("upper", [False, True])
def test_suffixes_are_read(suffix, upper, tmp_path):
    kind = "JPEG" if suffix == ".mpo" else Image.registered_extensions()[suffix]
    picture = Image.fromarray(GREY) if suffix in (".pbm", ".pgm") else Image.fromarray(RGB)
    for i in range(2):
        picture.save(tmp_path / f"{i}{suffix.upper() if upper else suffix}", format=kind)
    assert len(read(tmp_path).load("train").x) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x.heic", "1 .heic (make .png or .jpg of them)"),
        ("x.tga", "1 .tga (make .png or .jpg of them)"),
        ("x.zip", "1 .zip (make .png or .jpg of them)"),
        ("x.txt", "1 .txt"),
        ("x", "1 without a suffix"),
    ],
)
def test_suffixes_are_left_out(name, said, tmp_path):
    lay(tmp_path, ".")
    (tmp_path / name).write_bytes(b"")
    source = read(tmp_path)
    assert counts(source) == ({"train": 3, "test": 1}, [])
    assert source.notes() == [f"left out: {said}"]


# ----------------------------------------------------------------------------------------------
# Caches and changes


def test_folders_that_look_alike_are_told_apart(tmp_path):
    """The same names, sizes and times of files, and other pictures."""
    for folder, value in (("a", 0), ("b", 255)):
        for i in range(3):
            path = tmp_path / folder / f"{i}.bmp"
            path.parent.mkdir(exist_ok=True)
            Image.new("L", (8, 8), value).save(path)
            os.utime(path, (1e9, 1e9))
    assert read(tmp_path / "a").load("train").x.max() == 0
    assert read(tmp_path / "b").load("train").x.min() == 255
    for i in range(3):
        Image.new("L", (8, 8), 99).save(tmp_path / "a" / f"{i}.bmp")
        os.utime(tmp_path / "a" / f"{i}.bmp", (1e9, 1e9))
    assert read(tmp_path / "a").load("train").x.max() == 99


def test_changes_are_named(tmp_path):
    lay(tmp_path, *CATS)
    first = identity(ImageDataModule(read(tmp_path), val_size=1))
    assert first["classes"] == CATS
    assert changes(first, identity(ImageDataModule(read(tmp_path), val_size=1))) == []
    lay(tmp_path, "cow")
    more = identity(ImageDataModule(read(tmp_path), val_size=1))
    assert changes(first, more) == ["class cow is new", "10 train images, there were 6"]
    assert changes({"fingerprint": first["fingerprint"]}, more) == [
        "the images are not those that it began with"
    ]
    (tmp_path / "dog").rename(tmp_path / "ant")
    assert "class ant is new" in changes(
        more, identity(ImageDataModule(read(tmp_path), val_size=1))
    )
