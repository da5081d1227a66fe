"""genlab verify: what a picture says of itself, whatever was done to it, and whoever wrote it."""

import json
import shutil
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from faults.probes import train_in
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from genlab.modalities.images.image_files import write_film, write_images
from genlab.modalities.provenance import marked, xmp_packet
from genlab.modalities.rendering import Rendering, save_png, save_rendering

IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
NOTE = marked(
    {"run": "tiny", "checkpoint": "best", "seed": 7, "sampling": {"steps": 8}}, ("synthetic",)
)
SYNTHETIC = "synthetic by genlab: run tiny, checkpoint best, seed 7, sampling steps=8"


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def source(path):
    """IPTC's term in the XMP that Pillow reads."""
    with Image.open(path) as image:
        packet = image.info.get("xmp")
    if packet is None:
        return None
    (found,) = (e.get(IPTC) for e in ElementTree.fromstring(packet).iter() if e.get(IPTC))
    return found


@pytest.fixture
def picture(genlab, tmp_path):
    save_png(tmp_path / "a.png", noise(20, 30, 3), NOTE)
    return tmp_path / "a.png"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_in(tmp_path_factory.mktemp("original"), "model=vae_mlp", "model.hidden=16")


def test_a_picture_says_what_it_is(genlab, picture):
    assert genlab("verify", "a.png") == (0, f"a.png: {SYNTHETIC}\n", "")
    term = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    assert source(picture) == term
    with Image.open(picture) as image:
        assert json.loads(image.info["genlab"]) == NOTE


def test_all_that_a_run_writes_says_it(genlab, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "runs" / "tiny")
    for out in ("a.png", "a.npz", "folder"):
        assert genlab("sample", "run=tiny", "n=4", "seed=3", f"out={out}")[0] == 0
    assert genlab("sample", "run=tiny", "n=4", "task=walk", "gif=true", "out=a.gif")[0] == 0
    assert genlab("reconstruct", "run=tiny", "n=4", "out=b.png")[0] == 0
    assert genlab("data", "show", "synthetic", "--out", "real.png")[0] == 0
    code, out, _ = genlab("verify", "a.png", "a.npz", "folder", "a.gif", "b.png", "runs")
    assert code == 0
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert len(lines) == 4 + 4 + 3
    assert "seed 3" in lines["a.npz"]
    assert "sampling temperature=1.0" in lines["folder/000002.png"]
    partly = {name for name, told in lines.items() if told.startswith("partly synthetic")}
    pictures = "runs/tiny/reconstructions/000000128.png"
    assert partly == {"b.png", pictures}
    assert source(tmp_path / pictures).endswith("/compositeWithTrainedAlgorithmicMedia")
    assert genlab("verify", "real.png") == (1, "real.png: no provenance\n", "")


def test_real_examples_of_a_table_claim_nothing(genlab, tmp_path):
    import torch

    images = torch.from_numpy(noise(6, 1, 5, 5))
    note = marked({"run": "a"}, ("real", "composite", "synthetic"))
    write_images(images, tmp_path / "f", None, note)
    terms = [source(path) for path in sorted((tmp_path / "f").glob("*.png"))]
    assert [term and term.rpartition("/")[2] for term in terms] == 2 * [
        None,
        "compositeWithTrainedAlgorithmicMedia",
        "trainedAlgorithmicMedia",
    ]
    write_images(images, tmp_path / "g.png", 3, note)
    assert source(tmp_path / "g.png").endswith("/compositeWithTrainedAlgorithmicMedia")


def test_a_changed_pixel_is_told(genlab, picture, tmp_path):
    with Image.open(picture) as image:
        packet, info = image.info["xmp"], PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        image.save("same.png", pnginfo=info, compress_level=1)
        image.resize((15, 10)).save("small.png", pnginfo=info)
        image.save("a.jpg", xmp=packet)
        image.save("a.webp", xmp=packet, lossless=True)
        red = image.getpixel((29, 19))[0]
        image.putpixel((29, 19), (red ^ 1, *image.getpixel((29, 19))[1:]))
        image.save("other.png", pnginfo=info)
    assert genlab("verify", "same.png", "a.webp")[0] == 0
    code, out, _ = genlab("verify", "other.png", "small.png", "a.jpg")
    assert code == 1
    assert out.splitlines() == [
        f"other.png: altered since genlab wrote it (pixels); {SYNTHETIC}",
        f"small.png: altered since genlab wrote it (size 30x20 became 15x10); {SYNTHETIC}",
        f"a.jpg: altered since genlab wrote it (pixels); {SYNTHETIC}",
    ]


def test_an_edited_record_is_told(genlab, picture):
    with Image.open(picture) as image:
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", image.info["xmp"].decode().replace("tiny", "huge"))
        image.save("b.png", pnginfo=info)
    code, out, _ = genlab("verify", "b.png")
    assert code == 1
    assert "altered since genlab wrote it (the record itself)" in out


def test_saved_again_without_metadata_it_has_none(genlab, picture):
    with Image.open(picture) as image:
        Image.fromarray(np.asarray(image)).save("b.png")
    assert genlab("verify", "b.png") == (1, "b.png: no provenance\n", "")


def test_a_note_of_before_there_were_digests(genlab):
    info = PngInfo()
    info.add_text("genlab", json.dumps({"run": "old", "seed": 1, "synthetic": True}))
    Image.new("L", (4, 4)).save("old.png", pnginfo=info)
    code, out, _ = genlab("verify", "old.png")
    assert (code, "whether it was altered cannot be told): run old, seed 1" in out) == (1, True)


def test_what_another_tool_says_is_quoted(genlab):
    packet = xmp_packet("{}", "synthetic", "4x4", "").decode().replace("genlab 0", "Paint 0")
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet)
    info.add_text("parameters", "a cat, steps: 20")
    Image.new("L", (4, 4)).save("b.png", pnginfo=info)
    code, out, _ = genlab("verify", "b.png")
    assert code == 1
    assert out.startswith(
        "b.png: no provenance of genlab's; says of itself: trainedAlgorithmicMedia by P"
    )


def test_a_film_and_an_array_that_were_changed(genlab, tmp_path):
    import torch

    frames = torch.from_numpy(noise(5, 4, 3, 6, 6))
    write_film(frames, tmp_path / "a.gif", NOTE)
    assert genlab("verify", "a.gif") == (0, f"a.gif: {SYNTHETIC}\n", "")
    with Image.open("a.gif") as film:
        assert (film.n_frames, film.info["loop"]) == (5, 0)
    content = bytearray((tmp_path / "a.gif").read_bytes())
    content[14] ^= 0xFF  # a colour of the table
    (tmp_path / "b.gif").write_bytes(content)
    assert "(pixels)" in genlab("verify", "b.gif")[1]
    write_images(frames[0], tmp_path / "a.npz", None, NOTE)
    assert genlab("verify", "a.npz") == (0, f"a.npz: {SYNTHETIC}\n", "")
    with np.load("a.npz") as arrays:
        kept = dict(arrays)
    kept["images"][0, 0, 0, 0] ^= 1
    np.savez("b.npz", **kept)
    assert "(content)" in genlab("verify", "b.npz")[1]
    np.savez("c.npz", x=np.zeros(3))
    assert genlab("verify", "c.npz") == (1, "c.npz: no provenance\n", "")


def test_a_text_has_its_record_beside_it(genlab, tmp_path):
    save_rendering(tmp_path / "a.txt", Rendering(text="C1CC1"), NOTE)
    assert genlab("verify", "a.txt") == (0, f"a.txt: {SYNTHETIC}\n", "")
    (tmp_path / "a.txt").write_text("C1CCC1\n")
    assert "altered since genlab wrote it (content)" in genlab("verify", ".")[1]


@pytest.mark.parametrize(
    "packet",
    [
        xmp_packet('{"run": "RUN"}', "synthetic", "4x4", "")
        .decode()
        .replace("<x:xmp", '<!DOCTYPE a [<!ENTITY b "tiny">]><x:xmp', 1)
        .replace("RUN", "&b;"),
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        "<a>" * 100_000 + "</a>" * 100_000,
        "<a",
        "\x00",
        xmp_packet("[" * 100_000, "synthetic", "4x4", "").decode(),
        xmp_packet("[1]", "synthetic", "4x4", "")
        .decode()
        .replace("<rdf:D", "<rdf:D x='" + "y" * 10**6 + "' "),
    ],
    ids=["entities", "files", "deep", "cut", "zero", "json", "long"],
)
def test_a_hostile_record_is_none(genlab, packet):
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet, zip=True)
    Image.new("L", (4, 4)).save("b.png", pnginfo=info)
    code, out, err = genlab("verify", "b.png")
    assert (code, err, len(out.splitlines())) == (1, "", 1)
    assert "no provenance" in out
    assert "root:" not in out


def test_hostile_words_stay_on_the_line(genlab, tmp_path):
    note = {
        "run": "\x1b[2J\nx: synthetic by genlab",
        "seed": ["\r"] * 10**4,
        "checkpoint": {"a": "\x07"},
    }
    save_png(tmp_path / "b.png", noise(4, 4, 3), note)
    code, out, _ = genlab("verify", "b.png")
    assert code == 0
    assert len(out.splitlines()) == 1
    assert out.rstrip("\n").isprintable()
    assert len(out) < 500


def test_an_array_of_objects_runs_nothing(genlab, tmp_path):
    from faults.probes import Mark

    np.savez(tmp_path / "b.npz", provenance=np.array([Mark(tmp_path / "M")], dtype=object))
    assert genlab("verify", "b.npz")[0] == 2
    assert not (tmp_path / "M").exists()


def test_what_is_no_picture_is_a_line(genlab, picture, tmp_path):
    (tmp_path / "b.png").write_text("no picture")
    (tmp_path / "c.png").write_bytes(picture.read_bytes()[:-900])
    (tmp_path / "d.npz").write_text("no arrays")
    (tmp_path / "e.txt").write_text("text")
    header = b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", b"\x00\x01\x00\x00\x00\x01\x00\x00\x08\x00\x00\x00\x00"
    )
    (tmp_path / "f.png").write_bytes(header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    names = [
        f"{letter}.{end}"
        for letter, end in zip("bcdef", ("png", "png", "npz", "txt", "png"), strict=True)
    ]
    code, out, err = genlab("verify", *names, "nowhere.png", "a.png")
    lines = out.splitlines()
    assert (code, err, len(lines)) == (2, "", 7)
    expected = [
        "b.png: is no picture",
        "c.png: is a damaged picture",
        "d.npz: holds no arrays",
        "e.txt: neither a picture nor an array, and no e.txt.provenance.json beside it",
        "f.png: a picture of too many pixels",
        "nowhere.png: expected a file, found nothing",
        f"a.png: {SYNTHETIC}",
    ]
    assert [line.startswith(start) for line, start in zip(lines, expected, strict=True)] == 7 * [
        True
    ], lines


def chunk(name, content):
    """A chunk of a PNG."""
    check = zlib.crc32(name + content).to_bytes(4, "big")
    return len(content).to_bytes(4, "big") + name + content + check


@pytest.mark.parametrize(("words", "message"), [([], "FILE: no value"), (["."], "holds no .png")])
def test_nothing_to_look_at_is_a_line(genlab, words, message):
    code, _, err = genlab("verify", *words)
    assert (code, len(err.splitlines())) == (2, 1)
    assert message in err
