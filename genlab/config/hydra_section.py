"""Check of Hydra's own section of a config.

Launchers, sweepers, callbacks and the handlers of the logging configuration are called while Hydra
starts, before any job: a config that comes from elsewhere must not choose them freely.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.config.annotations import UNKNOWN, shown
from genlab.config.check import components, resolved
from genlab.config.overrides import key_of
from genlab.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["LOGGING", "PLUGINS", "check_hydra", "check_logging"]

PLUGINS = frozenset(
    [
        "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
        "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
        "hydra.experimental.callbacks.LogJobReturnCallback",
        "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
        "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper",
        "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher",
        "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher",
        "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher",
        *(
            f"optuna.samplers.{name}Sampler"
            for name in ("CmaEs", "GP", "Grid", "NSGAII", "NSGAIII", "QMC", "Random", "TPE")
        ),
    ]
)
"""Launchers, sweepers, their samplers, and callbacks."""

LOGGING = frozenset(
    [
        "colorlog.ColoredFormatter",
        "logging.Formatter",
        "logging.NullHandler",
        "logging.StreamHandler",
        "rich.logging.RichHandler",
    ]
)
"""Formatters and handlers that write to a stream."""

STREAMS = frozenset(["ext://sys.stderr", "ext://sys.stdout"])
LOG_FILE = {  # Hydra's own default handler
    "class": "logging.FileHandler",
    "filename": "${hydra.runtime.output_dir}/${hydra.job.name}.log",
}
TYPED_ONLY = (
    "hydra.launcher.additional_parameters",
    "hydra.launcher.python",
    "hydra.launcher.setup",
    "hydra.launcher.srun_args",
    "hydra.sweeper.custom_search_space",
)
"""Keys whose value is a command or a function; they count only on the command line."""

ENVIRONMENT = ("CUDA_", "NCCL_", "OMP_", "MKL_", "SLURM_", "RAY_")
ENVIRONMENT_NAMES = ("WANDB_MODE", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_RUN_GROUP", "TMPDIR")
"""Names that a config may set in a job's environment, by their beginnings and whole."""

JOB_NAME = re.compile(r"[A-Za-z0-9_.-]*")
"""It becomes part of a file's name."""


def check_hydra(cfg: "DictConfig", typed: Sequence[str] = ()) -> None:
    """Refuses a composed config whose ``hydra`` section could run anything unknown.

    Args:
        cfg: The whole composed config.
        typed: The overrides of the command line.

    Raises:
        ConfigError: All that is refused, a line each.
    """
    from omegaconf import OmegaConf

    content, _ = resolved(cfg.hydra)
    errors = list(unsafe_logging(cfg, content))
    for path, section in components(content, "hydra"):
        if not is_known(section["_target_"], PLUGINS):
            errors.append(f"{path}._target_={text(section['_target_'])}: not a plugin known here")
    keys = {key_of(override) for override in typed}
    for path in TYPED_ONLY:
        value = OmegaConf.select(cfg, path, default=None)
        if value and not any(path == key or key.startswith(f"{path}.") for key in keys):
            errors.append(f"{path}={text(value)}: counts only when typed on the command line")
    errors += misplaced_paths(content)
    for name in content["job"].get("env_set", {}):
        if not str(name).startswith(ENVIRONMENT) and name not in ENVIRONMENT_NAMES:
            errors.append(
                f"hydra.job.env_set.{name}: may not be set from here; set it in the shell"
            )
    if errors:
        raise ConfigError("\n".join(errors))


def check_logging(cfg: "DictConfig") -> None:
    """Refuses a config, Hydra's own say, whose logging could call anything unknown.

    Raises:
        ConfigError: All that is refused, a line each.
    """
    if errors := list(unsafe_logging(cfg, resolved(cfg.hydra)[0])):
        raise ConfigError("\n".join(errors))


def unsafe_logging(cfg: "DictConfig", content: dict[str, Any]) -> Iterator[str]:
    """Refused entries of both sections of logging, which are taken out of the content."""
    from omegaconf import OmegaConf

    raw = OmegaConf.to_container(cfg.hydra, resolve=False)
    assert isinstance(raw, dict)
    for name in ("job_logging", "hydra_logging"):
        found = content.pop(name, None)
        yield from unsafe_logging_entries(f"hydra.{name}", found, raw.get(name))


def misplaced_paths(content: Mapping[str, Any]) -> Iterator[str]:
    """Places that Hydra would write to besides the run directory, which has all that it would."""
    subdir = content["sweep"]["subdir"]
    if subdir != ".":
        yield (
            f"hydra.sweep.subdir={text(subdir)}: leave it out; jobs lie in directories that are "
            "named by a hash of their overrides"
        )
    directory = content["run"]["dir"]
    # Lightning gives it to the other processes of a distributed run.
    if not isinstance(directory, str) or Path(directory).resolve() != Path.cwd():
        yield f"hydra.run.dir={text(directory)}: leave it out; root= and name= say where a run lies"
    if content["output_subdir"] is not None:
        yield (
            f"hydra.output_subdir={text(content['output_subdir'])}: leave it out; a run keeps its "
            "config in config.yaml"
        )
    name = content["job"].get("name")
    if isinstance(name, str) and not JOB_NAME.fullmatch(name):
        yield f"hydra.job.name={text(name)}: letters, digits and . _ - are allowed, no path"


def unsafe_logging_entries(path: str, value: Any, raw: Any) -> Iterator[str]:
    """Classes, factories, streams and files of a logging configuration that are not known ones."""
    if isinstance(value, Mapping):
        if isinstance(raw, Mapping) and LOG_FILE.items() <= raw.items() and "mode" not in raw:
            return
        for key, item in value.items():
            where = f"{path}.{key}"
            if key in ("class", "()", "_target_", "factory", "."):
                if not is_known(item, LOGGING):
                    yield f"{where}={text(item)}: not a logging class known here"
            elif key == "filename":
                yield f"{where}={text(item)}: a log file may not be put elsewhere"
            else:
                inner = raw[key] if isinstance(raw, dict) else None
                yield from unsafe_logging_entries(where, item, inner)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from unsafe_logging_entries(f"{path}.{i}", item, None)
    elif value is UNKNOWN or (isinstance(value, str) and "://" in value and value not in STREAMS):
        yield f"{path}={text(value)}: allowed are {', '.join(sorted(STREAMS))}"


def is_known(value: Any, names: frozenset[str]) -> bool:
    """True for one of the names; a value may be anything, a mapping too."""
    return isinstance(value, str) and value in names


def text(value: Any) -> str:
    """A value as an error shows it."""
    return "?" if value is UNKNOWN else shown(value)
