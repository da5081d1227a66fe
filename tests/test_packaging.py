"""The wheel has everything, and works from any folder of a fresh environment."""

import os
import site
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


def call(*words, **options):
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=600, **options
    )
    assert done.returncode == options.get("expected", 0), done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout; built without isolation where hatchling is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).with_name("uv")
    if uv.exists():
        call(uv, "build", "--wheel", "--out-dir", folder, ROOT)
    else:
        call(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, ROOT)
    (built,) = folder.glob("genlab-*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A fresh environment with the wheel; the packages that it needs are lent by this one."""
    folder = tmp_path_factory.mktemp("environment")
    call(sys.executable, "-m", "venv", "--without-pip", folder)
    purelib = Path(
        sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    )
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(purelib)
    # A path file adds folders after purelib, and its own editable finder of genlab is not run.
    lent = [p for p in site.getsitepackages() if Path(p).is_dir()]
    (purelib / "lent.pth").write_text("\n".join(lent) + "\n")
    return folder / "bin" / "python"


def genlab(python, folder, *words):
    """Runs the installed genlab in a folder that is no checkout."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [python, "-m", "genlab", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**env, "OMP_NUM_THREADS": "1"},
        timeout=600,
        check=False,
    )


def test_the_wheel_has_every_config_and_data_file(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = {p.relative_to(ROOT).as_posix() for p in (ROOT / "configs").rglob("*.yaml")}
    assert len(configs) > 30
    packed = {n for n in names if n.startswith("genlab/configs/") and n.endswith(".yaml")}
    assert packed == {f"genlab/{name}" for name in configs}
    tracked = call("git", "-C", ROOT, "ls-files", "genlab").split()
    assert {name for name in tracked if name not in names} == set()
    for name in (
        "py.typed",
        "data/storage/mnist.tar.xz",
        "data/storage/mnist.LICENCE.md",
        "data/storage/faces/faces.npy.xz",
        "data/storage/faces/LICENCE.md",
        "data/storage/emoji/noto.webp",
        "data/storage/emoji/LICENCE.md",
        "data/storage/earth/LICENCE.md",
        "metrics/extractors/weights/digits.safetensors",
    ):
        assert f"genlab/{name}" in names
    assert {name.partition("/")[0] for name in names} == {
        "genlab",
        next(name for name in names if ".dist-info" in name).partition("/")[0],
    }


def test_the_wheel_is_no_larger_than_it_may_be(wheel):
    assert 14e6 < wheel.stat().st_size < 25e6


def test_the_wheel_says_what_it_is(wheel):
    archive = zipfile.ZipFile(wheel)
    texts = {n.rpartition("/")[2]: n for n in archive.namelist() if ".dist-info/" in n}
    assert "genlab = genlab.cli.entry:main" in archive.read(texts["entry_points.txt"]).decode()
    metadata = archive.read(texts["METADATA"]).decode()
    for line in ("Requires-Dist: pytorch-lightning>=2.6.6", "Requires-Dist: hydra-core"):
        assert line in metadata
    assert "LICENSE" in texts


def test_it_runs_from_another_folder(environment, tmp_path):
    where = genlab_file(environment, tmp_path)
    assert "environment" in where
    assert str(ROOT) not in where
    listed = genlab(environment, tmp_path, "list", "models", "--json")
    assert listed.returncode == 0, listed.stderr
    assert '"vae"' in listed.stdout
    shown = genlab(environment, tmp_path, "train", "model=vae", "data=mnist", "--cfg", "job")
    assert shown.returncode == 0, shown.stderr
    assert "_target_: genlab.models.vae.VAE" in shown.stdout
    refused = genlab(environment, tmp_path, "train", "model.latnet=3")
    assert refused.returncode == 2
    assert "did you mean 'latent'" in refused.stderr


def genlab_file(python, folder):
    code = "import genlab; print(genlab.__file__)"
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return call(python, "-c", code, cwd=folder, env=env).strip()


def test_it_trains_from_another_folder(environment, tmp_path):
    tiny = ["data=synthetic", "model=vae_mlp", "debug=fast", "trainer.progress=false"]
    trained = genlab(environment, tmp_path, "train", *tiny, "name=first")
    assert trained.returncode == 0, trained.stderr
    assert (tmp_path / "runs/first/summary.json").is_file()
