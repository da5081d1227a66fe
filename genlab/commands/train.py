"""genlab train: from a config to a run directory with a trained model and what it is worth."""

from pathlib import Path

from omegaconf import DictConfig

from genlab.config.check import check
from genlab.config.invocation import Invocation
from genlab.config.resume import saved_config
from genlab.experiment.requeue import job_of_slurm, requeued_run
from genlab.experiment.train_run import train_run
from genlab.launch.resumed import config_and_run
from genlab.system.terminal import say

__all__ = ["run"]


def run(cfg: DictConfig, invocation: Invocation) -> float | None:
    """Trains a new run, or resumes one with its own config.

    Returns:
        The value of the metric that makes the best checkpoint, for a sweeper to optimize.

    Raises:
        GenlabError: Something the user can mend.
    """
    resumed = None
    if cfg.run:
        cfg, resumed = config_and_run(cfg, invocation.overrides)
    elif (resumed := requeued_run(Path(cfg.root))) is not None:
        say(f"SLURM job {job_of_slurm()} was requeued and goes on with {resumed.shown()}")
        cfg = saved_config(cfg, resumed.path)
    return train_run(check(cfg, "train"), invocation, resumed).best
