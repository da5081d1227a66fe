"""The gallery of runs: what each picture is of, and the command that made it."""

import json
import sys

import gallery
import pytest
from PIL import Image

from genlab.runs.directory import Run


@pytest.fixture
def run(tmp_path):
    """Makes a run directory as training leaves it, as far as the gallery reads it."""

    def make(name, side=32, **files):
        folder = tmp_path / "runs" / name
        (folder / "samples").mkdir(parents=True)
        identity = {
            "created": f"2026-01-0{len(list((tmp_path / 'runs').iterdir()))}T00:00:00+0000",
            "command": ["/x/genlab", "train", "model=vae", "root=/home/me", "notes=a b"],
            "model": "vae",
            "data": "mnist",
            "seed": 3,
        }
        files = {"run": identity, **files}
        for file, content in files.items():
            (folder / f"{file}.json").write_text(json.dumps(content))
        for seen, grey in ((100, 0), (2000, 200)):
            if side:
                picture = folder / "samples" / f"{seen:09d}.png"
                Image.new("L", (side, side), grey).save(picture)
        return Run(folder)

    return make


SUMMARY = {
    "images_seen": 2000,
    "train_seconds": 12.34,
    "device": "cpu",
    "parameters": 12345,
    "metrics": {"fd_digits": 1.23456, "floor_fd_digits": 0.0688, "cs": 9.0, "nll_elbo": 784.71},
}
ENVIRONMENT = {"python": "3.11.7", "threads": 1, "cpu_cores": 2, "packages": {"torch": "2.15.0"}}


def test_a_section_says_what_its_picture_shows(run, tmp_path):
    page = tmp_path / "docs" / "gallery.md"
    made = run("one", summary=SUMMARY, environment=ENVIRONMENT)
    assert gallery.gallery([made], page, "On a laptop.") == []
    text = page.read_text()
    assert "On a laptop.\n" in text
    assert "of 1 runs" in text
    assert "## vae on mnist\n\n![Samples of one](gallery/one.png)" in text
    assert "- `fd_digits` 1.235 (floor 0.069), `nll_elbo` 784.7\n" in text
    assert (
        "- run one, seed 3, 12,345 parameters, 2,000 images seen, 12 s of training on cpu, "
        "1 of 2 cores, Python 3.11.7, torch 2.15.0, 2026-01-01\n"
    ) in text
    assert "```bash\ngenlab train model=vae 'notes=a b'\n```" in text
    assert "/home/me" not in text


def test_the_newest_samples_are_copied_and_large_ones_made_small(run, tmp_path):
    page = tmp_path / "gallery.md"
    gallery.gallery([run("small"), run("large", side=2000)], page)
    with Image.open(tmp_path / "gallery" / "small.png") as small:
        assert (small.size, small.getpixel((0, 0))) == ((32, 32), 200)
    with Image.open(tmp_path / "gallery" / "large.png") as large:
        assert max(large.size) == gallery.SIDE


def test_what_is_not_known_is_left_out(run, tmp_path):
    page = tmp_path / "gallery.md"
    gallery.gallery([run("bare")], page)
    text = page.read_text()
    assert "- run bare, seed 3, 2026-01-01\n" in text
    assert "None" not in text
    assert "nan" not in text


def test_runs_come_in_their_order_and_those_without_samples_are_named(
    run, tmp_path, monkeypatch, capsys
):
    run("z-first"), run("none", side=0), run("a-last")
    page = tmp_path / "gallery.md"
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "gone.png").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gallery.py", "runs", "gallery.md"])
    assert gallery.main() == 0
    assert capsys.readouterr().out == "gallery.md: 2 runs\nruns/none: no samples, not shown\n"
    assert page.read_text().index("z-first") < page.read_text().index("a-last")
    assert sorted(p.name for p in (tmp_path / "gallery").iterdir()) == ["a-last.png", "z-first.png"]


def test_an_empty_folder_is_answered_in_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gallery.py", str(tmp_path), "gallery.md"])
    assert gallery.main() == 1
    assert "there is no run below it" in capsys.readouterr().err
