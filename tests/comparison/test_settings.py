"""Configurations side by side: who shares one, where others differ, who is asked for."""

import pytest
import yaml

from genlab.cli import entry as cli
from genlab.comparison.flat import ABSENT, setting_hash
from genlab.comparison.reading import read_leaderboard
from genlab.comparison.settings import differing, where

from .synthetic import make_run, value

BASE = "seed: 0\nname: a\nlogger:\n  local:\n    project: x\ntags:\n- one\nmodel:\n  latent: 8\n"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("seed: 0", "seed: 1", True),
        ("name: a", "name: b", True),
        ("project: x", "project: y", True),
        ("- one", "- two", True),
        ("latent: 8", "latent: 9", False),
        ("model:", "data:", False),
    ],
)
def test_a_setting_is_all_but_seed_names_and_loggers(old, new, same):
    assert (setting_hash(BASE) == setting_hash(BASE.replace(old, new))) is same


def test_the_order_of_the_keys_is_none_of_the_setting():
    turned = "model:\n  width: 3\n  latent: 8\nema:\n  every: 1\nseed: 3\n"
    same = "seed: 0\nema: {}\nmodel:\n  latent: 8\n  width: 3\n"
    assert setting_hash(turned) == setting_hash(same)
    # The order of a list's items is.
    assert setting_hash("freeze: [a, b]") != setting_hash("freeze: [b, a]")
    # Keys that are no words, and values that JSON has no word for.
    odd = "curriculum: {0: 2026-01-01, 1: .nan, a: [{b: 1, 2: 3}]}"
    assert setting_hash(odd) == setting_hash(odd + "\nname: x\n")


@pytest.mark.parametrize(
    ("key", "then", "otherwise"),
    [
        ("modality", None, {"_target_": "mine.Ascii"}),
        ("parts", None, {"autoencoder": {"run": "ae"}}),
        ("ema.every", 1, 4),
        ("trainer.compile", False, True),
        ("guard.action", "warn", "stop"),
    ],
)
def test_a_key_that_is_younger_than_a_run_has_the_value_of_then(key, then, otherwise):
    section, _, inner = key.partition(".")

    def with_key(value):
        given = {section: {inner: value} if inner else value}
        return setting_hash(BASE + yaml.safe_dump(given))

    assert with_key(then) == setting_hash(BASE)
    assert with_key(otherwise) != setting_hash(BASE)


def test_damaged_configs_are_settings_of_their_own():
    assert setting_hash("") == ""
    assert len({setting_hash(text) for text in ("a: [1", "a: [2", "- 1\n", "- 2\n")}) == 4


@pytest.fixture
def board(tmp_path):
    make_run(tmp_path, "a", value("fd_digits", 1.0), settings={"model.latent": 16})
    make_run(tmp_path, "b", value("fd_digits", 2.0), model="gan", settings={"optimizer.lr": 3e-4})
    make_run(tmp_path, "c", value("fd_digits", 3.0), seed=1, settings={"model.flag": True})
    return read_leaderboard([tmp_path])


@pytest.mark.parametrize(
    ("conditions", "names"),
    [
        (["model=vae"], "ac"),
        (["model=vae,gan"], "abc"),
        (["model=vae", "seed=1"], "c"),
        (["model.latent=16"], "a"),
        (["model.latent=16.0"], "a"),
        (["optimizer.lr=3e-4"], "b"),
        (["optimizer.lr=0.0003,0.001"], "abc"),
        (["model.flag=true"], "c"),
        (["trainer.epochs=null"], "abc"),
        (["optimizer.betas=[0.9,0.999]"], "abc"),
        (["optimizer.betas=1,[0.9,0.999]", "model=gan"], "b"),
    ],
)
def test_runs_are_chosen_by_their_keys(board, conditions, names):
    assert [row.name for row in where(board, conditions).rows] == list(names)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("model.latnet=16", "no run has the key model.latnet; did you mean 'model.latent'?"),
        ("model.latent=17", "no run has this value; there are 16"),
        ("model", "KEY=VALUE is expected, such as model=vae"),
        ("=x", "KEY=VALUE is expected"),
    ],
)
def test_what_nothing_meets_is_refused_in_a_line(tmp_path, board, capsys, condition, message):
    assert cli.main(["compare", str(tmp_path), "--where", condition]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_conditions_that_exclude_each_other_are_refused(tmp_path, board, capsys):
    words = ["--where", "model=gan", "--where", "seed=1"]
    assert cli.main(["compare", str(tmp_path), *words]) == 2
    assert "no run meets all of it" in capsys.readouterr().err


def test_only_keys_that_differ_are_told(board):
    found = differing(board.rows)
    assert found == {
        "model._target_": [
            "genlab.models.vae.VAE",
            "genlab.models.gan.GAN",
            "genlab.models.vae.VAE",
        ],
        "model.latent": [16, ABSENT, ABSENT],
        "model.flag": [ABSENT, ABSENT, True],
        "optimizer.lr": [1e-3, 3e-4, 1e-3],
    }


def test_a_number_and_a_text_of_it_differ(tmp_path):
    make_run(tmp_path, "a", settings={"model.latent": 16})
    make_run(tmp_path, "b", settings={"model.latent": "16"})
    assert differing(read_leaderboard([tmp_path]).rows) == {"model.latent": [16, "16"]}


def test_a_damaged_config_is_listed(tmp_path, board, capsys):
    (tmp_path / "a" / "config.yaml").write_text("model: {latent: [\n")
    (tmp_path / "b" / "config.yaml").write_text("- 1\n")
    assert cli.main(["compare", str(tmp_path), "--diff"]) == 0
    out = capsys.readouterr().out
    assert f"damaged: {tmp_path / 'a'}: config.yaml is damaged" in out
    assert f"damaged: {tmp_path / 'b'}: config.yaml is damaged: a mapping is expected" in out
    assert "│ 1 │ c " in out


def test_no_secret_is_shown(tmp_path, capsys):
    make_run(tmp_path, "a", settings={"data.token": "abcdefgh"})
    make_run(tmp_path, "b", settings={"data.token": "hgfedcba"})
    assert cli.main(["compare", str(tmp_path), "--diff"]) == 0
    assert "gfedcb" not in capsys.readouterr().out
