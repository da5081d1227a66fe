"""The typed record of a checked config: plain, whole, the same read back, defaults said once."""

import copy
from dataclasses import MISSING, fields
from typing import get_type_hints

import hydra
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from packaging.version import Version

from genlab.config import schema
from genlab.config.check import check
from genlab.config.folders import config_dir
from genlab.config.saved import load_config, save_config
from genlab.errors import ConfigError

VERSION = {} if Version(hydra.__version__) >= Version("1.4.0rc1") else {"version_base": "1.3"}
COMMANDS = {
    "train": schema.Train,
    "evaluate": schema.Evaluate,
    "sample": schema.Sample,
    "reconstruct": schema.Reconstruct,
}
YOUNGER = {
    "guard",
    "guard.skip",
    "trainer.compile",
    "ema.every",
    "objective",
    "modality",
    "parts",
    "places",
}
"""Keys of training that the first saved configs lack."""

OLD_MEANING = {"ema.every": 1}
"""The keys whose absence in a saved config means something else than the YAML files say today."""


@pytest.fixture(scope="module")
def contents():
    """The default config of each command as plain data."""
    with initialize_config_dir(str(config_dir()), **VERSION):
        return {
            command: OmegaConf.to_container(
                compose(command, overrides=[] if command == "train" else ["run=last"]), resolve=True
            )
            for command in COMMANDS
        }


def records(kind, prefix=""):
    """All fields of a record and its sections, with their paths."""
    hints = get_type_hints(kind)
    for field in fields(kind):
        path = f"{prefix}{field.name}"
        yield path, field
        if isinstance(hints[field.name], type) and issubclass(hints[field.name], schema.Record):
            yield from records(hints[field.name], f"{path}.")


def at(content, path):
    for key in path.split("."):
        content = content[key]
    return content


def plain(value):
    """Whether a value is made of dictionaries, lists and scalars, of exactly these types."""
    if type(value) is dict:
        return all(type(key) is str and plain(item) for key, item in value.items())
    if type(value) is list:
        return all(plain(item) for item in value)
    return value is None or type(value) in (str, int, float, bool)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_record_is_the_whole_config_in_plain_python(contents, command):
    record = check(OmegaConf.create(contents[command]), command)
    assert type(record) is COMMANDS[command]
    for field in fields(record):
        value = getattr(record, field.name)
        assert isinstance(value, schema.Record) or plain(value), field.name
    assert plain(record.content)
    # `data` is in the config of an evaluation only when a group was chosen.
    absent = {"data": None} if command == "evaluate" else {}
    assert record.content == absent | contents[command]


def test_sections_are_records_and_components_are_dictionaries(contents):
    record = check(OmegaConf.create(contents["train"]))
    assert isinstance(record.trainer, schema.Trainer)
    assert isinstance(record.ema, schema.Ema)
    assert isinstance(record.guard, schema.Guard)
    assert isinstance(record.closing, schema.Closing)
    assert record.ema == schema.Ema(enabled=True, halflife=20000, rampup=0.05, every=4)
    assert record.model["_target_"] == "genlab.models.vae.VAE"
    assert record.callbacks["samples"]["every"] == "2 epochs"


def test_interpolations_are_resolved(contents):
    cfg = OmegaConf.create({**contents["train"], "name": "a", "group": "${name}"})
    cfg.metrics.seed = "${seed}"
    record = check(cfg)
    assert (record.group, record.metrics["seed"]) == ("a", 0)


def test_a_saved_config_gives_the_same_record(contents, tmp_path):
    record = check(OmegaConf.create(contents["train"]))
    save_config(record.content, tmp_path / "config.yaml")
    back = check(load_config(tmp_path / "config.yaml"))
    assert back == record
    assert back.content == record.content


def test_the_content_of_a_record_is_its_own(contents):
    record = check(OmegaConf.create(contents["train"]))
    before = copy.deepcopy(record)
    record.content["model"]["_target_"] = "os.system"
    record.content["tags"].append("a")
    assert record == before


@pytest.mark.parametrize("command", COMMANDS)
def test_a_default_stands_in_yaml_and_nowhere_else(contents, command):
    for path, field in records(COMMANDS[command]):
        default = field.default if field.default is not MISSING else field.default_factory
        if (command, path) == ("evaluate", "data"):
            assert default is None
        elif path.startswith("guard.") or path in YOUNGER:
            value = default() if callable(default) else default
            value = value.content if isinstance(value, schema.Record) else value
            assert value == OLD_MEANING.get(path, at(contents[command], path)), path
        else:
            assert default is MISSING, f"{path}: the YAML says it already"
            at(contents[command], path)


def test_a_config_saved_before_a_key_was_there_means_what_it_meant(contents):
    for path in YOUNGER:
        old = copy.deepcopy(contents["train"])
        section, _, key = path.rpartition(".")
        del (at(old, section) if section else old)[key]
        record = check(OmegaConf.create(old))
        expected = OLD_MEANING.get(path, at(contents["train"], path))
        assert at(record.content, path) == expected, path


def test_a_key_that_every_saved_config_has_is_missed(contents):
    for path, _ in records(schema.Train):
        if path in YOUNGER or path.startswith("guard."):
            continue
        content = copy.deepcopy(contents["train"])
        section, _, key = path.rpartition(".")
        del (at(content, section) if section else content)[key]
        with pytest.raises(ConfigError, match=rf"^{path}: no value, .* is needed$"):
            check(OmegaConf.create(content))


@pytest.mark.parametrize("word", ["content", "of"])
def test_what_a_record_can_do_is_no_key(contents, word):
    with pytest.raises(ConfigError, match=f"^{word}={{...}}: unknown key"):
        check(OmegaConf.create({**contents["train"], word: {}}))
