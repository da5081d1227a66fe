"""Paths where a name belongs, and ways out of the directories that are written to."""

import os
from pathlib import Path

import pytest

from genlab.errors import ConfigError
from genlab.runs.directory import create_run
from genlab.sweeps.jobs import job_id

from .probes import commands, contents

NAMES = {
    "climbing": "../x",
    "climbing further": "../../../../tmp/x",
    "absolute": "/tmp/x",
    "home": "~/x",
    "a folder": "a/b",
    "backwards": "a\\b",
    "dots": "..",
    "dot": ".",
    "hidden": ".hidden",
    "an option": "-rf",
    "nul": "a\0b",
    "a line break": "a\nb",
    "a return": "a\rb",
    "a space": "a b",
    "a tab": "a\tb",
    "too long": "a" * 300,
    "an emoji": "run\N{SNAKE}",
    "right to left": "a\u202eb",
    "full width": "ａ",  # noqa: RUF001
    "a tag": "<script>",
    "a shell's": "$(id)",
    "a quote": "a'b",
    "a drive": "C:x",
    "a glob": "*",
    "an escape": "\x1b[31m",
    "a per cent": "%2e%2e%2fx",
}
"""What may not name a run's directory."""

OUTSIDE = [
    "hydra.run.dir={out}",
    "hydra.run.dir=../x",
    "hydra.run.dir='${{oc.env:HOME}}'",
    "hydra.output_subdir=../x",
    "hydra.output_subdir={out}",
    "hydra.job.name=../x",
    "hydra.sweep.subdir=../x",
    "hydra.sweep.subdir='${{hydra:job.override_dirname}}'",
    "model=../../x",
    "model={out}",
    "data=../model/vae",
    "logger=~/x",
    "experiment=../../../x",
    "hydra/launcher=../../x",
    "+callbacks.x={{_target_:pytorch_lightning.callbacks.ModelCheckpoint,dirpath:{out}}}",
    "+callbacks.x={{_target_:pytorch_lightning.callbacks.ModelCheckpoint,dirpath:../x}}",
    "+callbacks.x={{_target_:pytorch_lightning.callbacks.ModelCheckpoint,filename:../../x}}",
    "+logger.x={{_target_:pytorch_lightning.loggers.CSVLogger,save_dir:{out}}}",
    "+logger.x={{_target_:pytorch_lightning.loggers.CSVLogger,save_dir:'~'}}",
    "+logger.x={{_target_:pytorch_lightning.loggers.TensorBoardLogger,save_dir:a/../../x}}",
    "+callbacks.x={{_target_:pytorch_lightning.callbacks.ModelCheckpoint,dirpath:'s3://x'}}",
]
"""Overrides that would have something written or read elsewhere."""


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_named_by_a_plain_word(tmp_path, name):
    root = tmp_path / "runs"
    with pytest.raises(ConfigError, match="no path") as caught:
        create_run(root, NAMES[name], "vae", "mnist", 0)
    assert all(c.isprintable() or c == "\n" for c in str(caught.value).replace("\n", ""))
    assert [p for p in tmp_path.rglob("*") if p != root] == []


@pytest.mark.parametrize("name", ["a", "A.b_c=d-1", "a" * 64, "0"])
def test_plain_words_are_taken(tmp_path, name):
    run = create_run(tmp_path, name, "vae", "mnist", 0)
    assert run.path == tmp_path / name
    assert run.path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("override", OUTSIDE)
def test_an_override_leads_nowhere_else(tmp_path, monkeypatch, capsys, override):
    run = commands(tmp_path / "cwd", monkeypatch, capsys)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(
        "genlab.experiment.session.TrainingSession.train", lambda *args: pytest.fail("began")
    )
    text = override.format(out=tmp_path / "out")
    code, _, err = run("train", "data=synthetic", text)
    if code != 2 and "given before" in err:
        pytest.fail(err)
    assert code == 2, err
    assert text.lstrip("+").partition("=")[0].partition(".x")[0] in err
    assert len(err.splitlines()) <= 5
    assert contents(tmp_path) == {"cwd": None}


def test_a_sweeps_jobs_lie_in_directories_named_by_a_hash():
    for value in NAMES.values():
        name = job_id([f"notes={value}", "seed=1"])
        assert len(name) == 8
        assert set(name) <= set("0123456789abcdef")


@pytest.mark.parametrize("job", ["../../x", "/tmp/x"])
def test_a_sweep_is_named_by_a_plain_word_too(tmp_path, monkeypatch, capsys, job):
    run = commands(tmp_path / "cwd", monkeypatch, capsys)
    code, _, err = run("train", "-m", "data=synthetic", "seed=0,1", f"name={job}")
    assert code == 2, err
    assert "name=" in err
    assert [p for p in tmp_path.rglob("*") if p.name not in ("cwd", "runs")] == []


def test_the_count():
    assert len(NAMES) + len(OUTSIDE) >= 40


def test_what_leads_out_would(tmp_path):
    """The control: the names climb where nobody looks at them."""
    (tmp_path / "a").mkdir()
    Path(os.path.join(tmp_path / "a", NAMES["climbing"])).mkdir()
    assert (tmp_path / "x").is_dir()
