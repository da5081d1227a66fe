"""Someone else's samples: read exactly, or refused in one line that names what is wrong."""

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.errors import DataError
from genlab.modalities.images.image_reading import read_images


def pixels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    for i, image in enumerate(pixels(5, 6, 7, 3)):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    return tmp_path


def test_a_folder_is_read_in_order(folder):
    expected = torch.from_numpy(pixels(5, 6, 7, 3)).permute(0, 3, 1, 2)
    assert torch.equal(read_images(folder), expected)
    (folder / "sub").mkdir()
    (folder / "4.png").rename(folder / "sub" / "9.PNG")
    (folder / "notes.txt").write_text("not an image")
    assert torch.equal(read_images(folder, channels=3), expected)


def test_gray_and_binary_files_have_one_channel(tmp_path):
    Image.fromarray(pixels(4, 4)).save(tmp_path / "a.png")
    Image.fromarray(np.full((4, 4), 255, np.uint8)).convert("1").save(tmp_path / "b.png")
    found = read_images(tmp_path)
    assert found.shape == (2, 1, 4, 4)
    assert torch.equal(found[0, 0], torch.from_numpy(pixels(4, 4)))
    assert (found[1] == 255).all()


@pytest.mark.parametrize(
    ("array", "layout"),
    [
        (pixels(9, 6, 7), lambda x: x[:, None]),
        (pixels(9, 6, 7, 3), lambda x: x.transpose(0, 3, 1, 2)),
        (pixels(9, 3, 6, 7), lambda x: x),
        (pixels(9, 1, 6, 7), lambda x: x),
    ],
)
def test_arrays_of_every_layout(tmp_path, array, layout):
    expected = torch.from_numpy(layout(array).copy())
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "one.npz", array)
    np.savez(tmp_path / "two.npz", labels=np.arange(9), samples=array)
    for name in ("x.npy", "one.npz", "two.npz"):
        assert torch.equal(read_images(tmp_path / name), expected)


def test_a_corrupt_file_is_named(folder):
    whole = (folder / "3.png").read_bytes()
    (folder / "3.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"3\.png: not a whole PNG"):
        read_images(folder)
    (folder / "3.png").write_bytes(b"GIF89a")
    with pytest.raises(DataError, match=r"3\.png: not a whole PNG"):
        read_images(folder)


def test_mixed_sizes_are_named(folder):
    Image.fromarray(pixels(6, 8, 3)).save(folder / "7.png")
    with pytest.raises(DataError, match=r"mixed sizes: 0\.png is 7x6 .*, 7\.png is 8x6"):
        read_images(folder)


def test_mixed_channels_are_named(folder):
    Image.fromarray(pixels(6, 7)).save(folder / "7.png")
    with pytest.raises(DataError, match=r"with 3 channels, 7\.png is 7x6 with 1 channel$"):
        read_images(folder)


def test_transparency_and_sixteen_bits_are_refused(tmp_path):
    Image.fromarray(pixels(4, 4, 4)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: mode RGBA"):
        read_images(tmp_path)
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: mode I;16"):
        read_images(tmp_path)


def test_wrong_channels_and_nothing_at_all(folder, tmp_path_factory):
    with pytest.raises(DataError, match="3 channels, the data has 1"):
        read_images(folder, channels=1)
    with pytest.raises(DataError, match="n=0"):
        read_images(tmp_path_factory.mktemp("empty"))
    with pytest.raises(DataError, match="no such file"):
        read_images(folder / "nowhere")
    with pytest.raises(DataError, match="expected a folder of PNG"):
        read_images(folder / "0.png")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4, 4), np.float32), "dtype float32; expected uint8"),
        (pixels(3, 4, 4, 2), r"shape \(3, 4, 4, 2\)"),
        (pixels(3, 4), r"shape \(3, 4\)"),
        (pixels(0, 4, 4), "n=0"),
        (np.array([{"a": 1}], object), "not a readable array"),
    ],
)
def test_arrays_that_are_not_images(tmp_path, array, message):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=message):
        read_images(tmp_path / "x.npy")


def test_an_ambiguous_or_broken_archive(tmp_path):
    np.savez(tmp_path / "x.npz", a=pixels(3, 4, 4), b=pixels(3, 4, 4))
    with pytest.raises(DataError, match="holds a, b; expected one array"):
        read_images(tmp_path / "x.npz")
    (tmp_path / "x.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:50])
    with pytest.raises(DataError, match="not a readable array"):
        read_images(tmp_path / "x.npz")


def test_links_are_followed_and_other_pictures_not_passed_over(folder, tmp_path):
    n = len(read_images(folder))
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "all").symlink_to(folder)
    (linked / "again").symlink_to(linked)
    assert len(read_images(linked)) == n
    Image.new("RGB", (4, 4)).save(linked / "x.jpg")
    with pytest.raises(DataError, match=r"x.jpg is no PNG file, and would be left out"):
        read_images(linked)


def test_a_palette_with_transparency_is_refused(tmp_path):
    Image.new("P", (4, 4)).save(tmp_path / "p.png", transparency=0)
    with pytest.raises(DataError, match=r"p.png: mode P with transparency"):
        read_images(tmp_path)
