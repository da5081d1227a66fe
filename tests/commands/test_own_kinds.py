"""A model and a data set of the user's own, one file and one YAML each: as those of genlab."""

import json
import shutil
from pathlib import Path

import pytest

from .conftest import TINY

EXAMPLES = Path(__file__).parents[2] / "examples"
OWN = ("--config-dir", "conf")
SHORT = [w for w in TINY if not w.startswith(("model", "data=", "data.limit"))] + [
    "trainer.epochs=1"
]


@pytest.fixture
def mine(tmp_path, genlab):
    """The examples' files in the folder that the commands run in."""
    for name in ("own_model", "own_data"):
        shutil.copytree(EXAMPLES / name, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_both_are_listed_checked_reported_and_ranked(mine, genlab):
    # Listed
    assert "neighbours" in genlab("list", "models", *OWN)[1]
    assert "Rings of two sizes" in genlab("list", "data", *OWN)[1]
    # Checked, before anything of them is run
    for words, line in (
        (["trust=[neighbours]", "model=neighbours", "model.strat=0"], "did you mean 'start'"),
        (["trust=[neighbours]", "model=neighbours", "model.start=many"], "model.start=many: a num"),
        (["trust=[rings]", "data=rings", "data.sise=8"], "did you mean 'size'"),
        (["trust=[rings]", "data=rings", "data.size=0"], "data.size=0: an integer >= 1"),
        (["data=rings"], "trust=[rings]"),
        (["trust=[rings]", "data=ring"], "did you mean 'rings'"),
    ):
        code, _, err = genlab("train", *OWN, *words)
        assert code == 2
        assert line in err
        assert len(err.strip().splitlines()) == 1
    # Trained and reported
    own = ("trust=[neighbours,rings]", *SHORT)
    for name, words in (
        ("bits", ["model=neighbours", "data=mnist_dyn", "data.limit=128"]),
        ("drawn", ["model=vae_mlp", "data=rings", "data.n_train=128"]),
        ("plain", ["model=vae_mlp", "data=mnist_dyn", "data.limit=128"]),
    ):
        code, _, err = genlab("train", *OWN, *own, *words, f"name={name}")
        assert code == 0, err
    metrics = {
        name: json.loads((mine / "runs" / name / "summary.json").read_text())["metrics"]
        for name in ("bits", "drawn")
    }
    assert metrics["bits"]["nll_exact"] > 0
    assert "fd_pixels_100" in metrics["drawn"]
    # Ranked: with those of genlab on the same data, and not with those on other data
    code, said, _ = genlab("compare", "--json")
    assert code == 0
    rows = {row["name"]: row for row in json.loads(said)["runs"]}
    assert rows["bits"]["block"] == rows["plain"]["block"] != rows["drawn"]["block"]
    assert {rows["bits"]["rank"], rows["plain"]["rank"]} == {1, 2}
    assert rows["drawn"]["data"] == "rings"
    assert rows["bits"]["model"] == "neighbours"
