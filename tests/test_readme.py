"""Every genlab command of the README and its pages runs, shortened as a reader could do it."""

import re
import shlex

import pytest
from pages import ROOT, blocks, write_files

from genlab.cli.entry import main

PAGES = (
    ("README.md", "docs/runs.md"),
    ("docs/sweeps.md", "docs/compare.md"),
    ("docs/own.md",),
)
"""Pages whose commands are typed in one folder, one page after the other."""

SHORT = {
    "train": [
        "data.limit=128",
        "data.batch_size=32",
        "data.val_size=32",
        "trainer.max_images=128",
        "trainer.chunk=2",
        "trainer.threads=1",
        "metrics.n_samples=64",
        "closing.n_samples=64",
        "closing.likelihood_images=8",
    ],
    "detect": ["alpha=0.1", "n=32"],
    "evaluate": ["metrics.n_samples=160", "metrics.likelihood_images=32"],
}
"""What makes a command short without changing what it does."""

FEWER = {
    "sweep=families": ["model=vae_mlp", "seed=0"],  # one job
    "callbacks=ema_snapshots": [
        "callbacks.ema_snapshots.every=8",
        "callbacks.ema_snapshots.steps=1",
        "data.batch_size=8",
        "trainer.chunk=1",
    ],
}
"""What makes long work short, or short work long enough."""

INSTEAD = {"model=vae,gan": "model=vae_mlp,gan_mlp", "model=diffusion": "model=diffusion_mlp"}
"""Smaller models."""

SERVERS = {"dashboard", "race"}
"""Commands that run until they are stopped, or for minutes; tested where they live."""


def commands(page):
    """The lines of a page's shell blocks that call genlab, without their comments."""
    lines = [line for block in blocks((ROOT / page).read_text()) for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("genlab ")]


def short(words):
    """The command with what makes it short; what the README says itself stays as it is."""
    command, rest = words[1], words[2:]
    if command == "train" and any(word.startswith("run=") for word in rest):
        return [command, *rest[:1], "trainer.epochs=2", "trainer.max_images=256"]
    if command == "compare":  # a key says of how many samples it is
        return [command, *[word.replace("fd_digits", "fd_digits_64") for word in rest]]
    more = [word for name in rest for word in FEWER.get(name, [])]
    given = {word.split("=")[0] for word in [*rest, *more]}
    extra = [word for word in SHORT.get(command, []) if word.split("=")[0] not in given]
    kept = [INSTEAD.get(w, w) for w in rest if not w.startswith("trainer.epochs")]
    return [command, *kept, *more, *extra]


def test_the_readme_has_commands():
    names = {words[1] for words in commands("README.md")}
    assert {"train", "sample", "reconstruct", "evaluate", "compare", "dashboard"} <= names


@pytest.mark.parametrize("pages", PAGES, ids="+".join)
@pytest.mark.usefixtures("forked_jobs")
def test_every_command_of_a_page_runs_in_its_order(pages, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ran = 0
    for page in pages:
        write_files((ROOT / page).read_text(), tmp_path)
        for words in commands(page):
            if words[1] in SERVERS:
                continue
            code = main(short(words))
            _, err = capsys.readouterr()
            assert code == 0, f"{page}: {shlex.join(words)}\n{err}"
            ran += 1
    assert ran >= len(pages)


def test_no_command_of_the_readme_and_its_pages_is_missed():
    counts = {page: len(commands(page)) for pages in PAGES for page in pages}
    assert counts["README.md"] >= 10
    assert counts["docs/sweeps.md"] >= 3
    assert counts["docs/compare.md"] >= 8
    assert all(counts.values())


def test_every_page_that_the_readme_names_is_there():
    named = re.findall(r"\]\((\S+?)\)", (ROOT / "README.md").read_text())
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("target", ["install", "train", "test", "test-all", "help", "docs"])
def test_every_make_target_of_the_readme_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)
