"""The way of a config from the command to the first step: a few files have it in their hands."""

import sys
from pathlib import Path

import pytest
from faults.tiny import words
from omegaconf import DictConfig

import genlab.commands.train
from genlab.cli.entry import main
from genlab.config.schema import Record
from genlab.training.generative_module import GenerativeModule

PACKAGE = Path(genlab.__file__).parent


class FirstStep(BaseException):
    """Ends a run as soon as it comes to its first step."""


def files_with_config(monkeypatch, line):
    """Files of the package that are called with the config or a section, up to the first step."""
    files = {}

    def look(frame, event, _):
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(str(PACKAGE)):
            return
        taken = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if any(isinstance(frame.f_locals.get(name), DictConfig | Record) for name in taken):
            files.setdefault(str(Path(code.co_filename).relative_to(PACKAGE)), code.co_name)

    def first_step(*_):
        sys.setprofile(None)
        raise FirstStep

    monkeypatch.setattr(GenerativeModule, "training_step", first_step)
    before = sys.getprofile()
    sys.setprofile(look)
    try:
        with pytest.raises(FirstStep):
            main(["train", *line])
    finally:
        sys.setprofile(before)
    return files


def test_a_config_crosses_at_most_fifteen_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = files_with_config(monkeypatch, words("vae_mlp"))
    assert {"commands/train.py", "config/check.py", "experiment/train_run.py"} <= set(files)
    assert len(files) <= 15, files
