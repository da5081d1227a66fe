"""Random damage: the check of a config and the readers of data end well or with a clear error.

Seeded mutations of good input rather than noise, which dies at the first byte. Anything but
success, or an error for the user, is a fault of the program's.
"""

import copy
import gzip
import io
import json
import random
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data.conftest import idx_contents, shrink
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import save
from test_config_check import VERSION

from genlab.config.check import check
from genlab.config.folders import config_dir
from genlab.config.overrides import check_overrides
from genlab.config.saved import load_config
from genlab.data.cifar10 import unpickle
from genlab.data.feed.augment import parse_augment
from genlab.data.folder import ImageFolder
from genlab.data.storage.idx import parse_idx, read_idx, to_idx
from genlab.errors import GenlabError
from genlab.launch.messages import explain, printable
from genlab.modalities.images.image_reading import read_images
from genlab.training.saving.portable import read_portable, write_portable

MANY = [pytest.param(300, id="few"), pytest.param(5000, marks=pytest.mark.slow, id="many")]
SOME = [pytest.param(20, id="few"), pytest.param(400, marks=pytest.mark.slow, id="many")]

VALUES = [
    None, True, 0, -1, 1, 3, 10**30, -(10**30), 0.5, -0.0, 1e308, float("inf"), float("nan"), "",
    "a", "vae", "???", "null", "${seed}", "${nope}", "${oc.env:NOPE}", "${", "}", "\0", "\n",
    "a" * 5000, "../..", "é\u202e", [], [1], [[]], ["a", None], {}, {"a": 1}, {"_target_": None},
    {"_target_": "os.mkdir"}, {"_target_": "torch.optim.Adam"}, {1: 2}, {"_partial_": 3},
    {"_target_": "genlab.models.vae.VAE", "_args_": 3}, {"_target_": ["a"]}, {"": ""},
]  # fmt: skip
"""What a value of a config is replaced by."""


@pytest.fixture(scope="module")
def good():
    """A whole config as plain data."""
    with initialize_config_dir(str(config_dir()), **VERSION):
        cfg = compose("train")
    return OmegaConf.to_container(cfg, resolve=False)


def places(node, path=()):
    """All paths into nested data."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def mutated(rng, content):
    """A copy with some values replaced, keys added, renamed or taken away."""
    content = copy.deepcopy(content)
    for _ in range(rng.randint(1, 4)):
        path = rng.choice(list(places(content)))
        node = content
        for key in path[:-1]:
            node = node[key]
        kind = rng.random()
        if kind < 0.7:
            node[path[-1]] = copy.deepcopy(rng.choice(VALUES))
        elif kind < 0.8 and isinstance(node, dict):
            del node[path[-1]]
        elif isinstance(node, dict):
            node[rng.choice(["x", "_args_", "_convert_", "spec", "", 3, "a.b", "__class__"])] = (
                copy.deepcopy(rng.choice(VALUES))
            )
    return content


def ends_well(act, *kinds):
    """Whether it succeeded; an error for the user is the only other end."""
    try:
        act()
    except GenlabError as error:
        text = printable(error)
        assert len(text.splitlines()) <= 5
        assert text.removeprefix("genlab: error: ").strip()
        return False
    except kinds as error:  # raised before genlab's own code sees it; the command line explains it
        if explain(error) is None:
            raise
        return False
    return True


@pytest.mark.parametrize("n", SOME)
def test_the_check_of_a_config(good, n):
    from omegaconf.errors import OmegaConfBaseException

    rng, passed = random.Random(0), 0
    for _ in range(n):
        content = mutated(rng, good)

        def act(content=content):
            check(OmegaConf.create(content))

        passed += ends_well(act, OmegaConfBaseException)
    assert 0 < passed < n
    check(OmegaConf.create(good))


@pytest.mark.parametrize("n", MANY)
def test_a_run_s_config_as_bytes(good, tmp_path, n):
    rng, passed = random.Random(1), 0
    text = OmegaConf.to_yaml(OmegaConf.create(good)).encode()
    path = tmp_path / "config.yaml"
    for _ in range(n // 10):
        path.write_bytes(spoilt(rng, text))

        def act():
            check(load_config(path))

        passed += ends_well(act)
    assert passed < n // 10


def spoilt(rng, data):
    """Bytes flipped, cut out, doubled, or overwritten with what readers stumble over."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        if not data:
            break
        i = rng.randrange(len(data))
        kind = rng.random()
        if kind < 0.4:
            data[i] ^= 1 << rng.randrange(8)
        elif kind < 0.55:
            del data[i : i + rng.randint(1, 40)]
        elif kind < 0.7:
            data[i:i] = data[i : i + rng.randint(1, 40)]
        elif kind < 0.85:
            n = rng.choice([1, 2, 4, 8])
            data[i : i + n] = rng.choice([b"\0", b"\xff", b"\x80", b"\x7f"]) * n
        else:
            data = data[:i]
    return bytes(data)


WORDS = ["train", "model", "seed", "data.limit", "+x", "~y", "++z", "hydra.run.dir", "a@b", "", "="]
SIGNS = [
    "=",
    "==",
    "",
    "=[",
    "={",
    "=${",
    "='",
    '="',
    "=\0",
    "=\n",
    "=..",
    "=/",
    "=~",
    "=1,2",
    "=(",
]


def test_overrides():
    rng, passed = random.Random(2), 0
    for _ in range(200):
        words = [
            rng.choice(WORDS) + rng.choice(SIGNS) + rng.choice(WORDS)
            for _ in range(rng.randint(1, 3))
        ]
        passed += ends_well(lambda words=words: check_overrides(words, [config_dir()]))
    assert 10 < passed < 190


@pytest.mark.parametrize(
    "n", [pytest.param(25, id="few"), pytest.param(500, marks=pytest.mark.slow)]
)
def test_command_lines(tmp_path, monkeypatch, capsys, n):
    """Whole command lines up to the composed config."""
    from .probes import commands

    run, rng = commands(tmp_path / "cwd", monkeypatch, capsys), random.Random(3)
    for _ in range(n):
        key = rng.choice(["seed", "name", "model.latent", "+x", "data", "trainer.epochs", "tags"])
        value = rng.choice([*map(str, VALUES), "[1,", "{a:", "range(1,0)", "choice()", "'", "\\"])
        if "\0" in value:
            continue  # no process can be given one
        code, out, err = run("train", f"{key}={value}", "--cfg", "job")
        assert code in (0, 2), (key, value, err)
        assert "should not happen" not in err
        assert (code == 0) == (err == ""), out


def tar_of(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def picture_bytes(form):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


@pytest.mark.parametrize("n", MANY)
def test_idx_files(tmp_path, n):
    rng = random.Random(4)
    data = to_idx(np.arange(48, dtype=np.uint8).reshape(3, 4, 4))
    packed = gzip.compress(data)
    path = tmp_path / "x.gz"
    passed = 0
    for _ in range(n):
        passed += ends_well(lambda: parse_idx(spoilt(rng, data), "x", 3))
        path.write_bytes(spoilt(rng, packed))
        passed += ends_well(lambda: read_idx(path, 3))
    assert 0 < passed < 2 * n


@pytest.mark.parametrize("n", MANY)
def test_pickles(n):
    """CIFAR-10's unpickler, on what Python itself pickles of plain arrays."""
    import pickle

    rng, passed = random.Random(5), 0
    good = [
        pickle.dumps({b"labels": [1, 2, 3], b"data": [bytes(30)] * 3}, protocol=p)
        for p in (0, 2, 4)
    ]
    for i in range(n):
        passed += ends_well(lambda i=i: unpickle(spoilt(rng, good[i % 3]), "batch"))
    assert 0 < passed < n


@pytest.mark.parametrize("n", MANY)
def test_pictures(tmp_path, monkeypatch, n):
    rng, passed = random.Random(6), 0
    formats = [("png", "PNG"), ("jpg", "JPEG"), ("gif", "GIF"), ("bmp", "BMP"), ("webp", "WEBP")]
    formats += [("tif", "TIFF"), ("ppm", "PPM")]
    whole = {suffix: picture_bytes(form) for suffix, form in formats}
    Image.new("L", (8, 8)).save(tmp_path / "good.png")
    for i in range(n // 10):
        suffix = formats[i % len(formats)][0]
        path = tmp_path / f"bad.{suffix}"
        path.write_bytes(spoilt(rng, whole[suffix]))
        monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache" / str(i)))
        passed += ends_well(lambda: ImageFolder(str(tmp_path), size=8).load("train"))
        path.unlink()
    assert 0 < passed < n // 10


@pytest.mark.parametrize("n", MANY)
def test_arrays_of_samples(tmp_path, n):
    rng, passed = random.Random(7), 0
    x, files = np.zeros((3, 8, 8), np.uint8), {}
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", images=x)
    np.savez_compressed(tmp_path / "y.npz", images=x)
    for path in sorted(tmp_path.iterdir()):
        files[path] = path.read_bytes()
    for i in range(n // 3):
        path = list(files)[i % 3]
        path.write_bytes(spoilt(rng, files[path]))
        passed += ends_well(lambda path=path: read_images(path, channels=1))
    assert 0 < passed < n // 3


ARCHIVES = {"cifar10": "cifar-10-python.tar.gz", "emnist": "gzip.zip", "svhn": "train_32x32.mat"}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_behind_their_hashes(tmp_path, monkeypatch, name):
    """Even if their hashes were right: the files are decoded as they are."""
    from scipy.io import savemat

    from genlab.data.cifar10 import Cifar10
    from genlab.data.emnist import SETS, Emnist
    from genlab.data.storage.cache import Writer
    from genlab.data.svhn import Svhn

    path, other = tmp_path / ARCHIVES[name], tmp_path / "test_32x32.mat"
    if name == "cifar10":
        path.write_bytes(tar_of({"cifar-10-batches-py/data_batch_1": bytes(500)}))
    elif name == "emnist":
        stem = "gzip/emnist-balanced"
        with zipfile.ZipFile(path, "w") as archive:
            for key, data in idx_contents(6, 6).items():
                split, part = key.replace("t10k", "test").split("-", 1)
                archive.writestr(f"{stem}-{split}-{part}.gz", gzip.compress(data))
    else:
        for file in (path, other):
            savemat(file, {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.ones((2, 1), np.uint8)})
    monkeypatch.setitem(SETS, "balanced", (6, 6, 47))
    shrink(monkeypatch, name, system=())
    source = {"cifar10": Cifar10, "emnist": Emnist, "svhn": Svhn}[name](root=str(tmp_path))
    whole, rng = path.read_bytes(), random.Random(8)
    paths = {path.name: path, other.name: other}
    for _ in range(150):
        path.write_bytes(spoilt(rng, whole))
        ends_well(lambda: source.decode(paths, Writer(None)))


@pytest.mark.parametrize("n", MANY)
def test_exported_models(tmp_path, n):
    import hashlib

    import torch

    rng, passed = random.Random(9), 0
    write_portable(tmp_path, {"a": torch.arange(5.0)}, {"config": {}, "images_seen": 1})
    description = (tmp_path / "model.json").read_bytes()
    weights = save({"a": torch.arange(5.0), "b": torch.zeros(2, 2, dtype=torch.int64)})
    for i in range(n):
        if i % 2:
            (tmp_path / "model.json").write_bytes(spoilt(rng, description))
        else:  # with the right hash, which anybody can compute
            content = spoilt(rng, weights)
            (tmp_path / "model.safetensors").write_bytes(content)
            facts = json.loads(description)
            facts["weights_sha256"] = hashlib.sha256(content).hexdigest()
            (tmp_path / "model.json").write_text(json.dumps(facts))
        passed += ends_well(lambda: read_portable(Path(tmp_path)))
    assert 0 < passed < n


def test_augmentations():
    rng, passed = random.Random(10), 0
    names = [
        "flip",
        "crop",
        "affine",
        "x",
        None,
        3,
        ["flip"],
        {"flip": None},
        {"crop": {"padding": 1}},
    ]
    for _ in range(500):
        chosen = [rng.choice([*names, *VALUES]) for _ in range(rng.randint(0, 3))]
        passed += ends_well(lambda chosen=chosen: parse_augment(chosen, lambda node: node))
    assert 0 < passed < 500
