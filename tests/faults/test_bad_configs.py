"""Configs with something wrong in them: each is answered in a line or two, and nothing is begun.

Those that the check of the config answers by itself stand in `test_cli.MISTAKES`, too, with the
command taken out; here the commands are whole, so that what only they can see is seen.
"""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from .probes import commands, contents

T = "train data=synthetic logger=none "
MINE = "train --config-dir mine "
BAD = [
    # a model that does not fit the data
    (T + "model=gan_dcgan data.size=30", ["model.network=dcgan", "8, 10, 12", "30x30"]),
    (T + "model=gan_progressive data.size=30", ["30x30"]),
    ("train data=folder data.path=pictures model=cvae", ["model.conditional", "labels"]),
    (T + "model=flow data.size=7 model.levels=3", ["model.levels"]),
    (T + "curriculum=resolution curriculum.sizes=[7]", ["curriculum.sizes=[7]"]),
    (T + "data.augment=[sideways]", ["data.augment=sideways", "flip, crop"]),
    (T + "data.augment=[[flip]]", ["data.augment=['flip']", "flip, crop"]),
    (T + "data.augment=[{crop:{pading:1}}]", ["data.augment.crop", "pading"]),
    # amounts that do not fit each other
    (T + "data.limit=1", ["data.batch_size", "data.limit=1"]),
    (T + "data.limit=100 data.batch_size=500", ["data.batch_size=500", "100"]),
    (T + "data.val_size=100000000", ["data.val_size=100000000", "share"]),
    (T + "closing.n_samples=1", ["closing.n_samples=1", ">= 2"]),
    (T + "metrics.metrics=[fdd]", ["metrics.metrics=fdd", "frechet"]),
    (T + "trainer.epochs=null trainer.max_images=null", ["trainer", "epochs"]),
    (T + "callbacks.checkpoints.monitor=val/los", ["monitor=val/los", "'val/loss'", "val/rate"]),
    (T + "trainer.validate_every=never", ["trainer.validate_every=never", "N epochs"]),
    (T + "seed=99999999999999999999", ["seed=99999999999999999999", "64 bits"]),
    (T + "seed=" + "9" * 400, ["seed=999", "64 bits"]),
    (T + "model.latent=100000000000", ["memory", "GiB", "data.batch_size"]),
    (T + "freeze=[nothing.*]", ["freeze", "nothing.*", "decoder"]),
    # a machine that has not what is wanted
    pytest.param(
        T + "trainer.accelerator=gpu",
        ["trainer", "accelerator=cpu"],
        marks=pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU"),
    ),
    ("train data=hf data.path=a/b logger=none", ["genlab[hf]"]),
    # places
    ("train data=folder", ["data.path", "data.path=VALUE"]),
    ("train data=folder data.path=nowhere", ["nowhere", "data.path"]),
    ("train data=folder data.path=afile", ["afile", "found a file", "data.path"]),
    ("train data=folder data.path=empty", ["empty", "at least 2 pictures"]),
    ("train data=fashion_mnist data.root=/proc", ["/proc", "data.root"]),
    ("train data=mnist data.root=nowhere", ["data.root=nowhere", "Mnist takes"]),
    (T + "root=/proc/x", ["root=/proc/x", "cannot be written"]),
    (T + "name=../x", ["name='../x'", "no path"]),
    (T + "run=nowhere", ["nowhere", "does not exist"]),
    (T + "run=empty", ["run=empty", "not a run directory"]),
    (T + "init_from=nowhere", ["nowhere", "does not exist"]),
    (T + "hydra.run.dir=elsewhere", ["hydra.run.dir=elsewhere", "root="]),
    (T + "hydra.output_subdir=.hydra", ["hydra.output_subdir", "config.yaml"]),
    (T + "hydra.searchpath=[pkg://planted]", ["pkg://planted", "--config-dir"]),
    ("evaluate run=nowhere", ["run=nowhere"]),
    ("evaluate", ["run=DIR", "images=FOLDER"]),
    ("evaluate images=nowhere data=mnist", ["images=nowhere", "no such"]),
    ("evaluate images=afile data=synthetic", ["images=afile", ".npz"]),
    ("sample run=http://127.0.0.1:9/x.ckpt", ["run=http://127.0.0.1:9/x.ckpt"]),
    ("reconstruct run=empty", ["run=empty", "not a run"]),
    # files
    (MINE + "model=syntax", ["syntax.yaml:2", "not valid YAML"]),
    (MINE + "model=twice", ["twice.yaml:3", "duplicate key"]),
    (MINE + "model=tab", ["tab.yaml:2", "not valid YAML"]),
    (MINE + "model=list", ["model=[1, 2]", "genlab list"]),
    (MINE + "model=zeros", ["not valid YAML"]),
    (MINE + "model=latin", ["latin.yaml:2", "UTF-8"]),
    (MINE + "model=python", ["python.yaml:2", "os.mkdir"]),
    (MINE + "model=bare", ["model={...}", "genlab list"]),
    (MINE + "model=circle", ["model.latent", "Recursive"]),
    (MINE + "experiment=chooses", ["model=vea", "'vae'"]),
    (MINE + "experiment=inside", ["experiment", "unknown key"]),
    (MINE + "model=cave", ["model=cave", "did you mean"]),
    ("train --config-dir afile", ["afile", "not found"]),
    # interpolations
    (T + "notes=${notes}", ["notes", "Recursive"]),
    (T + "notes=${nosuch:1}", ["notes", "nosuch"]),
    (T + "notes=${oc.env:NO_SUCH_VARIABLE}", ["notes", "NO_SUCH_VARIABLE"]),
    # sweeps and paths in the place of names
    ("train -m data=synthetic seed=range(0)", ["seed=range(0)", "empty"]),
    ("train -m data=synthetic seed=range(0,3,0)", ["seed=range(0,3,0)", "zero"]),
    ("train -m data=synthetic hydra.sweep.dir=/proc/x seed=0,1", ["/proc/x"]),
    ("train -m data=synthetic seed=0,1 objective=nothing", ["objective=nothing", "val/loss"]),
    ("train model=../../etc/passwd", ["model=../../etc/passwd", "not a path"]),
    ("train model=/etc/passwd", ["model=/etc/passwd", "not a path"]),
]
ANSWERED_WITHOUT_TORCH = ["train model=vea", T + "seed=-1", MINE + "model=syntax"]
FILES = {
    "model/syntax": b"_target_: genlab.models.vae.VAE\n  latent: [1,\n",
    "model/twice": b"_target_: genlab.models.vae.VAE\nlatent: 3\nlatent: 4\n",
    "model/tab": b"_target_: genlab.models.vae.VAE\n\tlatent: 3\n",
    "model/list": b"- 1\n- 2\n",
    "model/zeros": b"\0\1",
    "model/latin": b"_target_: genlab.models.vae.VAE\n# caf\xe9\nlatent: 3\n",
    "model/python": b"_target_: a\nlatent: !!python/object/apply:os.mkdir [M]\n",
    "model/bare": b"latent: 3\n",
    "model/circle": b"_target_: genlab.models.vae.VAE\n"
    b"latent: ${model.hidden}\nhidden: ${model.latent}\n",
    "experiment/chooses": b"# @package _global_\ndefaults:\n  - override /model: vea\n",
    "experiment/inside": b"seed: 3\n",
}


def prepare():
    """What the lines above mention, in the working directory."""
    Path("afile").write_text("x")
    Path("empty").mkdir()
    Path("pictures").mkdir()
    for i in range(200):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(f"pictures/{i}.png")
    for name, content in FILES.items():
        path = Path("mine", f"{name}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def lines():
    """Each bad line as a test; every third is quick."""
    for i, row in enumerate(BAD):
        line, parts = getattr(row, "values", row)
        marks = [*getattr(row, "marks", ()), *([pytest.mark.slow] if i % 3 else [])]
        yield pytest.param(line, parts, marks=marks, id=line[:60])


@pytest.fixture
def genlab(tmp_path, monkeypatch, capsys):
    return commands(tmp_path / "cwd", monkeypatch, capsys)


@pytest.mark.parametrize(("line", "parts"), list(lines()))
def test_it_is_refused_in_a_line(genlab, monkeypatch, line, parts):
    def began(*args):
        pytest.fail("training began")

    monkeypatch.setattr("genlab.experiment.session.TrainingSession.train", began)
    prepare()
    before, start = contents("."), time.process_time()
    code, out, err = genlab(*line.split(" "))
    seconds = time.process_time() - start
    assert code == 2, err
    assert err.startswith("genlab: error: ")
    assert len(err.splitlines()) <= 5
    assert "Traceback" not in out + err
    assert "should not happen" not in err
    for part in parts:
        assert part in err
    left = contents(".")
    left.pop("runs", None)  # where runs lie, if it is empty
    assert left == before
    assert seconds < 10


def test_there_are_as_many_as_were_promised():
    assert len(BAD) + len(FILES) >= 60
    assert len({getattr(row, "values", row)[0] for row in BAD}) == len(BAD) >= 40


@pytest.mark.slow
@pytest.mark.parametrize("line", [*ANSWERED_WITHOUT_TORCH, T + "model=gan_dcgan data.size=30"])
def test_in_a_process_of_its_own(tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    prepare()
    before = contents(".")
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "genlab", *line.split(" ")],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) <= 5
    assert "Traceback" not in done.stderr
    assert contents(".") == before
    used = end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime
    # To import torch and Lightning takes 5 s of a processor here, and more of a busy one.
    assert used < (5 if line in ANSWERED_WITHOUT_TORCH else 30)
