"""genlab data: the list, one data set, verification, preparation, pictures."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from genlab.commands.data import run
from genlab.data.fashion_mnist import FashionMnist
from genlab.data.storage.manifests import MANIFESTS
from genlab.errors import ConfigError, DataError
from genlab.system.paths import cache_dir

from .conftest import write


def test_the_list_has_all(capsys):
    assert run([]) == 0
    listed = capsys.readouterr().out
    for name in MANIFESTS:
        assert name in listed
    assert "to download, 171 MB" in listed
    assert run(["list"]) == 0
    assert capsys.readouterr().out == listed


def test_listing_loads_nothing_heavy():
    code = (
        "import sys; from genlab.commands.data import run; run([]); run(['cifar10']); "
        "heavy = {'torch', 'torchvision', 'pytorch_lightning', 'hydra'} & set(sys.modules); "
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_where_the_files_are(tmp_path, small_fashion, capsys):
    folder = write(tmp_path / "fashion-mnist", small_fashion)
    run(["fashion_mnist", f"data.root={tmp_path}"])
    described = capsys.readouterr().out
    assert f"where    {folder}" in described
    for file in MANIFESTS["fashion_mnist"].files:
        assert file.hash in described


def test_verify_finds_damage(tmp_path, small_fashion, capsys):
    root = f"root={tmp_path}"
    assert run(["verify", "fashion_mnist", root]) == 0
    assert "not here" in capsys.readouterr().out
    folder = write(tmp_path, small_fashion)
    FashionMnist(root=str(tmp_path)).prepare()
    assert run(["verify", "fashion_mnist", root]) == 0
    assert f"whole, {folder}" in capsys.readouterr().out
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    array = next((cache_dir() / "arrays").glob("fashion_mnist-*")) / "test_x.npy"
    array.write_bytes(array.read_bytes()[:-1] + b"x")
    assert run(["verify", "fashion_mnist", root]) == 2
    told = capsys.readouterr().out
    assert told.count("DAMAGED") == 3
    assert told.count(f"genlab data prepare fashion_mnist data.root={tmp_path}") == 2
    assert "test_x.npy: expected sha256" in told


def test_show_has_a_split_of_the_data_sets_own(capsys, tmp_path, monkeypatch):
    out = tmp_path / "unseen.png"
    words = ["size=32", "labels=hair_colour", "--split", "test_unseen", "-n", "14"]
    assert run(["show", "faces", *words, "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "test_unseen" in told.splitlines()[0]
    assert ["all", "8,802", "978", "1,000", "1,206"] in [line.split() for line in told.splitlines()]
    assert "twice: none" in told
    assert np.asarray(Image.open(out)).ndim == 3
    with pytest.raises(ConfigError, match="--split test_unseen: synthetic has train, val, test"):
        run(["show", "synthetic", "--split", "test_unseen", "--out", str(out)])


def test_what_is_bundled_is_described_with_its_terms(capsys):
    run(["faces"])
    told = capsys.readouterr().out
    assert "licence  CC BY 4.0: " in told
    assert "faces/LICENCE.md" in told
    assert "credit   Personas by Draftbit" in told
    run(["mnist"])
    assert "mnist.LICENCE.md" in capsys.readouterr().out


def test_verify_looks_at_further_files(capsys, tmp_path):
    assert run(["verify", "faces", "emoji", "earth"]) == 0
    told = capsys.readouterr().out
    assert told.count("whole, ") == 2
    assert "earth: not here" in told
    (tmp_path / "twemoji.webp").write_bytes(b"no sheet")
    assert run(["verify", "emoji", f"root={tmp_path}"]) == 2
    assert "emoji: DAMAGED: " in capsys.readouterr().out


def test_verify_looks_at_the_bundle(capsys, monkeypatch, tmp_path):
    assert run(["verify", "mnist", "mnist_dyn", "synthetic"]) == 0
    told = capsys.readouterr().out
    assert told.count("whole, ") == 2
    assert "synthetic: no files of known hashes" in told

    def damaged():
        raise DataError("the archive: expected this, found that")

    monkeypatch.setattr("genlab.data.storage.verify.read_archive", damaged)
    assert run(["verify", "mnist"]) == 2
    assert "mnist: DAMAGED: the archive" in capsys.readouterr().out


def test_prepare_says_what_there_is(capsys, tmp_path, small_fashion):
    write(tmp_path, small_fashion)
    words = ["prepare", "fashion_mnist", f"root={tmp_path}", "val_size=4", "batch_size=2"]
    assert run(words) == 0
    told = capsys.readouterr().out
    assert "fashion_mnist: 16 train, 4 validation (split_seed 0), 8 test images, 1x28x28" in told
    assert "fingerprint " in told


def test_show_writes_a_picture(tmp_path, capsys):
    out = tmp_path / "new" / "bars.png"
    assert run(["show", "synthetic", "data.size=10", "-n", "9", "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    picture = np.asarray(Image.open(out))
    assert picture.shape[0] >= 30
    assert picture.max() > 150
    assert picture.min() < 60


def lay(root, split, label, n, value):
    """Flat pictures of one value, the same files in every split."""
    folder = root / split / label
    folder.mkdir(parents=True)
    for i in range(n):
        Image.new("L", (20, 10), value + i).save(folder / f"{i}.png")


def test_show_says_what_is_in_a_folder(tmp_path, capsys):
    root = tmp_path / "pictures"
    for k, label in enumerate(("2", "10")):
        lay(root, "Train", label, 5, 100 * k)
        lay(root, "test", label, 3, 100 * k)
    lay(root, "test", "11", 2, 200)
    (root / "Train" / "2" / "x.heic").write_bytes(b"")
    shutil.copy(root / "Train" / "2" / "0.png", root / "Train" / "2" / "copy.png")
    out = tmp_path / "grid.png"
    words = ["show", "folder", f"path={root}", "size=8", "val_size=0", "-n", "9"]
    assert run([*words, "--out", str(out)]) == 0
    told = capsys.readouterr().out
    rows = [line.split() for line in told.splitlines()]
    for row in ("0 2 6 0 3", "1 10 5 0 3", "2 11 0 0 2", "all 11 0 8"):
        assert row.split() in rows
    for line in (
        "sizes: 19 20x10",
        "modes: 19 PNG L",
        "converted: 19 cropped to a square, 19 grey to colour",
        "all pictures are grey: data.channels=1",
        "twice: 6 of test in train, too, 1 inside train",
        "left out: 1 .heic (make .png or .jpg of them)",
        "class '11' has no training pictures",
        f"6 images of folder/train: {out}",
    ):
        assert line in told
    picture = np.asarray(Image.open(out))
    assert (picture[:, :, 0] == picture[:, :, 1]).all()
    # A row a class: dark, then middle; the third is empty
    thirds = np.array_split(picture[:, -10:-4, 0], 3)
    assert thirds[0].max() < thirds[1].max() <= 110
    assert not (tmp_path / "cache" / "arrays").exists()  # nothing was decoded that is not shown


def test_show_names_damage(tmp_path, capsys):
    lay(tmp_path, "a", "", 4, 0)
    (tmp_path / "a" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"0.png"):
        run(["show", "folder", f"path={tmp_path}", "val_size=0", "--out", str(tmp_path / "o.png")])
    assert "cannot be read: a/0.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cifar"], "did you mean 'cifar10'"),
        (["prepar"], "did you mean 'prepare'"),
        (["prepare"], "needs the name of one data set"),
        (["prepare", "folder"], "data.path: no value"),
        (["prepare", "synthetic", "sise=3"], "did you mean 'size'"),
        (["prepare", "synthetic", "size=-3"], "data.size=-3: an integer >= 1"),
        (["show", "synthetic", "-n", "0"], "at least one image"),
        (["show", "synthetic", "--out", "x.jpg"], "a .png is needed"),
        (["--split", "all"], "invalid choice"),
        (["--config-dir", "/nowhere"], "no such folder"),
    ],
)
def test_mistakes_are_a_line(words, message):
    with pytest.raises(ConfigError, match=message):
        run(words)


def test_own_configs_are_listed_and_used(tmp_path, capsys):
    folder = tmp_path / "mine" / "data"
    folder.mkdir(parents=True)
    (folder / "bars.yaml").write_text(
        "# My bars\ndefaults: [synthetic, _self_]\nsize: 5\nn_train: 64\n"
    )
    where = ["--config-dir", str(tmp_path / "mine")]
    assert run(where) == 0
    assert "My bars" in capsys.readouterr().out
    assert run(["prepare", "bars", *where]) == 0
    assert "synthetic: 56 train, 8 validation" in capsys.readouterr().out
