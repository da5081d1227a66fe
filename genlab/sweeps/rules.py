"""Rules of a sweep, checked before its first job starts."""

import importlib.util
from typing import TYPE_CHECKING, Any

from genlab.errors import ConfigError
from genlab.sweeps.objective import keys_of
from genlab.system.secrets import redact

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["STORAGE", "check_job", "check_plugins", "check_search"]

EXTRAS = {
    "hydra_joblib_launcher": "joblib",
    "hydra_submitit_launcher": "slurm",
    "hydra_ray_launcher": "ray",
    "hydra_optuna_sweeper": "optuna",
}
"""The plugins of Hydra, and the extra of genlab's that brings each."""


def check_plugins(cfg: "DictConfig") -> None:
    """Refuses a launcher or a sweeper that is not installed.

    Args:
        cfg: A composed config with Hydra's own section.

    Raises:
        ConfigError: Names the extra to install.
    """
    for kind in ("launcher", "sweeper"):
        target = str(cfg.hydra[kind].get("_target_"))
        package = target.removeprefix("hydra_plugins.").partition(".")[0]
        if package in EXTRAS and importlib.util.find_spec(f"hydra_plugins.{package}") is None:
            extra = EXTRAS[package]
            name = str(cfg.hydra.runtime.choices.get(f"hydra/{kind}", extra))
            raise ConfigError(
                f"hydra/{kind}={name}: not installed; pip install 'genlab[{extra}]' brings it"
            )


def check_job(cfg: "DictConfig") -> None:
    """Refuses a job that a sweep cannot run.

    Raises:
        ConfigError: It wants several devices, or another run's directory.
    """
    devices, strategy = cfg.trainer.devices, str(cfg.trainer.strategy)
    if devices == 1 and strategy.startswith("ddp"):
        raise ConfigError(f"trainer.strategy={strategy}: {ONE_DEVICE}; leave it at auto")
    if devices not in (1, "auto") and (isinstance(devices, int) or len(devices) != 1):
        raise ConfigError(f"trainer.devices={devices}: {ONE_DEVICE}")
    if cfg.run is not None:
        raise ConfigError(f"run={cfg.run}: a sweep starts new runs; leave -m out to resume one")


STORAGE = "sqlite:///${hydra.sweep.dir}/"
"""Start of the address of a study, which a resumed sweep fills again."""

ONE_DEVICE = (
    "a job of a sweep has one device, as each process of a distributed job would start the sweep "
    "again; train on several devices without -m"
)


def check_search(cfg: "DictConfig") -> None:
    """Refuses what Optuna could not optimize or resume.

    Args:
        cfg: A job's config with Hydra's own section.

    Raises:
        ConfigError: A number of directions that is not that of the objectives, a sampler without a
            seed, or a study kept elsewhere than in the sweep.
    """
    sweeper = cfg.hydra.sweeper
    if "optuna" not in str(sweeper.get("_target_")):
        return  # a grid
    from omegaconf import OmegaConf

    # A direction for each objective
    keys = keys_of(cfg.get("objective")) or ("best",)
    direction = sweeper.get("direction")
    directions = [direction] if isinstance(direction, str) else list(direction)
    if wrong := [d for d in directions if d not in ("minimize", "maximize")]:
        raise ConfigError(f"hydra.sweeper.direction={wrong[0]}: minimize or maximize")
    if len(keys) != len(directions):
        example = ",".join(["minimize"] * len(keys))
        raise ConfigError(
            f"hydra.sweeper.direction={direction}: each of {', '.join(keys)} needs one: "
            f"hydra.sweeper.direction=[{example}]"
        )
    # What makes a search the same again
    if "seed" in sweeper.sampler and sweeper.sampler.seed is None:
        raise ConfigError(
            "hydra.sweeper.sampler.seed=null: a number is needed, so that a sweep that is resumed "
            "asks the same questions again"
        )
    raw: Any = OmegaConf.to_container(sweeper, resolve=False)
    storage = raw["storage"]
    if storage is not None and not str(storage).startswith(STORAGE):
        raise ConfigError(
            f"hydra.sweeper.storage={redact(str(storage))}: a study lies in its sweep: "
            f"'hydra.sweeper.storage=\"{STORAGE}study.db\"'"
        )
