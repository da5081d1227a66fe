"""Hydra still words its errors as they are matched, so that each comes out as a line of use."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from test_config_check import VERSION

from genlab.launch.messages import explain, unknown_override

FILES = {
    "main": "defaults: [_self_, {model: vae}]\nseed: 0\n",
    "open": "defaults: [_self_, {model: '???'}]\n",
    "model/vae": "latent: 2\n",
    "model/gan": "latent: 3\n",
}


@pytest.fixture
def error(tmp_path):
    """The error of composing a config with overrides."""
    (tmp_path / "model").mkdir()
    for name, text in FILES.items():
        (tmp_path / f"{name}.yaml").write_text(text)

    def caught(*words, name="main"):
        with initialize_config_dir(str(tmp_path), **VERSION), pytest.raises(Exception) as found:  # noqa: PT011
            compose(name, list(words))
        return found.value

    return caught


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["model=vea"], "model=vea: there is no such config; did you mean 'vae'? model can be"),
        (["seed=0,1"], "seed=0,1: several values are a sweep: add -m, or write a list as seed=["),
        (["seed=range(0,3)"], "seed=range(0,3): several values are a sweep: add -m"),
        (["+seed=1"], "+seed: the key is already there; leave the + out"),
        (["seed=[1"], "seed=[1: cannot be read as key=value"),
        (["model=3"], "a config group was given no name of a config"),
    ],
    ids=lambda words: words[0],
)
def test_hydras_errors_are_explained(error, words, line):
    assert str(explain(error(*words))).startswith(line)


def test_a_missing_choice_names_those_there_are(error):
    assert str(explain(error(name="open"))) == (
        "model: no choice was made; give model=NAME with one of gan, vae"
    )


def test_a_missing_config_is_named(error, tmp_path):
    (tmp_path / "model" / "bad.yaml").write_text("defaults: [nope]\n")
    expected = "model/nope: there is no such config (asked for in model/bad)"
    assert str(explain(error("model=bad"))).startswith(expected)
    assert "primary config 'nope'" in str(explain(error(name="nope")))


def test_the_key_of_an_unknown_override_is_found(error):
    assert unknown_override(error("sede=1")) == "sede"
    assert unknown_override(error("model.latnet=1")) == "model.latnet"
    assert unknown_override(error("seed=0,1")) is None


@pytest.mark.skipif(VERSION == {}, reason="Hydra 1.4 raises the TypeError as it is")
def test_what_cannot_be_built_is_named_with_its_key():
    with pytest.raises(InstantiationException) as found:
        instantiate({"_target_": "genlab.models.vae.VAE", "nope": 1})
    assert str(explain(found.value)).startswith("genlab.models.vae.VAE: TypeError: ")
