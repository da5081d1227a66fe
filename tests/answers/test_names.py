"""Names and paths as people have them: blanks, letters of any alphabet, signs, numbers, places
inside a run."""

import numpy as np
import pytest
from PIL import Image

from genlab.config.overrides import opened
from genlab.launch.hydra_patches import parse_overrides

from .tiny import TINY

CLASSES = ["true", "1e3", "v1.5", "yes", "größe (2)", "it's", "a=b", "#1", "12"]


@pytest.mark.parametrize(
    "value",
    [
        "Pictures (1)",
        "größe",
        "日本",
        "it's",
        "a=b",
        "a&b#c!;<>^",
        "C:\\Users\\é",
        "é\\",
        "new\nline",
    ],
)
def test_a_path_of_any_signs_is_one_value(value):
    (override,) = parse_overrides(opened([f"data.path={value}"]))
    assert override.value() == value


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("name=2026", "2026"),
        ("name=1e3", "1e3"),
        ("run=true", "true"),
        ("run=[1,a]", ["1", "a"]),
        ("notes=3.5", "3.5"),
        ("run=null", None),
        ("label=3", 3),
        ("label=true", "true"),
        ("label=[yes,1e3,3]", ["yes", "1e3", 3]),
        ("seed=3", 3),
        ("optimizer.lr=1e-3", 1e-3),
        ("ema.enabled=false", False),
        ("metrics.metrics=[frechet, vendi]", ["frechet", "vendi"]),
        ("optimizer.betas=[0.5, 0.9]", [0.5, 0.9]),
        ("callbacks.samples={every: 5}", {"every": 5}),
        ("notes=${name}", "${name}"),
        ('notes="a, b"', "a, b"),
    ],
)
def test_only_text_is_quoted(word, value):
    (override,) = parse_overrides(opened([word]))
    assert override.value() == value


@pytest.mark.parametrize("word", ["seed=1,2", "seed=range(3)", "seed=choice(1,2)", "name=ä,b"])
def test_a_sweep_stays_one(word):
    (override,) = parse_overrides(opened([word]))
    assert override.is_sweep_override()


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name in CLASSES:
        folder = tmp_path / "Bilder (ü)" / name
        folder.mkdir(parents=True)
        for i in range(5):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{i}.png")


def test_own_pictures_of_any_names_go_all_the_way(genlab, pictures, tmp_path):
    show = ["data", "show", "folder", "path=Bilder (ü)", "size=8", "val_size=4"]
    code, out, err = genlab(*show, "--out", "x.png")
    assert code == 0, err
    assert "größe (2)" in out
    words = [word for word in TINY if not word.startswith(("data", "model"))]
    words += ["model=cvae", "model.network=mlp", "model.hidden=8", "model.latent=2"]
    words += ["data=folder", "data.path=Bilder (ü)", "data.size=8", "data.channels=1"]
    words += ["data.batch_size=8", "data.val_size=4", "callbacks=none"]
    code, _, err = genlab("train", *words, "name=2026", "root=Läufe [x]")
    assert code == 0, err
    for name in CLASSES:
        label = f'"{name}"' if name == "12" else name  # a number is that of a class
        code, out, err = genlab(
            "sample", "run=2026", "root=Läufe [x]", "n=2", f"label={label}", f"out={name}.npz"
        )
        assert code == 0, err
        assert (tmp_path / f"{name}.npz").exists()
    code, _, err = genlab("train", "run=Läufe [x]/2026", "trainer.max_images=80")
    assert code == 0, err


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("runs/r/checkpoints/last.ckpt", "but lies in one: run=runs/r checkpoint=last"),
        ("runs/r/checkpoints/best.ckpt", "but lies in one: run=runs/r checkpoint=best"),
        ("runs/r/checkpoints", "but lies in one: run=runs/r\n"),
        ("runs/r/config.yaml", "but lies in one: run=runs/r\n"),
        ("runs", "run=runs is not a run directory; it holds runs/r\n"),
        ("runs/x", "run=runs/x is not a run directory\n"),
        ("rr", "run=rr does not exist; did you mean 'r'?"),
    ],
)
def test_a_place_beside_a_run_is_told_from_it(genlab, tmp_path, word, said):
    assert genlab("train", *TINY, "name=r")[0] == 0
    (tmp_path / "runs/x").mkdir()
    code, _, err = genlab("sample", f"run={word}", "n=2")
    assert code == 2
    assert said in err
    code, _, err = genlab("train", *TINY, "name=x")
    assert code == 2
    assert "name=x: runs/x exists; choose another name" in err  # it is no run to resume
