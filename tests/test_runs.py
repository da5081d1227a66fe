"""Run directories: made for their owner, found by path, name or 'last', never overwritten."""

import json
import stat

import pytest

from genlab.errors import ConfigError
from genlab.runs.directory import Run, create_run, find_run, list_runs
from genlab.system.paths import write_atomically


def make(root, name):
    return create_run(root, name, "vae", "mnist", 0)


def test_a_run_belongs_to_its_owner_and_says_what_it_is(tmp_path):
    run = make(tmp_path / "runs", None)
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
    assert run.read("run.json")["model"] == "vae"
    run.update("run.json", status="running")
    assert run.read("run.json")["status"] == "running"
    assert run.read("run.json")["model"] == "vae"
    assert run.read("nothing.json") == {}


def test_two_runs_of_one_second_get_directories_of_their_own(tmp_path):
    assert len({make(tmp_path, None).path for _ in range(5)}) == 5


def test_a_name_is_never_taken_twice(tmp_path):
    make(tmp_path, "a")
    with pytest.raises(ConfigError, match=r"name=a: .* exists; resume it with run="):
        make(tmp_path, "a")


@pytest.mark.parametrize("name", ["../a", "a/b", " ", ".hidden", "a" * 65, "a\nb", "a\0", "é"])
def test_a_name_is_no_path(tmp_path, name):
    with pytest.raises(ConfigError, match="name="):
        make(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_runs_are_found(tmp_path):
    for i, name in enumerate(("b", "a")):
        make(tmp_path, name).update("run.json", created=f"2026-01-0{i + 1}")
    assert [run.name for run in list_runs(tmp_path)] == ["b", "a"]
    assert find_run("last", tmp_path).name == "a"
    assert find_run("b", tmp_path).name == "b"
    assert find_run(str(tmp_path / "b"), tmp_path / "elsewhere").name == "b"
    with pytest.raises(ConfigError, match="run=bb does not exist; did you mean 'b'"):
        find_run("bb", tmp_path)
    with pytest.raises(ConfigError, match="is not a run directory"):
        find_run(str(tmp_path), tmp_path)
    with pytest.raises(ConfigError, match="there is no run under"):
        find_run("last", tmp_path / "empty")


def test_a_damaged_file_is_named(tmp_path):
    run = make(tmp_path, "a")
    (run.path / "summary.json").write_text('{"cut')
    with pytest.raises(ConfigError, match=r"summary\.json is damaged"):
        run.read("summary.json")


def test_a_failed_write_keeps_the_old_content(tmp_path, monkeypatch):
    target = tmp_path / "file"
    write_atomically(target, b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"


def test_an_unwritable_root_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"root=.*cannot be written to"):
        make(tmp_path / "file" / "runs", None)


def test_a_root_that_is_a_file_is_said_to_be_one(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"root=.*file: is a file"):
        make(tmp_path / "file", None)


def test_a_run_that_is_not_there_is_named_with_the_key_that_asked_for_it(tmp_path):
    with pytest.raises(ConfigError, match="init_from=nowhere does not exist"):
        find_run("nowhere", tmp_path, "init_from")


def test_paths_are_shown_as_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Run(tmp_path / "runs" / "a").shown() == "runs/a"
    assert json.loads((make(tmp_path, "z").path / "run.json").read_text())["seed"] == 0
