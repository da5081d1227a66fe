"""Runs and exports whose configs name what genlab has no more: every command still takes them."""

import json

import pytest
import yaml

from genlab.config.saved import load_config
from genlab.experiment.exported import import_model

OLD = {
    "local": {"_target_": "genlab.training.loggers.trackio.TrackioLogger", "project": "genlab"},
    "csv": {"_target_": "genlab.training.loggers.csv.CSVLogger"},
}
"""The loggers of a run that was trained with `logger=[local,csv]`, when `local` was a class."""


@pytest.fixture
def old(trained):
    """A run as it was written then."""
    file = trained / "config.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"logger": OLD}))
    return trained


def test_every_command_takes_a_run_of_the_trackio_logger(old, genlab):
    assert list(load_config(old / "config.yaml").logger) == ["csv"]
    for words in (
        ["sample", "run=tiny", "n=4"],
        ["reconstruct", "run=tiny", "n=4"],
        ["evaluate", "run=tiny", "metrics=quick", "metrics.n_samples=32"],
        ["train", "run=tiny", "trainer.epochs=3"],
        ["compare", "runs"],
        ["export", "run=tiny"],
    ):
        code, _, err = genlab(*words)
        assert code == 0, err
        assert "trackio" not in err.lower()
    versions = list((old / "csv").glob("version_*"))
    assert len(versions) == 2  # of the evaluation and of the session that was resumed
    assert not (old.parent / ".trackio").exists()


def test_an_export_of_such_a_run_is_read(old, genlab):
    assert genlab("export", "run=tiny")[0] == 0
    file = old / "export" / "model.json"
    described = json.loads(file.read_text())
    described["config"]["logger"] = OLD
    file.write_text(json.dumps(described))
    assert import_model(old / "export").images_seen > 0


@pytest.mark.parametrize("section", [{"_target_": ["a"]}, {"_target_": {"a": 1}}, "text", None, []])
def test_other_sections_stay(tmp_path, section):
    content = {"model": section, "nested": {"more": [section]}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    assert load_config(tmp_path / "config.yaml") == content
