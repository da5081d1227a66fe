"""genlab train: from a config to a run directory with a trained model and what it is worth."""

import os
from contextlib import nullcontext
from pathlib import Path

from omegaconf import DictConfig
from pytorch_lightning.loggers.logger import Logger

from genlab.config.check import check
from genlab.config.invocation import Invocation
from genlab.config.resume import resumed_config, saved_config
from genlab.config.saved import save_config
from genlab.config.schema import Train
from genlab.experiment.closing import close_run
from genlab.experiment.parts import Parts, build_parts
from genlab.experiment.requeue import job_of_slurm, requeued_run
from genlab.experiment.resume_point import find_resume_point, resume_command
from genlab.experiment.session import TrainingSession
from genlab.runs.directory import JOB_DIRECTORY, Run, create_run, find_run, mark_run
from genlab.runs.lock import lock_run
from genlab.system.machine import environment
from genlab.system.paths import write_json
from genlab.system.terminal import say
from genlab.training.cpu_threads import use_threads
from genlab.training.loggers.quiet import quiet_lightning
from genlab.training.loggers.setup import build_loggers, close_loggers

__all__ = ["run"]

RUN_DIRECTORY = "GENLAB_RUN_DIRECTORY"
"""Tells the other processes of a distributed run the directory that the first one made."""


def run(cfg: DictConfig, invocation: Invocation) -> float | None:
    """Trains a model, measures it, and says what to do next.

    Returns:
        The value of the metric that makes the best checkpoint, for a sweeper to optimize.

    Raises:
        GenlabError: Something the user can mend.
    """
    # The config: a new run's, or the resumed run's own
    resumed = find_run(cfg.run, Path(cfg.root)) if cfg.run else None
    if resumed is not None:
        cfg = resumed_config(cfg, resumed.path, invocation.overrides, resumed.shown())
    elif (resumed := requeued_run(Path(cfg.root))) is not None:
        say(f"SLURM job {job_of_slurm()} was requeued and goes on with {resumed.shown()}")
        cfg = saved_config(cfg, resumed.path)
    config = check(cfg, "train")
    quiet_lightning()
    use_threads(config.trainer.threads)
    first = "LOCAL_RANK" not in os.environ

    # Whatever the user can have got wrong is found before the first file is written.
    parts = build_parts(config, resumed, first)
    place = resumed or own_directory(cfg, config, invocation, first)
    best = None
    with lock_run(place) if first else nullcontext():
        if first:
            announce(place, parts, resumed is not None)
        loggers: list[Logger] = []
        session, status = None, "failed"
        try:
            loggers = build_loggers(config.logger, place, config.content, group=config.group)
            point = find_resume_point(place, parts.module, first) if resumed else None
            session = TrainingSession(config, place, parts, loggers, point)
            session.train()
            if first:
                best = close_run(config, place, parts.evaluator, loggers)
            status = "success"
        except (KeyboardInterrupt, SystemExit):
            if first and not (session and session.explained):
                finished = session is not None and session.finished
                where = "in the closing evaluation" if finished else "before the first step"
                say(f"stopped {where}; {resume_command(place)}")
            raise
        finally:
            close_loggers(loggers, status)
    return best


def own_directory(cfg: DictConfig, config: Train, invocation: Invocation, first: bool) -> Run:
    """The new run's directory; the other processes of a distributed run take the first one's."""
    if not first:
        return Run(Path(os.environ[RUN_DIRECTORY]))
    model, data = (str(invocation.choices[group]) for group in ("model", "data"))
    if JOB_DIRECTORY in os.environ:
        place = Path(os.environ[JOB_DIRECTORY])
        made = mark_run(place, model=model, data=data, seed=config.seed)
    else:
        made = create_run(Path(config.root), config.name, model, data, config.seed)
    os.environ[RUN_DIRECTORY] = str(made.path)
    if (job := job_of_slurm()) is not None:
        made.update("run.json", slurm_job=job)
    save_config(cfg, made.config_file)
    write_json(made.path / "environment.json", environment())
    return made


def announce(place: Run, parts: Parts, resumed: bool) -> None:
    """Says what is about to happen, before it does."""
    model = parts.module.model
    say(f"data   {parts.data.summary()}")
    parameters = sum(p.numel() for p in model.parameters())
    say(f"model  {type(model).__name__}: {parameters:,} parameters, likelihood {model.likelihood}")
    for note in parts.notes:
        say(f"       {note}")
    say(f"{'resume' if resumed else 'run'}    {place.shown()}")
