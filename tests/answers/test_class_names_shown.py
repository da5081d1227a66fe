"""Class names of a published data set: a sample is drawn by them, tables and reports show them."""

import re

import numpy as np
from data.conftest import small_fashion, write

__all__ = ["small_fashion"]


def test_the_names_are_shown_and_drawn_by(genlab, small_fashion, tmp_path):
    write(tmp_path / "fashion", small_fashion)
    code, out, err = genlab("data", "fashion_mnist")
    assert code == 0, err
    assert "classes  10: T-shirt/top, Trouser, Pullover" in out
    data = ["data.root=fashion", "data.val_size=4", "data.batch_size=8"]
    code, out, err = genlab("data", "show", "fashion_mnist", "--out", "x.png", *data)
    assert code == 0, err
    assert re.search(r"0\s+T-shirt/top", out)
    words = ["model=cvae", "model.network=mlp", "model.hidden=8", "model.latent=2"]
    words += ["data=fashion_mnist", *data, "trainer.max_images=16", "metrics=none", "logger=none"]
    code, out, err = genlab("train", *words, "closing.n_samples=8", "name=r", "callbacks=none")
    assert code == 0, err
    drawn = {}
    for k, label in enumerate(["Ankle boot", "9", "T-shirt/top", "0"]):
        code, out, err = genlab("sample", "run=r", "n=4", f"label={label}", f"out=s{k}.npz")
        assert code == 0, err
        assert ("label 9 is class Ankle boot" in out) == (label == "9")
        drawn[label] = np.load(tmp_path / f"s{k}.npz")["images"]
    assert (drawn["Ankle boot"] == drawn["9"]).all()
    assert (drawn["T-shirt/top"] == drawn["0"]).all()
    code, _, err = genlab("sample", "run=r", "label=ankle boot")
    assert code == 2
    assert "did you mean 'Ankle boot'?" in err
    code, _, err = genlab("compare", "--html", "page.html")
    assert code == 0, err
    page = (tmp_path / "page.html").read_text()
    assert "classes of fashion_mnist: 0 T-shirt/top, 1 Trouser" in page


def test_digits_are_not_told_twice(genlab, tmp_path):
    words = ["model=cvae", "model.network=mlp", "model.hidden=8", "model.latent=2"]
    words += ["data=mnist", "data.limit=64", "data.val_size=8", "data.batch_size=8"]
    words += ["trainer.max_images=16", "metrics=none", "logger=none", "callbacks=none", "name=r"]
    code, _, err = genlab("train", *words, "closing.n_samples=8")
    assert code == 0, err
    code, out, err = genlab("sample", "run=r", "n=2", "label=3")
    assert code == 0, err
    assert "is class" not in out
    assert genlab("compare", "--html", "page.html")[0] == 0
    assert "classes of mnist" not in (tmp_path / "page.html").read_text()
