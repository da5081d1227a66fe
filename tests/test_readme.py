"""Every genlab command in the README runs; training shortened by what a reader could type."""

import re
import shlex
from pathlib import Path

import pytest

from genlab.cli.entry import main

README = Path(__file__).parents[1] / "README.md"
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
        "closing.likelihood_images=32",
    ],
    "evaluate": ["metrics.n_samples=160", "metrics.likelihood_images=32"],
}
"""What makes a command short without changing what it does."""

FEWER = {"sweep=families": ["model=vae_mlp", "seed=0"]}
"""What makes a sweep one of a single job."""

SERVERS = {"dashboard"}
"""Commands that run until they are stopped; tested where they live."""


def commands():
    """The lines of the README's shell blocks that call genlab, without their comments."""
    blocks = re.findall(r"```bash\n(.*?)```", README.read_text(), re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("genlab ")]


def short(words):
    """The command with what makes it short; what the README says itself stays as it is."""
    command, rest = words[1], words[2:]
    if command == "train" and any(word.startswith("run=") for word in rest):
        return [command, *rest[:1], "trainer.epochs=2", "trainer.max_images=256"]
    if command == "compare":  # a key says of how many samples it is
        return [command, *[word.replace("fd_digits", "fd_digits_64") for word in rest]]
    given = {word.split("=")[0] for word in rest}
    extra = [word for word in SHORT.get(command, []) if word.split("=")[0] not in given]
    for word in rest:
        extra += FEWER.get(word, [])
    return [command, *[w for w in rest if not w.startswith("trainer.epochs")], *extra]


def write_files(folder):
    """The files that the README prints, under the names that it gives them."""
    text = README.read_text()
    for name, kind in re.findall(r"`([\w/]+\.\w+)`:\n\n```(\w+)\n", text):
        content = text.split(f"`{name}`:\n\n```{kind}\n", 1)[1].split("```", 1)[0]
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def test_the_readme_has_commands():
    names = {words[1] for words in commands()}
    assert {"train", "sample", "reconstruct", "evaluate", "compare", "dashboard"} <= names


def test_every_command_of_the_readme_runs_in_its_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    ran = 0
    for words in commands():
        if words[1] in SERVERS:
            continue
        code = main(short(words))
        _, err = capsys.readouterr()
        assert code == 0, f"{shlex.join(words)}\n{err}"
        ran += 1
    assert ran >= 7


@pytest.mark.parametrize("target", ["train", "test", "test-all", "help"])
def test_every_make_target_of_the_readme_exists(target):
    assert re.search(rf"^{target}:", (README.parent / "Makefile").read_text(), re.M)
