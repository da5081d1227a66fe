"""The idx reader against torchvision's, and its refusals."""

import gzip
import lzma

import numpy as np
import pytest
import torch
from torchvision.datasets.mnist import read_image_file, read_label_file

from genlab.data.storage.idx import read_idx, to_idx
from genlab.errors import DataError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(7,), (3, 5, 4), (1, 28, 28)])
@pytest.mark.parametrize(
    ("suffix", "pack"), [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress)]
)
def test_reads_what_torchvision_reads(tmp_path, shape, suffix, pack):
    array = RNG.integers(0, 256, shape, np.uint8)
    raw, packed = tmp_path / "raw", tmp_path / f"packed{suffix}"
    raw.write_bytes(to_idx(array))
    packed.write_bytes(pack(to_idx(array)))
    read = read_label_file if len(shape) == 1 else read_image_file
    ours = torch.from_numpy(read_idx(packed, len(shape)).copy())
    torch.testing.assert_close(ours.to(torch.int64), read(str(raw)).to(torch.int64))


def test_size_field_is_big_endian(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 1, 2]) + bytes(258))
    assert read_idx(path, 1).shape == (258,)


GOOD = to_idx(RNG.integers(0, 256, (4, 3, 3), np.uint8))
DAMAGE = {
    "empty": (b"", "the idx magic number 00000803", "an empty file"),
    "magic": (b"\0\0\x08\x01" + GOOD[4:], "the idx magic number 00000803", "00000801"),
    "type": (b"\0\0\x0d\x03" + GOOD[4:], "the idx magic number 00000803", "00000d03"),
    "text": (b"<html>404</html>", "the idx magic number 00000803", "3c68746d"),
    "header": (GOOD[:10], "a header of 16 bytes", "10 bytes"),
    "truncated": (GOOD[:-1], "52 bytes for the shape (4, 3, 3)", "51"),
    "longer": (GOOD + b"\0", "52 bytes for the shape (4, 3, 3)", "53"),
    "count": (GOOD[:7] + b"\x05" + GOOD[8:], "61 bytes for the shape (5, 3, 3)", "52"),
    "huge": (GOOD[:4] + b"\xff" * 12 + GOOD[16:], f"{(2**32 - 1) ** 3 + 16} bytes", "52"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(tmp_path, name):
    data, expected, found = DAMAGE[name]
    path = tmp_path / "images"
    path.write_bytes(data)
    with pytest.raises(DataError) as error:
        read_idx(path, 3)
    text = str(error.value)
    assert str(path) in text
    assert f"expected {expected}" in text
    assert f"found {found}" in text


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.*expected an idx file, found nothing"):
        read_idx(tmp_path / "nowhere", 3)


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
@pytest.mark.parametrize("cut", [lambda d: d[: len(d) // 2], lambda d: b"no archive" + d[10:]])
def test_damaged_compression_is_named(tmp_path, suffix, pack, cut):
    path = tmp_path / f"images{suffix}"
    path.write_bytes(cut(pack(GOOD)))
    with pytest.raises(DataError, match=f"images{suffix}: expected a readable file, found"):
        read_idx(path, 3)
