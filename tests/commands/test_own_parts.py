"""A task and a modality of the user's own: one file and one YAML each, outside the package."""

import os
import sys

import pytest
from faults.tiny import words

TASK = '''
"""Negatives: samples with every value turned round."""

from genlab.tasks.base import Outcome, Task
from genlab.tasks.drawing import Draw


class Negative(Task):
    def __init__(self, strength: float = 1.0):
        self.strength = strength

    def run(self, trained, request, progress):
        drawn = Draw().run(trained, request, progress).x
        return Outcome((255 - drawn.float() * self.strength).clamp(0, 255).to(drawn.dtype))
'''
MODALITY = '''
"""Images as text: one character a pixel."""

from genlab.modalities.images.modality import ImageModality
from genlab.modalities.rendering import Rendering


class Ascii(ImageModality):
    noun = "drawings"

    def render(self, shown, columns=None):
        lines = [
            "".join(" .:#"[int(v) // 64] for v in row) for image in shown for row in image[0]
        ]
        return Rendering(text="\\n".join(lines))
'''


@pytest.fixture
def mine(tmp_path):
    """A folder with the user's modules, and configs that name them."""
    for group, name, code, target, options in (
        ("task", "negative", TASK, "Negative", "strength: 1.0\n"),
        ("modality", "ascii", MODALITY, "Ascii", ""),
    ):
        (tmp_path / f"my_{name}.py").write_text(code)
        (tmp_path / "conf" / group).mkdir(parents=True)
        text = f"# Somebody's own {group}.\n_target_: my_{name}.{target}\n{options}"
        (tmp_path / "conf" / group / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.fixture
def run(warm, mine):
    """Runs a command in the folder; returns what it prints."""

    def run(*line, code=0):
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = warm.run("-m", "genlab", *line, cwd=mine, environment=environment)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    return run


def test_both_are_listed_checked_and_used(mine, run):
    own = ("--config-dir", "conf")
    assert "negative" in run("list", "task", *own)
    assert "ascii" in run("list", "modality", *own)
    # Without trust nothing of it is imported.
    refused = run("train", *own, *words(), "modality=ascii", code=2)
    assert "trust=[my_ascii]" in refused
    both = "trust=[my_ascii,my_negative]"
    pictures = "{_target_: genlab.training.pictures.Pictures, every: 1 epoch, n: 4}"
    short = words("vae_mlp", "trainer.epochs=1", f"callbacks.samples={pictures}")
    run("train", *own, *short, "modality=ascii", both, "name=text")
    texts = sorted((mine / "runs/text/samples").glob("*.txt"))
    assert texts
    lines = texts[0].read_text().splitlines()
    assert {len(line) for line in lines} == {8}
    assert set("".join(lines)) <= set(" .:#")
    assert "4 drawings of text" in run(
        "sample", *own, both, "run=text", "n=4", "task=negative", "task.strength=0.5"
    )
    assert list((mine / "runs/text/negative").glob("*.png"))
    wrong = run("sample", *own, both, "run=text", "task=negative", "task.strenght=1", code=2)
    assert "strength" in wrong
