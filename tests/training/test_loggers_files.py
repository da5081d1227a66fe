import json
import math
import time

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.modalities.images.grid import grid
from genlab.runs.directory import Run, mark_run
from genlab.runs.history import read_metrics
from genlab.training.loggers.files import FilesLogger, image_path


@pytest.fixture
def run(tmp_path):
    (tmp_path / "a").mkdir()
    return mark_run(tmp_path / "a")


def test_a_line_is_on_disk_when_the_call_returns(run):
    logger, start = FilesLogger(run), time.time()
    logger.log_metrics({"train/loss": torch.tensor(1.5), "epoch": 2}, step=128)
    [line] = run.metrics_file.read_text().splitlines()  # not closed, not flushed by us
    row = json.loads(line)
    assert list(row) == ["images_seen", "seconds", "time", "train/loss", "epoch"]
    assert (row["images_seen"], row["train/loss"], row["epoch"]) == (128, 1.5, 2)
    assert start - 1 < row["time"] < time.time() + 1
    assert 0 <= row["seconds"] < 5


def test_seconds_go_on_over_sessions(run):
    logger = FilesLogger(run)
    logger.log_metrics({"seconds": 100.0}, step=1)
    logger.finalize("success")
    again = FilesLogger(run)
    again.log_metrics({"a": 1.0}, step=2)
    seconds = [row["seconds"] for row in read_metrics(run.path).rows]
    assert seconds[0] == 100.0
    assert 100.0 <= seconds[1] < 101.0


def test_numbers_that_json_lacks_come_back(run):
    FilesLogger(run).log_metrics({"a": math.nan, "b": math.inf, "c": -math.inf, "d": 1.0}, step=1)
    json.loads(run.metrics_file.read_text(), parse_constant=pytest.fail)  # strict JSON
    [row] = read_metrics(run.metrics_file).rows
    assert math.isnan(row["a"])
    assert (row["b"], row["c"], row["d"]) == (math.inf, -math.inf, 1.0)


def test_a_torn_last_line_is_skipped_said_and_repaired(run):
    run.metrics_file.write_bytes(b'{"images_seen": 1, "a": 1.0}\n{"images_seen": 2, "a"')
    history = read_metrics(run.metrics_file)
    assert [row["images_seen"] for row in history.rows] == [1]
    assert history.notes == [f"{run.metrics_file}: the last line (2) is torn, skipped"]
    FilesLogger(run).log_metrics({"a": 3.0}, step=2)
    history = read_metrics(run.metrics_file)
    assert [(row["images_seen"], row["a"]) for row in history.rows] == [(1, 1.0), (2, 3.0)]
    assert history.notes == []


def test_damaged_lines_are_named(run):
    run.metrics_file.write_bytes(
        b'{"images_seen": 1}\n[1]\n\xff\xfe\n\n{"loss": 1}\n{"images_seen": 5}\n'
    )
    history = read_metrics(run.path)
    assert [row["images_seen"] for row in history.rows] == [1, 5]
    assert [note.split(": ")[1] for note in history.notes] == [
        f"line {n} is damaged, skipped" for n in (2, 3, 5)
    ]


def test_a_resumed_run_writes_no_line_twice(run):
    logger = FilesLogger(run)
    for step in (10, 20, 30, 40):
        logger.log_metrics({"a": float(step)}, step=step)
    logger.rewind(20)
    for step in (30, 40):
        logger.log_metrics({"a": step + 0.5}, step=step)
    rows = read_metrics(run.path).rows
    assert [(row["images_seen"], row["a"]) for row in rows] == [
        (10, 10.0),
        (20, 20.0),
        (30, 30.5),
        (40, 40.5),
    ]
    assert {file.name for file in run.path.iterdir()} == {"metrics.jsonl", "run.json"}


def test_rewinding_a_run_without_history_does_nothing(run):
    FilesLogger(run).rewind(10)
    assert not run.metrics_file.exists()


def test_pictures_are_named_by_kind_and_images_seen(run):
    logger = FilesLogger(run)
    pixels = grid(torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8))
    logger.log_image("samples", [pixels], step=60000)
    logger.log_image("../evil/traversal", [pixels, 255 - pixels], step=7)
    written = {str(f.relative_to(run.path)) for f in run.path.rglob("*.png")}
    assert written == {
        "samples/000060000.png",
        "_evil_traversal/000000007_0.png",
        "_evil_traversal/000000007_1.png",
    }
    np.testing.assert_array_equal(
        np.asarray(Image.open(run.path / "samples" / "000060000.png")), pixels
    )
    assert image_path(Run(run.path), "a b", 1).parent.name == "a_b"


def test_what_has_no_number_of_images_is_refused(run):
    with pytest.raises(ValueError, match="images seen"):
        FilesLogger(run).log_metrics({"a": 1.0})
    with pytest.raises(ValueError, match="images seen"):
        FilesLogger(run).log_image("a", [np.zeros((2, 2, 3), np.uint8)])
