"""Output of another encoding than UTF-8 gets every number, and never an error."""

import ast
import io
import sys
from pathlib import Path

import pytest

import genlab as package
from genlab.cli.entry import main
from genlab.system.streams import forgiving, make_forgiving
from genlab.system.terminal import say

from .tiny import TINY


def stream(encoding, errors="strict"):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors)


def written(to):
    to.flush()
    return to.buffer.getvalue().decode(to.encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437"])
@pytest.mark.parametrize("errors", ["strict", "surrogateescape", "backslashreplace"])
def test_what_an_encoding_lacks_is_spelled(encoding, errors):
    to = stream(encoding, errors)
    make_forgiving(to)
    to.write("1.5 ± 0.2 ↓ Fréchet m² 漢")
    text = written(to)
    assert text.startswith(("1.5 ± 0.2 ", "1.5 +- 0.2 "))
    assert "Fr" in text
    assert text.endswith("?")


def test_utf_8_and_the_user_s_own_choice_stay():
    to = stream("utf-8")
    make_forgiving(to)
    to.write("± 漢 \udcff")  # of a file's name that is no text
    assert written(to) == "± 漢 ?"
    to = stream("ascii", "xmlcharrefreplace")
    make_forgiving(to)
    to.write("±")
    assert written(to) == "&#177;"


def test_streams_that_cannot_be_changed_stay(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", None)
    forgiving()
    print("±")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_every_command_prints(tmp_path, monkeypatch, encoding):
    monkeypatch.chdir(tmp_path)
    commands = [
        ["train", *TINY, "name=a"],
        ["compare", "runs"],
        ["compare", "runs", "--markdown"],
        ["evaluate", "run=a", "metrics=quick", "metrics.n_samples=100"],
        ["sample", "run=a", "n=4", "show=true"],
        ["list", "models"],
        ["list", "metrics"],
        ["show", "metrics/quick"],
        ["data", "mnist"],
        ["doctor"],
        ["train", "--help"],
        ["train", "model=é"],
    ]
    for words in commands:
        out, err = stream(encoding), stream(encoding)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            code = main(words)
        assert code == (2 if "model=é" in words else 0), (words, written(err))
        assert "UnicodeEncodeError" not in written(err)
        assert written(out) or code


def test_python_code_prints_too(monkeypatch):
    """`genlab.train` in a script: no entry of the command line has looked at the streams."""
    to = stream("ascii")
    monkeypatch.setattr(sys, "stdout", to)
    say("1 ± 2")
    assert written(to) == "1 +- 2\n"


def calls():
    for file in sorted(Path(package.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield file, node


def test_every_text_file_states_its_encoding():
    """The locale's would be another on another machine, and cannot hold é everywhere."""
    missing = []
    for file, call in calls():
        mode = call.args[0] if call.args else None
        text = call.func.attr in ("read_text", "write_text") or (
            call.func.attr == "open"
            and isinstance(mode, ast.Constant)
            and mode.value in ("r", "w", "a", "x")
        )
        importlib_file = ast.unparse(call.func.value).startswith("(files(")
        if text and not importlib_file and "encoding" not in {k.arg for k in call.keywords}:
            missing.append(f"{file.name}:{call.lineno}")
    assert missing == []
