"""Emoji: styles, grounds, families, and what is said where a style is missing."""

import hashlib
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.data import emoji as module
from genlab.data.emoji import STYLES, Emoji
from genlab.data.module import ImageDataModule
from genlab.data.storage import drawn
from genlab.data.storage.cache import Writer
from genlab.data.storage.class_names import EMOJI_GROUPS
from genlab.data.storage.emoji_sheets import SHEETS, encode
from genlab.data.storage.manifest import DataFile
from genlab.data.storage.manifests import MANIFESTS
from genlab.errors import ConfigError, DataError

from .conftest import decodes_within, shrink

BUNDLED = ("fluent", "fluent_line", "noto")


def built(**options):
    """The arrays of a style, nothing cached."""
    writer = Writer(None)
    Emoji(**options).build(writer)
    return writer.arrays


@pytest.mark.parametrize("style", BUNDLED)
def test_counts_shapes_and_time(style):
    source = Emoji(style)
    assert decodes_within(1.5, source)
    train, test = source.load("train"), source.load("test")
    assert train.x.shape == (1_379, 3, 64, 64)
    assert test.x.shape == (201, 3, 64, 64)
    assert train.x.dtype == torch.uint8
    assert int(train.y.max()) == int(test.y.max()) == 8
    grey = bool((train.x[:, 0] == train.x[:, 1]).all())
    assert grey == (style == "fluent_line")


def test_families_are_in_one_split_by_their_hash():
    entries = Emoji().entries
    assert len(entries) == 1_580
    split = {}
    for entry in entries:
        share = int(hashlib.sha256(f"emoji/{entry['family']}".encode()).hexdigest()[:8], 16)
        expected = "test" if share / 2**32 < 0.15 else "train"
        assert entry["split"] == expected
        assert split.setdefault(entry["family"], expected) == expected
    assert len(split) == 1_171


def test_a_family_is_not_divided_between_training_and_validation():
    source = Emoji("fluent_line")
    module = ImageDataModule(source, val_size=0.1)
    module.setup()
    families = source.groups()
    train, val = (set(families[module._index[name]].tolist()) for name in ("train", "val"))
    assert not train & val
    assert len(module.val.x) + len(module.train.x) == 1_379
    assert len(module.val.x) == 138  # single emoji fill what a large family leaves


def test_groups_and_subgroups():
    source = Emoji()
    assert tuple(dict.fromkeys(entry["group"] for entry in source.entries)) == EMOJI_GROUPS
    assert MANIFESTS["emoji"].class_names == source.class_names == EMOJI_GROUPS
    fine = Emoji(labels="subgroup")
    assert len(fine.class_names) == 95
    assert Emoji(labels=None).spec.num_classes == 0
    names, y = source.names("test"), source.load("test").y
    by_name = {entry["name"]: entry["group"] for entry in source.entries}
    assert [by_name[name] for name in names] == [EMOJI_GROUPS[k] for k in y.tolist()]


def test_styles_have_the_same_emoji_in_the_same_order():
    one, other = (
        torch.from_numpy(built(style=style, size=32)["test_x"]).float()
        for style in ("fluent", "noto")
    )
    apart = (one[:, None] - other[None]).abs().mean((2, 3, 4))
    # Two makers' drawings of a thing are closer than those of most other things.
    rank = (apart < apart.diagonal()[:, None]).sum(1)
    assert rank.float().median() < 10  # of 201


@pytest.mark.parametrize(
    ("ground", "colour"), [("white", 255), ("black", 0), ("grey", 128), ("#0a0A0a", 10)]
)
def test_the_ground_is_seen_where_nothing_is_drawn(ground, colour):
    with Image.open(module.bundle("emoji") / "fluent.webp") as picture:
        sheet = np.asarray(picture)
    arrays = built(ground=ground)
    first = Emoji().names("test")[0]
    number = [entry["name"] for entry in Emoji().entries].index(first)
    row, column = divmod(number, 40)
    cell = sheet[row * 64 : row * 64 + 64, column * 64 : column * 64 + 64].astype(int)
    alpha = cell[..., 3:] / 255
    expected = cell[..., :3] * alpha + colour * (1 - alpha)
    assert np.abs(arrays["test_x"][0].transpose(1, 2, 0) - expected).max() <= 0.5 + 1e-9
    assert (arrays["test_x"][0].transpose(1, 2, 0)[cell[..., 3] == 0] == colour).all()


def test_grounds_and_sizes_do_not_share_a_cache():
    options = ({}, {"ground": "black"}, {"size": 32}, {"style": "noto"})
    assert len({Emoji(**given).key() for given in options}) == 4
    assert Emoji(labels="subgroup").key() == Emoji().key()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ground": None}, "data.ground=null: must be white, black, grey or #rrggbb, as transp"),
        ({"ground": "purple"}, "data.ground=purple: must be white"),
        ({"ground": "#12345"}, "data.ground=#12345: must be"),
        ({"ground": "123456"}, "data.ground=123456: must be"),
        ({"style": "fluent_line", "ground": "black"}, "fluent_line is black on white"),
        ({"style": "flunt"}, "did you mean 'fluent'"),
        ({"labels": "subgrop"}, "did you mean 'subgroup'"),
        ({"size": 128}, "data.size=128: must be 32 or 64"),
    ],
)
def test_what_there_is_not_is_refused(options, words):
    with pytest.raises(ConfigError) as error:
        Emoji(**options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_style_that_is_missing_says_where_to_get_it(tmp_path):
    with pytest.raises(DataError) as error:
        Emoji("openmoji", root=str(tmp_path)).prepare()
    text = str(error.value)
    for word in (
        "data.style=openmoji: openmoji.webp is in none of",
        str(tmp_path / "emoji"),
        f"genlab data prepare emoji data.root={tmp_path} data.style=openmoji",
        "openmoji 17.0.0 (CC BY-SA 4.0)",
        "fluent, fluent_line, noto come with genlab",
    ):
        assert word in text


@pytest.fixture
def small_sheet(monkeypatch):
    """A sheet of noise in the place of OpenMoji's, and the manifest that knows it."""
    rng = np.random.default_rng(0)
    sheet = rng.integers(0, 256, (2560, 2560), np.uint8)
    digest = hashlib.sha256(sheet.tobytes()).hexdigest()
    file = DataFile("openmoji_line.png", digest, hashed="pixels", size=sheet.size)
    shrink(monkeypatch, "emoji", others=(file,))
    return sheet


@pytest.mark.parametrize("folder", ["", "emoji"])
def test_a_style_is_found_under_the_root_and_verified(tmp_path, small_sheet, folder):
    place = tmp_path / folder
    place.mkdir(exist_ok=True)
    (place / "openmoji_line.png").write_bytes(encode(small_sheet))
    source = Emoji("openmoji_line", root=str(tmp_path))
    source.prepare()
    number = [e["name"] for e in source.entries].index(source.names("train")[5])
    row, column = divmod(number, 40)
    cell = small_sheet[row * 64 : row * 64 + 64, column * 64 : column * 64 + 64]
    assert (source.load("train").x[5].numpy() == cell).all()


def test_another_sheet_under_its_name_is_refused(tmp_path, small_sheet):
    path = tmp_path / "openmoji_line.png"
    changed = small_sheet.copy()
    changed[0, 0] ^= 1
    path.write_bytes(encode(changed))
    with pytest.raises(DataError, match=r"openmoji_line.png: expected sha256 .*; repair: genlab"):
        Emoji("openmoji_line", root=str(tmp_path)).prepare()
    Image.fromarray(small_sheet[:64]).save(path)
    with pytest.raises(DataError, match="expected 6553600 bytes, found"):
        Emoji("openmoji_line", root=str(tmp_path)).prepare()
    path.write_bytes(b"no picture")
    with pytest.raises(DataError, match="expected a picture, found UnidentifiedImageError"):
        Emoji("openmoji_line", root=str(tmp_path)).prepare()


@pytest.mark.parametrize("name", ["emoji.json.xz", "fluent.webp"])
def test_damage_of_the_package_is_named(tmp_path, monkeypatch, name):
    shutil.copytree(module.bundle("emoji"), tmp_path / "emoji")
    path = tmp_path / "emoji" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    monkeypatch.setattr("genlab.data.storage.bundled.bundle", lambda name: tmp_path / name)
    monkeypatch.setattr(module, "bundle", lambda name: tmp_path / name)
    with pytest.raises(DataError, match="repair: pip install --force-reinstall genlab"):
        built()


def test_the_terms_are_those_of_the_style():
    assert {style: Emoji(style).terms.licence for style in STYLES} == {
        "fluent": "MIT", "fluent_line": "MIT", "noto": "Apache 2.0", "twemoji": "CC BY 4.0",
        "openmoji": "CC BY-SA 4.0", "openmoji_line": "CC BY-SA 4.0",
    }  # fmt: skip
    text = Emoji().terms.notice.read_text()
    for word in ("Microsoft Corporation", "Apache License", "Version 2.0", "Unicode, Inc."):
        assert word in text
    for file in drawn.EMOJI.files:
        assert file.hash in text
    assert set(SHEETS) | set(BUNDLED) == set(STYLES)
