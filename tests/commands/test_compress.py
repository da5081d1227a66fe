"""genlab compress and decompress: the images themselves, of the length that the model says."""

import json
import math
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.applications import coding_head
from genlab.applications.container import RAW, Header, Part, pack, unpack
from genlab.applications.other_codecs import other_sizes
from genlab.cli.entry import main
from genlab.errors import DataError, Unsupported
from genlab.experiment.compression import compress, decompress
from genlab.experiment.trained import load_run
from genlab.runs.directory import Run
from genlab.types import Batch

from .conftest import TINY

pytest.importorskip("constriction")

WORDS = [w for w in TINY if not w.startswith("model")]


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    """A tiny autoregressive run."""
    root = tmp_path_factory.mktemp("compress")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENLAB_CACHE", str(root / "cache"))
        words = [*WORDS, "model=pixelcnn_tiny", "trainer.epochs=2", f"root={root}", "name=r"]
        assert main(["train", *words]) == 0
    return root / "r"


@pytest.fixture
def run(trained_once, tmp_path):
    return Path(shutil.copytree(trained_once, tmp_path / "runs" / "r"))


@pytest.fixture
def loaded(run):
    found = load_run(Run(run))
    found.data.prepare_data()
    found.data.setup()
    return found


@pytest.mark.parametrize("codec", ["fast", "portable"])
def test_the_images_come_back_and_the_file_is_as_long_as_they_are_unlikely(loaded, codec):
    x = loaded.data.test.x[:30]
    made = compress(loaded, x, batch=7, codec=codec)  # the last batch is smaller
    assert torch.equal(decompress(loaded, made.content, "x.glz"), x)
    nats = -float(loaded.model.log_prob(Batch(x, None)).double().sum())
    assert made.bits == pytest.approx(nats / math.log(2), rel=2e-3)
    header, parts, _ = unpack(made.content, "x.glz")
    assert (header.n, header.batch, len(parts), made.raw) == (30, 7, 5, 0)
    coded = 8 * sum(len(part.content) for part in parts)
    assert made.bits - 1 <= coded <= made.bits * 1.005 + 64 * len(parts)


@pytest.mark.parametrize(
    "words",
    [
        ["model=made"],
        ["model=image_gpt", "model.width=16", "model.blocks=1", "model.heads=2"],
        ["model=pixelcnn", "model.width=8", "model.blocks=1", "model.head=spiked"],
        ["model=made", "data.levels=2"],
    ],
    ids=" ".join,
)
def test_every_head_of_one_channel_codes(genlab, tmp_path, words):
    line = [*WORDS, *words, "trainer.max_images=64", "name=h"]
    code, _, err = genlab("train", *line)
    assert code == 0, err
    code, out, err = genlab("compress", "run=h", "n=6", "batch=4", "out=h.glz")
    assert code == 0, err
    assert "found equal" in out


def test_the_command_writes_and_reads_files(genlab, run, tmp_path):
    code, out, err = genlab("compress", "run=r", "n=9", "out=x.glz")
    assert code == 0, err
    size = (tmp_path / "x.glz").stat().st_size
    assert f"9 images in x.glz, {size:,} bytes" in out
    assert all(name in out for name in ("likelihood", "png sheet", "webp", "xz", "raw"))
    assert genlab("decompress", "run=r", "file=x.glz", "out=back")[0] == 0
    assert genlab("decompress", "run=r", "file=x.glz", "out=back.npz")[0] == 0
    with np.load(tmp_path / "back.npz") as file:
        images = file["images"]
    assert len(images) == 9
    for number, image in enumerate(images):
        with Image.open(tmp_path / "back" / f"{number:06d}.png") as opened:
            assert np.array_equal(np.asarray(opened.convert("L")), image[..., 0])
            assert "genlab" not in opened.info  # they are real
    # They are what a folder gives, too
    code, _, err = genlab("compress", "run=r", "images=back", "out=y.glz")
    assert code == 0, err
    assert (
        unpack((tmp_path / "y.glz").read_bytes(), "y")[1:]
        == (unpack((tmp_path / "x.glz").read_bytes(), "x")[1:])
    )


def test_a_number_near_a_boundary_leaves_the_batch_uncoded(loaded, monkeypatch):
    monkeypatch.setattr(coding_head, "GUARD", 1.0)
    x = loaded.data.test.x[:5]
    made = compress(loaded, x, batch=3, codec="portable")
    assert made.raw == 2
    assert [part.kind for part in unpack(made.content, "x")[1]] == [RAW, RAW]
    assert torch.equal(decompress(loaded, made.content, "x"), x)


def test_a_flipped_bit_is_an_error_and_never_other_images(loaded):
    x = loaded.data.test.x[:8]
    content = compress(loaded, x, batch=4, codec="fast").content
    start = 8 + struct.unpack_from("<I", content, 4)[0]
    for place in [*range(start, len(content), 29), len(content) - 1]:
        damaged = bytearray(content)
        damaged[place] ^= 1
        with pytest.raises(DataError, match=r"x\.glz"):
            decompress(loaded, bytes(damaged), "x.glz")


def header(**changed):
    right = {"n": 2, "batch": 2, "shape": (1, 2, 2), "levels": 4, "codec": "fast", "weights": "w"}
    right |= {"genlab": "1", "torch": "2", "processor": "AVX2", "threads": 1}
    return Header(**(right | changed))


def test_a_container_is_read_as_it_was_written():
    parts = [Part(0, 7, b"abcd"), Part(1, 8, b"")]
    content = pack(header(n=3), parts, b"x" * 32)
    assert unpack(content, "f") == (header(n=3), parts, b"x" * 32)


def test_a_hostile_file_costs_nothing_and_is_refused_in_a_line():
    good = pack(header(), [Part(0, 7, b"abcd")], b"x" * 32)
    for cut in range(len(good)):
        with pytest.raises(DataError, match="f: "):
            unpack(good[:cut], "f")
    for changed in (
        {"n": 10**12}, {"n": 0}, {"batch": -1}, {"shape": (1, 10**6, 10**6)}, {"levels": 300},
        {"codec": "slow"}, {"n": "many"}, {"shape": (1, 2)},
    ):  # fmt: skip
        with pytest.raises(DataError, match="makes no sense"):
            unpack(pack(header(**changed), [], b"x" * 32), "f")
    long = json.dumps({"n": "x" * 70_000}).encode()
    with pytest.raises(DataError, match="header is damaged"):
        unpack(b"GLZ1" + struct.pack("<I", len(long)) + long + b"x" * 32, "f")
    with pytest.raises(DataError, match=r"is no \.glz"):
        unpack(b"PK" + good, "f")
    with pytest.raises(DataError, match="3 bytes too many"):
        unpack(good[:-32] + b"abc" + good[-32:], "f")


def test_sizes_of_other_codecs():
    flat = torch.full((3, 1, 16, 16), 9, dtype=torch.uint8)
    found = other_sizes(flat)
    assert found["raw"] == 3 * 256
    assert found["png sheet"] < found["png"] < found["raw"]
    assert other_sizes(flat.expand(3, 3, 16, 16).contiguous())["raw"] == 9 * 256


MISTAKES = [
    (["compress", "run=r", "out=x.zip"], ["out=x.zip", ".glz"]),
    (["compress", "run=r"], ["out"]),
    (["compress", "run=r", "out=x.glz", "images=none"], ["images=none", "no such"]),
    (["compress", "run=r", "out=x.glz", "codec=slow"], ["codec=slow", "portable"]),
    (["compress", "run=r", "out=x.glz", "device=gpu"], ["device=gpu"]),
    (["decompress", "run=r", "file=none.glz", "out=y"], ["file=none.glz", "no such file"]),
    (["decompress", "run=r", "file=odd.glz", "out=y"], ["odd.glz", "no .glz file"]),
    (["decompress", "run=r", "file=odd.glz", "out=y.png"], ["out=y.png"]),
    (["decompress", "run=r", "file=odd.glz", "out=full"], ["out=full", "not empty"]),
]


def test_mistakes_are_one_line(genlab, run, tmp_path):
    (tmp_path / "odd.glz").write_bytes(b"something else")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.png").touch()
    for words, parts in MISTAKES:
        code, _, err = genlab(*words)
        assert code in (1, 2), (words, err)
        assert len(err.strip().splitlines()) == 1, err
        for part in parts:
            assert part in err, (words, err)
    assert not list(tmp_path.glob("x.*"))


def test_what_cannot_code_says_so(genlab, loaded, monkeypatch):
    assert genlab("train", *TINY, "trainer.max_images=16", "name=v")[0] == 0
    code, _, err = genlab("compress", "run=v", "out=x.glz")
    assert code == 2
    assert "VAE does not compress; autoregressive models do" in err
    words = [*WORDS, "model=made", "trainer.max_images=16", "model.conditional=true", "name=c"]
    assert genlab("train", *words)[0] == 0
    assert "is conditional" in genlab("compress", "run=c", "out=x.glz")[2]
    other = genlab("train", *WORDS, "model=pixelcnn_tiny", "trainer.max_images=16", "name=o")
    assert other[0] == 0
    assert genlab("compress", "run=o", "n=2", "out=o.glz")[0] == 0
    code, _, err = genlab("decompress", "run=r", "file=o.glz", "out=o")
    assert code == 2
    assert "was written with weights" in err
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(Unsupported, match=r"pip install 'genlab\[compress\]'"):
        compress(loaded, loaded.data.test.x[:1], batch=1, codec="fast")


@pytest.mark.slow
def test_portable_files_are_read_with_other_kernels(run, loaded, tmp_path):
    """Of torch without AVX, in a process of its own; a fast file is read right or refused."""
    x = loaded.data.test.x[:20]
    for codec in ("portable", "fast"):
        content = compress(loaded, x, batch=10, codec=codec).content
        (tmp_path / f"{codec}.glz").write_bytes(content)
        done = subprocess.run(
            [sys.executable, "-m", "genlab", "decompress", "run=r", f"file={codec}.glz",
             f"out={codec}.npz"],
            cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "ATEN_CPU_CAPABILITY": "default"},
        )  # fmt: skip
        if codec == "portable" or done.returncode == 0:
            assert done.returncode == 0, done.stderr
            assert (tmp_path / f"{codec}.npz").is_file()
        else:
            assert "codec=portable is for any" in done.stderr
