"""A training run from beginning to end: its parts, its directory, its session, its closing."""

import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from pytorch_lightning.loggers.logger import Logger

from genlab.config.check import check
from genlab.config.invocation import Invocation
from genlab.config.saved import load_config, save_config
from genlab.config.schema import Train
from genlab.experiment.advice import resume_command
from genlab.experiment.borrowing import provenance
from genlab.experiment.closing import close_run
from genlab.experiment.parts import Parts, build_parts
from genlab.experiment.relocation import check_unchanged, relocated
from genlab.experiment.requeue import job_of_slurm
from genlab.experiment.resume_point import find_resume_point
from genlab.experiment.session import TrainingSession
from genlab.runs.directory import JOB_DIRECTORY, Run, create_run, mark_run
from genlab.runs.lock import lock_run
from genlab.system.machine import environment
from genlab.system.paths import write_json
from genlab.system.terminal import say
from genlab.training.cpu_threads import use_threads
from genlab.training.loggers.quiet import quiet_lightning
from genlab.training.loggers.setup import build_loggers, close_loggers

__all__ = ["TrainedRun", "train_run"]

RUN_DIRECTORY = "GENLAB_RUN_DIRECTORY"
"""Tells the other processes of a distributed run the directory that the first one made."""


@dataclass(frozen=True)
class TrainedRun:
    """Result of a training run.

    Args:
        run: Its directory.
        best: The best value of the metric that makes the best checkpoint, where there is one.
    """

    run: Run
    best: float | None


def train_run(
    config: Train, invocation: Invocation, resumed: Run | None, close: bool = True
) -> TrainedRun:
    """Trains a model, measures it, and says what to do next.

    Args:
        config: The run's config.
        invocation: Which configs were chosen, after which a new run is named.
        resumed: The run to resume; None begins a new one.
        close: Measure the best checkpoint in the end, and draw from it; a race's rung does not.

    Raises:
        GenlabError: Something the user can mend.
        SystemExit: A signal ended it.
    """
    # The process
    quiet_lightning()
    use_threads(config.trainer.threads)
    first = "LOCAL_RANK" not in os.environ
    # Whatever the user can have got wrong is found before the first file is written.
    if resumed is not None:
        config = replace(config, data=relocated(config.data, resumed, config.places))
    elif not first:  # the first process has found and recorded what is borrowed
        saved = check(load_config(Run(Path(os.environ[RUN_DIRECTORY])).config_file), "train")
        config = replace(config, parts=saved.parts)
    parts = build_parts(config, resumed, first)
    config = parts.config
    if resumed is not None:
        check_unchanged(resumed, parts.data)
    # The run directory, which is this process's alone until the end
    run = resumed or own_directory(config, invocation, first)
    typed = invocation.overrides if resumed else ()
    best = None
    with lock_run(run) if first else nullcontext():
        if first:
            announce(run, parts, resumed is not None)
        loggers: list[Logger] = []
        session, status = None, "failed"
        try:
            loggers = build_loggers(config.logger, run, config.content, group=config.group)
            point = (
                find_resume_point(run, parts.module, first, parts.callbacks) if resumed else None
            )
            session = TrainingSession(config, run, parts, loggers, point, typed)
            session.train()
            if first and close:
                best = close_run(config, run, parts.evaluator, loggers)
            status = "success"
        except (KeyboardInterrupt, SystemExit):
            if first and not (session and session.explained):
                finished = session is not None and session.finished
                where = "in the closing evaluation" if finished else "before the first step"
                say(f"stopped {where}; {resume_command(run, typed)}")
            raise
        finally:
            close_loggers(loggers, status)
    return TrainedRun(run, best)


def own_directory(config: Train, invocation: Invocation, first: bool) -> Run:
    """The new run's directory; the other processes of a distributed run take the first one's."""
    if not first:
        return Run(Path(os.environ[RUN_DIRECTORY]))
    model, data = (str(invocation.choices[group]) for group in ("model", "data"))
    if JOB_DIRECTORY in os.environ:
        job = Path(os.environ[JOB_DIRECTORY])
        run = mark_run(job, model=model, data=data, seed=config.seed)
    else:
        run = create_run(Path(config.root), config.name, model, data, config.seed)
    os.environ[RUN_DIRECTORY] = str(run.path)
    if (slurm := job_of_slurm()) is not None:
        run.update("run.json", slurm_job=slurm)
    run.update("run.json", **provenance(config))
    save_config(config.content, run.config_file)
    write_json(run.path / "environment.json", environment())
    run.update("run.json", directory=os.getcwd())  # which relative paths of its data start from
    return run


def announce(run: Run, parts: Parts, resumed: bool) -> None:
    """Says what is about to happen, before it does."""
    model = parts.module.model
    say(f"data   {parts.data.summary()}")
    parameters = sum(p.numel() for p in model.parameters())
    say(f"model  {type(model).__name__}: {parameters:,} parameters, likelihood {model.likelihood}")
    for note in parts.notes:
        say(f"       {note}")
    say(f"{'resume' if resumed else 'run'}    {run.shown()}")
