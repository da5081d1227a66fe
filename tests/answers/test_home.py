"""`~` is the home wherever a path is typed: in a key, in quotes, in a list, after an option."""

import os

import pytest
from omegaconf import OmegaConf

import genlab as api
from genlab.config.home import expand_config, expand_overrides, expand_words
from genlab.errors import ConfigError

from .tiny import TINY


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "a home's"  # with what a grammar and a shell stumble over
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.mark.parametrize(
    "form",
    [
        "root=~/runs",
        pytest.param('root="~/runs"', marks=pytest.mark.slow),
        pytest.param("root='~/runs'", marks=pytest.mark.slow),
    ],
)
def test_a_run_is_made_found_and_drawn_from(genlab, home, tmp_path, form):
    code, _out, err = genlab("train", *TINY, form, "name=r")
    assert code == 0, err
    run = home / "runs" / "r"
    assert (run / "run.json").is_file()
    assert not list(tmp_path.rglob("~"))
    for words in (
        ["sample", "run=~/runs/r", "n=1", "out=~/x.png"],
        ["sample", 'run="~/runs/r"', "n=1", 'out="~/y.png"'],
        ["sample", "run=r", "root=~/runs", "n=1", "out=~/z"],
        ["evaluate", "run=[~/runs/r]", "metrics.metrics=[vendi]", "metrics.n_samples=16"],
        ["evaluate", "images=~/z", "data=synthetic", "metrics=none"],
        ["reconstruct", "run=~/runs/r", "n=1", "out=~/r.png"],
        ["export", "run=~/runs/r", "out=~/export"],
        ["compare", "~/runs"],
        ["compare", "~/runs", "--csv=~/a.csv", "--html", "~/a.html"],
        ["doctor", "--root=~/runs"],
        ["data", "show", "synthetic", "--out", "~/d.png"],
        ["train", *TINY, "init_from=~/runs/r", "root=~/runs", "name=s"],
        ["train", "run=~/runs/r", "trainer.max_images=128"],
    ):
        code, _, err = genlab(*words)
        assert code == 0, (words, err)
    made = {path.name for path in home.iterdir()}
    assert {"x.png", "y.png", "z", "r.png", "export", "a.csv", "a.html", "d.png"} <= made
    assert not list(tmp_path.rglob("~"))
    assert api.load("~/runs/r").sample(1).save("~/p.png") == home / "p.png"
    assert api.load("~/runs/last").path == home / "runs" / "s"


@pytest.mark.usefixtures("forked_jobs")
def test_a_sweep_and_a_folder_of_configs(genlab, home):
    (home / "mine/model").mkdir(parents=True)
    (home / "mine/model/own.yaml").write_text("defaults: [vae_mlp]\nlatent: 3\n")
    code, out, err = genlab("train", "--config-dir=~/mine", "model=own", "--cfg", "job")
    assert (code, "latent: 3" in out) == (0, True), err
    assert genlab("list", "models", "--config-dir", "~/mine")[0] == 0
    code, out, err = genlab("train", "-m", *TINY, "seed=0,1", "root=~/runs", "name=sweep")
    assert code == 0, err
    assert (home / "runs/sweep/sweep.json").is_file()
    assert genlab("sweep", "status", "~/runs/sweep")[0] == 0


def test_what_is_no_path_stays(home):
    assert expand_overrides(["~callbacks", "+a=b~/c", "x=~nobody-of-this-name/y"]) == [
        "~callbacks", "+a=b~/c", "x=~nobody-of-this-name/y",
    ]  # fmt: skip
    assert expand_words(["a~/b", "model=~", "-n", "3"]) == ["a~/b", f"model={home}", "-n", "3"]
    cfg = {"notes": "~/x", "root": "~/x", "deep": [{"dir": "~"}], "not": "a~/b", "miss": "???"}
    cfg |= {"link": "${root}/y", "hydra": {"sweep": {"dir": "~/s"}, "other": "~/o"}}
    found = OmegaConf.to_container(expand_config(OmegaConf.create(cfg)), resolve=False)
    assert found == cfg | {
        "root": f"{home}/x",
        "deep": [{"dir": str(home)}],
        "hydra": {"sweep": {"dir": f"{home}/s"}, "other": "~/o"},
    }


def test_a_home_that_is_not_there_is_one_line(genlab, home):
    for words in (["data=folder", 'data.path="~nobody-here/x"'], ['run="~nobody-here/x"']):
        code, _, err = genlab("train", *words)
        assert code == 2
        assert "should not happen" not in err
    with pytest.raises(ConfigError):
        api.compare("~/nothing")
    assert os.environ["HOME"] == str(home)
