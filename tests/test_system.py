"""The cache directory, and downloads: every mirror, every failure, and nothing half left."""

import hashlib
import os
import socket
import stat
import sys
import threading
import time
from pathlib import Path

import pooch
import pytest

from genlab.errors import DataError
from genlab.system import download, paths
from genlab.system.download import download_file
from genlab.system.paths import cache_dir

CONTENT = bytes(range(256)) * 5000


def known(content, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


# ----------------------------------------------------------------------------------------------
# The cache directory


@pytest.mark.parametrize(
    ("ours", "theirs", "want"),
    [
        ("/a", "/b", "/a"),
        ("~/a", "/b", "HOME/a"),
        (None, "/b", "/b/genlab"),
        ("", "", "HOME/.cache/genlab"),
        (None, None, "HOME/.cache/genlab"),
    ],
)
def test_the_cache_is_where_the_environment_says(ours, theirs, want, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in (("GENLAB_CACHE", ours), ("XDG_CACHE_HOME", theirs)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert cache_dir() == Path(want.replace("HOME", str(tmp_path)))


def test_remains_of_killed_processes_are_removed_a_day_later(tmp_path):
    old, new = paths.staging_folder(tmp_path), paths.staging_folder(tmp_path)
    mine = tmp_path / "mine.part"
    mine.mkdir()
    (old / "half").touch()
    day = time.time() - 100_000
    for folder in (old, mine):
        os.utime(folder, (day, day))
    paths.staging_folder(tmp_path)
    assert not old.exists()
    assert new.exists()
    assert mine.exists()


# ----------------------------------------------------------------------------------------------
# Downloads


def test_nothing_bears_its_name_before_it_is_verified(mirror, tmp_path, monkeypatch):
    (mirror[0] / "x").write_bytes(CONTENT)
    target, seen = tmp_path / "new" / "x", []
    matches = pooch.core.hash_matches

    def spy(path, *args, **options):
        seen.append((Path(path).read_bytes() == CONTENT, target.exists()))
        return matches(path, *args, **options)

    monkeypatch.setattr(pooch.core, "hash_matches", spy)
    assert download_file([f"{mirror[1]}x"], target, known(CONTENT)) == target
    assert seen == [(True, False)]
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


def test_a_download_is_as_readable_as_other_files(mirror, tmp_path):
    (mirror[0] / "x").write_bytes(CONTENT)
    target = download_file([f"{mirror[1]}x"], tmp_path / "new" / "x", known(CONTENT))
    (tmp_path / "other").touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_the_second_mirror_is_tried(mirror, tmp_path):
    for place, content in (("bad", b"damaged"), ("good", CONTENT)):
        (mirror[0] / place).mkdir()
        (mirror[0] / place / "x").write_bytes(content)
    urls = [f"{mirror[1]}{place}/x" for place in ("absent", "bad", "good")]
    got = download_file(urls, tmp_path / "new" / "x", known(CONTENT))
    assert got.read_bytes() == CONTENT


def test_every_mirror_that_failed_is_named(mirror, tmp_path):
    (mirror[0] / "b").write_bytes(b"wrong")
    urls = [f"{mirror[1]}a", f"{mirror[1]}b", "http://127.0.0.1:9/c"]
    target = tmp_path / "new" / "x"
    with pytest.raises(DataError) as error:
        download_file(urls, target, known(CONTENT))
    text = str(error.value)
    assert text.startswith(f"x could not be downloaded: {urls[0]}: 404 ")
    assert f"{urls[1]}: SHA256 hash of downloaded file (x) does not match" in text
    assert f"expected {known(CONTENT)} but got {known(b'wrong')[7:]}" in text
    assert f"{urls[2]}: " in text
    assert "refused" in text
    assert "\n" not in text
    assert list(target.parent.iterdir()) == []


def test_more_bytes_than_expected_are_not_received(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "BLOCK", 1000)
    (mirror[0] / "x").write_bytes(CONTENT)
    target = tmp_path / "new" / "x"
    assert download_file([f"{mirror[1]}x"], target, known(CONTENT), len(CONTENT)) == target
    most = len(CONTENT) - 1
    sizes = []

    class Spy(download.Bounded):
        def close(self):
            if not self.closed:
                sizes.append(self.tell())
            super().close()

    monkeypatch.setattr(download, "Bounded", Spy)
    with pytest.raises(DataError, match=f"expected at most {most:,} bytes, found more"):
        download_file([f"{mirror[1]}x"], tmp_path / "other" / "x", known(CONTENT), most)
    assert len(CONTENT) - 1000 <= max(sizes) <= most
    assert list((tmp_path / "other").iterdir()) == []


@pytest.fixture
def server():
    """A server of one socket: gives its address and the list of answers that it sends."""
    answers, sockets = [], []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            for answer in answers:
                connection, _ = listening.accept()
                sockets.append(connection)
                connection.recv(10_000)
                connection.sendall(answer)
                if answer:
                    connection.close()

        thread = threading.Thread(target=serve)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/x", answers, thread
        thread.join()
        for connection in sockets:
            connection.close()


def test_a_connection_that_breaks_off_leaves_nothing(server, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    url, answers, thread = server
    answers.append(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + CONTENT[:500])
    thread.start()
    with pytest.raises(DataError, match=r"x could not be downloaded: .*500 bytes read"):
        download_file([url], tmp_path / "new" / "x", known(CONTENT[:500]))
    assert list((tmp_path / "new").iterdir()) == []


def test_a_silent_server_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "TIMEOUT", (0.2, 0.2))
    url, answers, thread = server
    answers.append(b"")
    thread.start()
    start = time.monotonic()
    with pytest.raises(DataError, match="timed out"):
        download_file([url], tmp_path / "new" / "x", known(CONTENT))
    assert time.monotonic() - start < 5


def test_there_is_a_bar_on_a_terminal_only(mirror, tmp_path, monkeypatch, capsys):
    (mirror[0] / "x").write_bytes(CONTENT)
    download_file([f"{mirror[1]}x"], tmp_path / "a" / "x", known(CONTENT))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    download_file([f"{mirror[1]}x"], tmp_path / "b" / "x", known(CONTENT))
    assert "100%" in capsys.readouterr().err


def test_google_drive_needs_gdown(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(DataError, match="pip install gdown"):
        download_file(["gdrive:abc"], tmp_path / "x.zip", "md5:0")


def test_google_drive_is_asked_through_gdown(tmp_path, monkeypatch):
    class Drive:
        @staticmethod
        def download(id, output, quiet):
            Path(output).write_bytes(f"content of {id}".encode())
            return output

    monkeypatch.setitem(sys.modules, "gdown", Drive)
    digest = "41b0ba3a9fe7c8a5ae5ba4a1d6f28ad4"
    with pytest.raises(DataError, match=f"expected md5:{digest}"):
        download_file(["gdrive:abc"], tmp_path / "x.zip", f"md5:{digest}")
    got = download_file(["gdrive:abc"], tmp_path / "x.zip", known(b"content of abc", "md5"))
    assert got.read_bytes() == b"content of abc"
    monkeypatch.setattr(Drive, "download", lambda id, output, quiet: None)
    with pytest.raises(DataError, match="refusal of Google Drive"):
        download_file(["gdrive:abc"], tmp_path / "y.zip", "md5:0")
