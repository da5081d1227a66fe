"""genlab train: from a config to a run directory with a trained model and what it is worth."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers.logger import Logger

from genlab.config.check import check
from genlab.config.saved import load_config, save_config
from genlab.data.feed.eval_loader import EvalLoader
from genlab.data.module import ImageDataModule
from genlab.errors import ConfigError
from genlab.experiment.build import build_data, build_evaluator, build_model, build_module, plain
from genlab.experiment.exported import import_model, is_export
from genlab.experiment.monitored import check_monitor
from genlab.experiment.reports import keep_report
from genlab.experiment.requeue import job_of_slurm, requeued_run
from genlab.experiment.session import Fitting, Start, go_on
from genlab.experiment.trained import Loaded, load_run, use_device
from genlab.models.base import GenerativeModel
from genlab.runs.directory import JOB_DIRECTORY, Run, create_run, find_run, mark_run
from genlab.runs.lock import occupied
from genlab.runs.storage import set_aside
from genlab.system.machine import environment
from genlab.system.paths import write_json
from genlab.system.terminal import bars, closing_table, console, say, warn
from genlab.tasks.latent import interpolations
from genlab.training.cpu_threads import use_processor
from genlab.training.evaluation import Evaluator
from genlab.training.generative_module import GenerativeModule
from genlab.training.loggers.quiet import quiet_lightning
from genlab.training.loggers.setup import (
    build_loggers,
    close_loggers,
    links,
    log_checkpoint,
    log_image,
    log_metrics,
)
from genlab.training.pictures import Pictures
from genlab.training.saving.checkpoint_io import (
    GENERATIONS,
    AtomicCheckpointIO,
    newest,
    read_checkpoint,
)
from genlab.training.saving.disk_space import check_room, checkpoint_bytes
from genlab.training.transfer import freeze, load_what_fits
from genlab.types import Batch

__all__ = ["run"]

RUN_DIRECTORY = "GENLAB_RUN_DIRECTORY"
"""Tells the other processes of a distributed run the directory that the first one made."""

RESUMABLE = (
    "trainer.",
    "callbacks.",
    "guard.",
    "data.workers",
    "data.resident",
    "notes",
    "tags",
    "root",
    "trust",
)
"""Keys that may change when a run is resumed; any other would make it another run."""


def run(cfg: DictConfig) -> float | None:
    """Trains a model, measures it, and says what to do next.

    Returns:
        The value of the metric that makes the best checkpoint, for a sweeper to optimize.

    Raises:
        GenlabError: Something the user can mend.
    """
    resumed = find_run(cfg.run, Path(cfg.root)) if cfg.run else None
    if resumed is not None:
        cfg = resumed_config(cfg, resumed)
    elif (resumed := requeued_run(Path(cfg.root))) is not None:
        say(f"SLURM job {job_of_slurm()} was requeued and goes on with {resumed.shown()}")
        cfg = saved_config(cfg, resumed)
    check(cfg, "train")
    quiet_lightning()
    first = "LOCAL_RANK" not in os.environ
    use_processor(cfg.trainer.threads)

    data = build_data(cfg)
    data.seed, data.chunk = cfg.seed, cfg.trainer.chunk * cfg.trainer.accumulate
    data.curriculum = instantiate(cfg.curriculum) if cfg.curriculum else None
    if first:
        data.prepare_data()
    data.setup()
    model = build_model(cfg, data.spec)
    notes = transfer(cfg, model)
    module = build_module(cfg, model, data.n_train)
    evaluator = build_evaluator(cfg, data)
    fitting = Fitting.of(cfg, data, module, evaluator)
    if first:
        if resumed is None:  # which goes on with the metric that it has
            callbacks = fitting.trainer.callbacks  # type: ignore[attr-defined]
            check_monitor(fitting.checkpoints, module, data, callbacks)
        room_for(cfg, module, resumed)
    # Whatever the user can have got wrong was found by now: from here on, files are written.
    place = resumed or own_directory(cfg, first)
    with occupied(place) if first else nullcontext():
        if first:
            announce(cfg, place, data, model, notes, resumed)
        loggers: list[Logger] = []
        status = "failed"
        try:
            loggers = build_loggers(plain(cfg.logger), place, plain(cfg), group=cfg.group)
            start = starting_point(place, module, first) if resumed else None
            fitting.run(place, loggers, start)
            best = finish(cfg, place, evaluator, loggers) if first else None
            status = "success"
        except (KeyboardInterrupt, SystemExit):
            if first and not fitting.told:
                where = "in the closing evaluation" if fitting.finished else "before the first step"
                say(f"stopped {where}; {go_on(place)}")
            raise
        finally:
            close_loggers(loggers, status)
    return best


def room_for(cfg: DictConfig, module: GenerativeModule, resumed: Run | None) -> None:
    """Refuses a run for whose checkpoints there is no room.

    Raises:
        ConfigError: There is not, or the directory cannot be written to.
    """
    if resumed is not None:
        where, key = resumed.path, f"run={resumed.shown()}"
    else:
        where, key = Path(os.environ.get(JOB_DIRECTORY, cfg.root)), f"root={cfg.root}"
    check_room(where, checkpoint_bytes(module), key)


def starting_point(place: Run, module: GenerativeModule, first: bool) -> Start | None:
    """The checkpoint that a run goes on from: the newest that is whole.

    A damaged one is set aside, so that it does not become a generation that is kept.

    Raises:
        DataError: None is whole, or it is of another model.
    """
    found = newest(place.checkpoint().parent)
    if found is None:
        say("       stopped before its first checkpoint: it starts again") if first else None
        return None
    path, checkpoint, wrong = found
    start = Start(path, checkpoint)
    if wrong and first:
        for name in GENERATIONS[: GENERATIONS.index(path.name)]:
            set_aside(path.with_name(name))
        for problem in wrong:
            warn(f"{problem}; goes on from {path.name}, of {start.images_seen:,} images")
    start.check(module)
    return start


def finish(
    cfg: DictConfig, place: Run, evaluator: Evaluator, loggers: list[Logger]
) -> float | None:
    """Measures the best checkpoint on the test split, and says what came out and what is next."""
    loaded = load_run(place, "best", device=use_device(cfg.trainer.accelerator))
    fit_the_rest(loaded, evaluator.data)
    pictures = Pictures().draw(loaded.model, evaluator.data, cfg.seed)
    pictures |= interpolations(loaded, cfg.seed)
    for kind, picture in pictures.items():
        log_image(loggers, kind, picture, loaded.images_seen)
    closing = evaluator.closing(
        cfg.closing.n_samples, cfg.closing.likelihood_samples, cfg.closing.likelihood_images
    )
    with bars() as progress:
        report = closing.run(loaded.model, loaded.weights, progress)
    keep_report(report, loaded, "closing")
    scalars = {f"test/{key}": value for key, value in report.scalars().items()}
    log_metrics(loggers, scalars, loaded.images_seen)
    log_checkpoint(loggers, loaded.checkpoint, "best")
    place.update("summary.json", metrics=report.scalars(), evaluated_images_seen=loaded.images_seen)
    place.update("run.json", status="finished")
    summary = place.read("summary.json")
    console().print(report.table())
    files = [
        str(Path(place.shown()) / newest.relative_to(place.path))
        for kind in pictures
        if (newest := max((place.path / kind).glob("*.png"), default=None)) is not None
    ]
    closing_table(
        place.name,
        {
            "run directory": place.shown(),
            "images seen": f"{summary['images_seen']:,} ({summary['epochs']:.1f} epochs)",
            "training time": f"{summary['train_seconds']:.0f} s on {summary['device']}",
            f"best {summary['best_metric']}": best_line(summary),
            "pictures": "\n".join(files) or "none",
            **links(loggers),
        },
        [
            ("draw images", f"genlab sample run={place.shown()}"),
            ("all metrics", f"genlab evaluate run={place.shown()}"),
            ("curves and grids in a browser", "genlab dashboard"),
        ],
    )
    best = summary["best"]
    return float(best) if best is not None else None


def fit_the_rest(loaded: Loaded, data: ImageDataModule) -> None:
    """Fits what a family fits to its finished weights, a prior to the codes for one, and keeps
    it in the best checkpoint."""
    if type(loaded.model).finish is GenerativeModel.finish:
        return
    device = loaded.model.device
    batches = (
        Batch(batch.x.to(device), None if batch.y is None else batch.y.to(device))
        for batch in EvalLoader(data.train, data.eval_batch_size)
    )
    loaded.model.finish(batches)
    checkpoint = read_checkpoint(loaded.checkpoint)
    state = loaded.model.state_dict()
    if loaded.weights == "ema":
        checkpoint["genlab"]["ema"] = state
    else:
        checkpoint["state_dict"] |= {f"model.{name}": tensor for name, tensor in state.items()}
    AtomicCheckpointIO().save_checkpoint(checkpoint, loaded.checkpoint)


def best_line(summary: dict[str, Any]) -> str:
    """The best value of the monitored metric, and when it was."""
    if summary["best"] is None:
        return "-"
    best = f"{summary['best']:.4g} after {summary['best_images']:,} images"
    last = summary.get("last")
    return best if last is None or last == summary["best"] else f"{best}; last {last:.4g}"


def resumed_config(cfg: DictConfig, place: Run) -> DictConfig:
    """The config of the run to resume, with what may change of it changed.

    Raises:
        ConfigError: Something else was to be changed.
    """
    saved = saved_config(cfg, place)
    given = HydraConfig.get().overrides.task
    for override in given:
        key = override.split("=", 1)[0].lstrip("+~")
        if key in ("run", "logger"):
            continue
        if not key.startswith(RESUMABLE):
            raise ConfigError(
                f"{key}: a resumed run keeps its {key.split('.')[0]}; trainer.*, callbacks.*, "
                "guard.*, data.workers and logger may change. A new run from these weights: "
                f"init_from={place.shown()}"
            )
        OmegaConf.update(saved, key, OmegaConf.select(cfg, key))
    if any(override.startswith("logger=") for override in given):
        saved.logger = cfg.logger
    return saved


def saved_config(cfg: DictConfig, place: Run) -> DictConfig:
    """The config that a run was started with."""
    saved = load_config(place.config_file)
    saved.run, saved.root = str(place.path), cfg.root
    return saved


def own_directory(cfg: DictConfig, first: bool) -> Run:
    """The new run's directory; the other processes of a distributed run take the first one's."""
    if not first:
        return Run(Path(os.environ[RUN_DIRECTORY]))
    choices = HydraConfig.get().runtime.choices
    model, data = str(choices["model"]), str(choices["data"])
    if JOB_DIRECTORY in os.environ:
        place = mark_run(Path(os.environ[JOB_DIRECTORY]), model=model, data=data, seed=cfg.seed)
    else:
        place = create_run(Path(cfg.root), cfg.name, model, data, cfg.seed)
    os.environ[RUN_DIRECTORY] = str(place.path)
    if (job := job_of_slurm()) is not None:
        place.update("run.json", slurm_job=job)
    save_config(cfg, place.config_file)
    write_json(place.path / "environment.json", environment())
    return place


def transfer(cfg: DictConfig, model: GenerativeModel) -> list[str]:
    """Takes over another run's weights and freezes what is to stay; says what became of them."""
    notes = []
    if cfg.init_from:
        if is_export(Path(cfg.init_from)):
            name, source = cfg.init_from, import_model(Path(cfg.init_from))
        else:
            loaded = load_run(find_run(cfg.init_from, Path(cfg.root), "init_from"), check=check)
            name, source = loaded.run.name, loaded.model
        notes.append(f"init_from {name}: {load_what_fits(model, source.state_dict())}")
    if cfg.freeze:
        frozen = freeze(model, cfg.freeze)
        notes.append(f"frozen: {len(frozen)} parameters ({', '.join(frozen[:4])} ...)")
    return notes


def announce(
    cfg: DictConfig,
    place: Run,
    data: ImageDataModule,
    model: GenerativeModel,
    notes: list[str],
    resumed: Run | None,
) -> None:
    """Says what is about to happen, before it does."""
    say(f"data   {data.summary()}")
    parameters = sum(p.numel() for p in model.parameters())
    say(f"model  {type(model).__name__}: {parameters:,} parameters, likelihood {model.likelihood}")
    for note in notes:
        say(f"       {note}")
    say(f"{'resume' if resumed else 'run'}    {place.shown()}")
