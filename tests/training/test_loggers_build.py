"""The list of loggers: the run's own files first, mirrors that may fail, the same pixels to all."""

import csv
import logging
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image
from pytorch_lightning.loggers import CSVLogger, Logger

from genlab.errors import ConfigError
from genlab.modalities.images.grid import grid
from genlab.runs.directory import mark_run
from genlab.runs.history import read_metrics
from genlab.training.loggers.files import FilesLogger
from genlab.training.loggers.mirror import Mirror
from genlab.training.loggers.quiet import quiet_lightning
from genlab.training.loggers.setup import (
    build_loggers,
    close_loggers,
    log_image,
    log_metrics,
    rewind_loggers,
)

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "a").mkdir()
    return mark_run(tmp_path / "a")


@pytest.fixture
def composed(tmp_path):
    """Composes the ``logger`` group as train.yaml does."""
    (tmp_path / "main.yaml").write_text("defaults:\n  - _self_\n  - logger: default\n")

    def compose_(*overrides):
        search = f"hydra.searchpath=[file://{CONFIGS}]"
        with initialize_config_dir(str(tmp_path), version_base="1.3"):
            cfg = compose("main", [search, *overrides])
        return OmegaConf.to_container(cfg.logger, resolve=True)

    return compose_


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        ([], ["wandb"]),
        (["logger=none"], []),
        (["logger=local"], []),
        (["logger=wandb", "logger.wandb.mode=offline"], ["wandb"]),
        (["logger=[local,wandb]"], ["wandb"]),
        (["logger=[default,tensorboard,csv]"], ["wandb", "tensorboard", "csv"]),
        (["logger=[mlflow]"], ["mlflow"]),
        (["logger=default", "~logger.wandb"], []),
    ],
)
def test_loggers_are_chosen_by_a_word_or_a_list(composed, overrides, names):
    assert list(composed(*overrides)) == names


def test_each_yaml_is_accepted_by_its_class(composed, run):
    # mlflow, which is rarely installed, has a test of its own.
    names = {file.stem for file in (CONFIGS / "logger").glob("*.yaml")} - {"mlflow"}
    assert len(names) >= 6
    loggers = build_loggers(composed(f"logger=[{','.join(sorted(names))}]"), run, {})
    assert isinstance(loggers[0], FilesLogger)
    assert {logger.title for logger in loggers[1:]} == names - {"default", "local", "none"}
    assert all(logger.inner is not None for logger in loggers[1:])


def test_without_a_choice_there_are_still_the_files(run):
    for nothing in (None, {}, {"wandb": None}):
        loggers = build_loggers(nothing, run, {})
        assert [type(logger) for logger in loggers] == [FilesLogger]


@pytest.mark.parametrize("package", ["tensorboard", "mlflow"])
def test_a_package_that_is_missing_is_said_before_training(package, composed, run, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"logger={package}.*pip install 'genlab\[{package}\]'"):
        build_loggers(composed(f"logger={package}"), run, {})


class Recording(Logger):
    """Keeps what it is told."""

    made: ClassVar[list] = []

    def __init__(self, fail_at=None):
        super().__init__()
        self.calls, self.fail_at, self.ended = [], fail_at, []
        Recording.made.append(self)

    name = version = "recording"

    def log_hyperparams(self, params):
        self.calls.append(("log_hyperparams", params))

    def log_metrics(self, metrics, step=None):
        self.calls.append(("log_metrics", metrics, step))
        if step == self.fail_at:
            raise OSError("disk\nquota exceeded")

    def log_image(self, key, images, step=None, caption=None):
        self.calls.append(("log_image", key, images, step, caption))

    def finalize(self, status):
        self.ended.append(status)


def chosen(**arguments):
    return {"mine": {"_target_": f"{__name__}.Recording", **arguments}}


def test_a_mirror_that_fails_is_told_once_and_the_run_goes_on(run, capsys):
    loggers = build_loggers(chosen(fail_at=2), run, {})
    for step in (1, 2, 3):
        log_metrics(loggers, {"a": 1.0}, step)
        log_image(loggers, "samples", np.zeros((2, 2, 3), np.uint8), step)
    close_loggers(loggers)
    inner = Recording.made[-1]
    assert [call[0] for call in inner.calls] == ["log_metrics", "log_image", "log_metrics"]
    assert inner.ended == ["failed"]  # closed, so that no later job continues it
    [said] = capsys.readouterr().err.splitlines()
    assert "logger=mine failed in log_metrics (OSError: disk quota exceeded)" in said
    assert [row["images_seen"] for row in read_metrics(run.path).rows] == [1, 2, 3]
    assert len(list(run.path.glob("samples/*.png"))) == 3


def test_the_files_do_not_fail_silently(run):
    loggers = build_loggers(None, run, {})
    run.metrics_file.mkdir()
    with pytest.raises(OSError, match=r"metrics\.jsonl"):
        log_metrics(loggers, {"a": 1.0}, 1)


def test_a_run_ends_when_it_is_closed_and_not_before(run):
    loggers = build_loggers(chosen(), run, {})
    inner = Recording.made[-1]
    loggers[1].finalize("success")
    log_metrics(loggers, {"a": 1.0}, 1)
    assert inner.ended == []
    close_loggers(loggers, "failed")
    close_loggers(loggers)
    assert inner.ended == ["failed"]
    assert len(inner.calls) == 1


def test_a_next_run_ends_the_one_that_was_left_open(run):
    build_loggers(chosen(), run, {})
    first = Recording.made[-1]
    build_loggers(chosen(), run, {})
    assert first.ended == ["success"]


def test_every_logger_gets_the_same_pixels_and_only_pixels(run):
    loggers = build_loggers(chosen(), run, {})
    pixels = grid(torch.randint(0, 256, (4, 1, 5, 5), dtype=torch.uint8))
    log_image(loggers, "samples", pixels, 7, caption="c")
    assert Recording.made[-1].calls == [("log_image", "samples", [pixels], 7, ["c"])]
    for wrong in (pixels / 255, torch.from_numpy(pixels), pixels[..., 0], pixels[None]):
        with pytest.raises(ValueError, match="a picture must"):
            log_image(loggers, "samples", wrong, 7)


def test_secrets_reach_no_logger(run):
    config = {"hf": {"token": "abc"}, "lr": 0.1}
    node = {"_target_": "genlab.training.loggers.tensorboard.TensorBoardLogger"}
    loggers = build_loggers({"tensorboard": node}, run, config)
    assert loggers[1].inner.context.config == {"hf": {"token": "<redacted>"}, "lr": 0.1}


def test_the_name_of_a_run_is_its_path_below_the_root(tmp_path):
    place = tmp_path / "runs" / "sweep" / "0_a"
    place.mkdir(parents=True)
    loggers = build_loggers(
        {"tb": {"_target_": "genlab.training.loggers.tensorboard.TensorBoardLogger"}},
        mark_run(place),
        {"root": str(tmp_path / "runs"), "group": "sweep", "tags": ["x"]},
    )
    context = loggers[1].inner.context
    assert (context.name, context.group, context.tags) == ("sweep/0_a", "sweep", ("x",))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    loggers = build_loggers(
        {"tb": {"_target_": "genlab.training.loggers.tensorboard.TensorBoardLogger"}},
        mark_run(elsewhere),
        {"root": str(tmp_path / "runs")},
    )
    context = loggers[1].inner.context
    assert (context.name, context.root) == ("elsewhere", tmp_path)


def test_tensorboard_reads_back_scalars_pictures_and_one_row_of_hparams(run):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    node = {"_target_": "genlab.training.loggers.tensorboard.TensorBoardLogger"}
    loggers = build_loggers({"tensorboard": node}, run, {"model": {"latent": 8}, "lr": 0.5})
    pixels = grid(torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8))
    log_metrics(loggers, {"train/loss": torch.tensor(2.0)}, 64)
    log_metrics(loggers, {"train/loss": 1.0}, 128)
    log_image(loggers, "samples", pixels, 128)
    close_loggers(loggers)
    folder = run.path / "tensorboard"
    assert [d for d in folder.iterdir() if d.is_dir()] == []  # no second run for the hparams
    read = events.EventAccumulator(str(folder))
    read.Reload()
    assert [(e.step, e.value) for e in read.Scalars("train/loss")] == [(64, 2.0), (128, 1.0)]
    [picture] = read.Images("samples")
    assert picture.step == 128
    import io

    got = np.asarray(Image.open(io.BytesIO(picture.encoded_image_string)))
    np.testing.assert_array_equal(got, pixels)
    content = read.PluginTagToContent("hparams")
    start = content["_hparams_/session_start_info"]
    assert b"model.latent" in start
    assert b"train/loss" in content["_hparams_/experiment"]


@pytest.mark.filterwarnings("ignore")  # mlflow's own, of sqlalchemy
def test_mlflow_continues_a_run_and_keeps_its_pixels(run):
    mlflow = pytest.importorskip("mlflow")
    pixels = grid(torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8))
    node = {"_target_": "genlab.training.loggers.mlflow.MLFlowLogger"}
    for session in (1, 2):
        loggers = build_loggers({"mlflow": node}, run, {"lr": 0.5, "hf": {"token": "abc"}})
        log_metrics(loggers, {"train/loss": 1.0 / session}, 64 * session)
        close_loggers(loggers)
    log_image(build_loggers({"mlflow": node}, run, {}), "samples", pixels, 128)
    root = run.path.parent
    client = mlflow.MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    found = client.get_run(run.read("run.json")["mlflow_id"])
    assert found.data.params == {"lr": "0.5", "hf.token": "<redacted>"}
    history = client.get_metric_history(found.info.run_id, "train/loss")
    assert [(m.step, m.value) for m in history] == [(64, 1.0), (128, 0.5)]
    [png] = (root / "mlflow").rglob("samples*.png")
    np.testing.assert_array_equal(np.asarray(Image.open(png).convert("RGB")), pixels)


def test_csv_has_a_row_for_each_event(run):
    node = {"_target_": "genlab.training.loggers.csv.CSVLogger"}
    for session in range(2):
        loggers = build_loggers({"csv": node}, run, {})
        log_metrics(loggers, {"a": 1.0}, 64)
        log_metrics(loggers, {"a": 2.0, "b": float(session)}, 128)
        close_loggers(loggers)
    for session in range(2):
        file = run.path / "csv" / f"version_{session}" / "metrics.csv"
        with file.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        assert [(r["step"], r["a"], r["b"]) for r in rows] == [
            ("64", "1.0", ""),
            ("128", "2.0", str(float(session))),
        ]


def test_lightnings_own_loggers_work_too(run, tmp_path):
    node = {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": str(tmp_path / "x")}
    loggers = build_loggers({"theirs": node}, run, {})
    assert isinstance(loggers[1].inner, CSVLogger)
    log_metrics(loggers, {"a": 1.0}, 64)
    log_image(loggers, "samples", np.zeros((2, 2, 3), np.uint8), 64)  # takes none, and fails not
    close_loggers(loggers)
    assert list((tmp_path / "x").rglob("metrics.csv"))


def test_a_mirror_is_a_lightning_logger(run):
    mirror = build_loggers(chosen(), run, {})[1]
    assert isinstance(mirror, Mirror)
    assert (mirror.name, mirror.version, mirror.save_dir) == ("recording", "recording", None)
    mirror.log_hyperparams({"a": 1})
    mirror.save()
    mirror.experiment.anything(1)  # it has none: a dummy takes the call
    mirror.close()
    assert mirror.name == "mine"
    mirror.log_metrics({"a": 1.0}, step=1)
    assert [call[0] for call in Recording.made[-1].calls] == ["log_hyperparams"]


def test_only_what_can_rewinds(run):
    loggers = build_loggers(chosen(), run, {})
    log_metrics(loggers, {"a": 1.0}, 10)
    log_metrics(loggers, {"a": 1.0}, 20)
    rewind_loggers([*loggers, CSVLogger(str(run.path))], 10)
    assert [row["images_seen"] for row in read_metrics(run.path).rows] == [10]


def test_lightning_says_nothing_of_its_products(caplog):
    quiet_lightning()
    quiet_lightning()
    logger = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    assert len([f for f in logger.filters if type(f).__name__ == "_Quiet"]) == 1
    with caplog.at_level(logging.INFO, logger=logger.name):
        logger.info("💡 Tip: For seamless cloud logging and experiment tracking, ...")
        logger.info("GPU available: False, used: False")
        logger.warning("something to know")
    assert [record.getMessage() for record in caplog.records] == ["something to know"]
