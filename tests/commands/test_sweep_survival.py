"""A sweep that loses a job to an error, one to a kill and then itself, and is resumed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from genlab.sweeps.jobs import Sweep
from genlab.training.saving.checkpoint_io import read_checkpoint

from .conftest import TINY

MAYHEM = '''
import os, signal, time
from pathlib import Path
import pytorch_lightning as pl

class Mayhem(pl.Callback):
    """What happens to a run in the middle of its third epoch, the first time that it gets there."""

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        mark = Path(os.environ["GENLAB_JOB_DIRECTORY"]) / "mayhem"
        if module.images_seen < 300 or "CALM" in os.environ or mark.exists():
            return
        mark.touch()
        if module.seed == 1:
            raise ValueError("mayhem")
        if module.seed == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if module.seed == 4:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(1)
'''
WORDS = [
    *TINY,
    "trainer.epochs=4",
    "seed=0,1,2,3,4,5",
    "trust=[mine]",
    "+callbacks.mayhem._target_=mine.Mayhem",
    "name=six",
]


def genlab(folder, *words, calm=False):
    """Runs a command in a process that forks its jobs."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **({"CALM": "1"} if calm else {})}
    return subprocess.run(
        [sys.executable, str(Path(__file__).with_name("warm.py")), *words],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=900,
    )  # fmt: skip


def history(run):
    """The lines of a run's metrics but for their times."""
    timed = ("time", "seconds", "train/images_per_second")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in timed} for line in lines]


@pytest.mark.slow
def test_a_sweep_survives_an_error_a_kill_and_its_own_death(tmp_path):
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    for folder in (calm, rough):
        folder.mkdir()
        (folder / "mine.py").write_text(MAYHEM)
    done = genlab(calm, "train", "-m", *WORDS, calm=True)
    assert done.returncode == 0, done.stderr[-2000:]

    cut = genlab(rough, "train", "-m", *WORDS)
    assert cut.returncode == -9, cut.stderr[-2000:]
    sweep = Sweep.open(rough / "runs" / "six")
    with sweep.lock(sweep.jobs()[4].id):  # the job that outlived the sweep keeps everything first
        pass
    by_seed = dict(enumerate(sweep.jobs()))
    assert [job.state for job in by_seed.values()] == [
        "done", "failed", "done", "killed", "interrupted", "pending",
    ]  # fmt: skip
    assert [job.exit_code for job in by_seed.values()] == [0, 1, 0, 137, None, None]
    assert "mayhem" in by_seed[1].reason
    assert "SIGKILL" in by_seed[3].reason

    again = genlab(rough, "sweep", "resume", "runs/six")
    assert again.returncode == 0, again.stderr[-2000:]
    lines = [json.loads(line) for line in (sweep.path / "manifest.jsonl").read_text().splitlines()]
    assert [line["state"] for line in lines] == ["done"] * 6
    assert [line["exit_code"] for line in lines] == [0] * 6
    starts = [[attempt["images_seen"] for attempt in line["attempts"]] for line in lines]
    assert [len(s) for s in starts] == [1, 2, 1, 2, 2, 1]
    assert [s[0] for s in starts] == [0] * 6
    assert starts[1][1] == starts[3][1] == 256  # the last validation before it
    assert starts[4][1] >= 300  # stopped with all of it kept

    undisturbed = Sweep.open(calm / "runs" / "six")
    assert [job.id for job in undisturbed.jobs()] == [line["id"] for line in lines]
    for job, line in zip(undisturbed.jobs(), lines, strict=True):
        assert {**line["metrics"], "seconds": 0} == {**job.metrics, "seconds": 0}
        one, other = (s.run(job.id).path for s in (undisturbed, sweep))
        for which in ("last", "best"):
            expected = read_checkpoint(one / "checkpoints" / f"{which}.ckpt")
            found = read_checkpoint(other / "checkpoints" / f"{which}.ckpt")
            for part in (lambda c: c["state_dict"], lambda c: c["genlab"]["ema"]):
                torch.testing.assert_close(part(found), part(expected), rtol=0, atol=0)
        assert history(one) == history(other)
