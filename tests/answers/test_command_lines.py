"""Random command lines: each ends well, or is answered in a few lines before anything is written.

The search that found what the tests beside this one hold; a few of the same kind run always.
"""

import shutil
import sys
import warnings

import pytest
from hypothesis import HealthCheck, given, settings

from genlab.cli.entry import main

from .command_lines import after, new_runs
from .tiny import TINY

QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]


def searched(few, many):
    """Few command lines, always the same, or many others under ``--all``."""

    def decorate(test):
        short = settings(
            max_examples=few, derandomize=True, deadline=None, suppress_health_check=QUIET
        )
        long = settings(max_examples=many, deadline=None, suppress_health_check=QUIET)
        cases = [
            pytest.param(short, id="few"),
            pytest.param(long, id="many", marks=pytest.mark.slow),
        ]
        return pytest.mark.parametrize("how", cases)(test)

    return decorate


def outcome(words, capsys):
    """Exit code and output of a command line, in this process, where libraries may warn."""
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = main(words)
    out, err = capsys.readouterr()
    return code, out, err


def judge(words, code, err):
    assert "should not happen" not in err, (words, err)
    assert "Traceback" not in err, (words, err)
    assert "UserWarning" not in err, (words, err)
    assert "not in struct" not in err, (words, err)
    assert code in (0, 1, 2, 3), (words, code, err)
    said = err.partition("genlab: error: ")[2]
    assert len(said.splitlines()) <= 6, (words, err)
    assert (code == 0) == (not said), (words, code, err)


@searched(few=12, many=1500)
def test_new_runs(tmp_path, monkeypatch, capsys, how):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["genlab", "train"])

    @how
    @given(new_runs())
    def each(words):
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
        code, _, err = outcome(["train", *words], capsys)
        judge(words, code, err)
        if code == 2 and "-m" not in words:  # refused: before anything was written
            assert not any((tmp_path / "runs").glob("*")), (words, err)

    each()


@searched(few=12, many=600)
def test_commands_about_a_run(tmp_path, monkeypatch, capsys, how):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["genlab", "train"])
    assert main(["train", *TINY, "name=r"]) == 0
    shutil.copytree(tmp_path / "runs", tmp_path / "kept")

    @how
    @given(after())
    def each(words):
        code, _, err = outcome(words, capsys)
        judge(words, code, err)
        if words[0] == "train" or code:
            shutil.rmtree(tmp_path / "runs")
            shutil.copytree(tmp_path / "kept", tmp_path / "runs")

    each()
