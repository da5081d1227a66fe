"""Hydra's composition, with every config checked before Hydra acts on it.

A typo, a bad value, a launcher that is not installed or an objective that will not be measured is
answered before a directory is made or a job starts, and a sweep's jobs are all checked before the
first of them.
"""

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.config.check import check
from genlab.config.folders import config_dir
from genlab.config.hydra_section import check_hydra
from genlab.config.overrides import key_of
from genlab.config.suggest import unknown_key
from genlab.errors import ConfigError
from genlab.sweeps.rules import check_engines, check_job, check_search

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["CheckedLoader", "prefer_own"]


def prefer_own() -> None:
    """Takes the plugins' configs out of Hydra's store where genlab has one of the same name.

    Hydra would hold ours against theirs, with a warning, or refuse to where theirs has defaults.
    It is called again before each composition, since a process that looks for plugins stores them.
    """
    from hydra.core.config_store import ConfigStore

    for file in (config_dir() / "hydra").rglob("*.yaml"):
        stored: Any = ConfigStore.instance().repo
        for group in file.parent.relative_to(config_dir()).parts:
            stored = stored.get(group, {})
        stored.pop(file.name, None)


class CheckedLoader:
    """Hydra's config loader, whose configs are checked before Hydra acts on them.

    Args:
        loader: Hydra's own.
        command: The command whose schema a job's config must fit.
        typed: The overrides of the command line.
        runs: Whether jobs will run; a config that is only shown may be incomplete.
        multirun: Whether the command line asks for a sweep.
    """

    def __init__(
        self, loader: Any, command: str, typed: tuple[str, ...], runs: bool, multirun: bool
    ):
        self.loader = loader
        self.command = command
        self.typed = typed
        self.runs = runs
        self.multirun = multirun
        self.ahead: tuple[list[str], DictConfig | Exception] | None = None
        self.jobs: dict[tuple[str, ...], DictConfig] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "jobs": {}}

    def __getattr__(self, name: str) -> Any:
        if name == "loader":  # not set yet: a copy is being unpickled
            raise AttributeError(name)
        return getattr(self.loader, name)

    def get_mode(self, config_name: str | None, overrides: list[str]) -> Any:
        """Whether the config asks for a sweep; Hydra 1.4 asks this way, and composes nothing."""
        parsed = self.loader.parse_overrides(config_name, overrides)
        return self.loader.get_mode(config_name, overrides, parsed)

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: Any,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> "DictConfig":
        """Composes, explains what cannot be composed, and checks the result."""
        from hydra.types import RunMode

        def compose(chosen: Sequence[str], mode: Any, validate: bool = True) -> "DictConfig":
            prefer_own()
            cfg: DictConfig = self.loader.load_configuration(
                config_name, list(chosen), mode, from_shell, validate
            )
            return cfg

        if not validate_sweep_overrides:
            return self.composed_for_mode(compose, overrides, run_mode)
        if run_mode == RunMode.RUN and self.ahead is not None and overrides == self.ahead[0]:
            if isinstance(self.ahead[1], Exception):
                raise self.ahead[1]
            cfg = self.ahead[1]
            cfg.hydra.mode = RunMode.RUN
            cfg.hydra.overrides.hydra.append("hydra.mode=RUN")
        else:
            cfg = self.composed(compose, overrides, run_mode)
        if self.runs and run_mode == RunMode.RUN:
            check(cfg, self.command)
        elif self.runs:
            check_engines(cfg)
            chosen = each_value(self.loader, cfg, overrides)
            self.check_jobs([self.composed(compose, words, RunMode.RUN) for words in chosen])
        return cfg

    def check_jobs(self, jobs: Sequence["DictConfig"]) -> None:
        """Checks jobs of a sweep, and whether what the sweep is to optimize can be measured."""
        for cfg in jobs:
            check(cfg, self.command)
            if self.command == "train":
                check_job(cfg)
                check_search(cfg)
        if self.command == "train" and any(cfg.get("objective") for cfg in jobs):
            from genlab.experiment.measured import check_objective

            check_objective(jobs)

    def composed_for_mode(self, compose: Any, overrides: list[str], mode: Any) -> "DictConfig":
        """Composes for Hydra's question whether the config asks for a sweep.

        Hydra then composes all over again. So this is composed as for a single run, which it most
        often is, and what came of it is kept.
        """
        from hydra.types import RunMode

        if self.multirun:
            raise ConfigError("asked and answered")  # Hydra goes by the flag
        try:
            cfg = self.composed(compose, overrides, RunMode.RUN)
        except Exception as error:
            if re.search("Ambiguous value|requires --multirun|You must specify", str(error)):
                cfg = compose(overrides, mode, False)  # right, if the config asks for a sweep
                check_hydra(cfg, self.typed)
                return cfg
            self.ahead = ([*overrides, "hydra.mode=RUN"], error)
            raise
        if cfg.hydra.mode is None:
            self.ahead = ([*overrides, "hydra.mode=RUN"], cfg)
        return cfg

    def load_sweep_config(
        self, master_config: "DictConfig", sweep_overrides: list[str]
    ) -> "DictConfig":
        """Composes and checks the config of one job of a sweep, once: Hydra asks several times."""
        words = tuple(sweep_overrides)
        if words not in self.jobs:
            prefer_own()
            cfg: DictConfig = self.loader.load_sweep_config(master_config, sweep_overrides)
            check_hydra(cfg, self.typed)
            check(cfg, self.command)
            if self.command == "train":
                check_job(cfg)
            self.jobs[words] = cfg
        return copy.deepcopy(self.jobs[words])

    def composed(self, compose: Any, overrides: Sequence[str], mode: Any) -> "DictConfig":
        """Composes; where keys are unknown, says for all of them what is known."""
        from hydra.types import RunMode

        unknown: list[str] = []
        while True:
            kept = [text for text in overrides if text not in unknown]
            try:
                cfg: DictConfig = compose(kept, mode)
                break
            except UnicodeDecodeError as error:
                raise ConfigError(undecodable(self.loader, error)) from None
            except Exception as error:
                match = re.search(r"Could not override '([^']+)'", str(error))
                culprit = [text for text in kept if match and key_of(text) == match[1]]
                if not culprit:
                    raise
                unknown += culprit
        check_hydra(cfg, self.typed)
        if unknown:
            lines = [unknown_key(text, cfg) for text in unknown]
            try:
                if self.runs and mode == RunMode.RUN:
                    check(cfg, self.command)
            except ConfigError as error:
                lines.append(str(error))
            raise ConfigError("\n".join(lines))
        return cfg


def undecodable(loader: Any, error: UnicodeDecodeError) -> str:
    """Which config is no text in UTF-8; Python's own error does not say."""
    for place in loader.get_sources():
        folder = Path(place.path)
        for file in sorted(folder.rglob("*.yaml")) if place.scheme() == "file" else ():
            content = file.read_bytes()
            try:
                content.decode()
            except UnicodeDecodeError as found:
                line = content[: found.start].count(b"\n") + 1
                return (
                    f"{file}:{line}: no text in UTF-8 (byte {content[found.start]:#x}); save it so"
                )
    return f"a config is no text in UTF-8: {error}"


def each_value(loader: Any, cfg: "DictConfig", overrides: Sequence[str]) -> list[list[str]]:
    """Jobs that together have each value of a sweep at least once, of a range or an interval its
    ends: far fewer than all of them.

    Hydra composes all jobs, too, but only after it has written into the sweep's directory.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    params = cfg.hydra.sweeper.get("params") or {}
    texts = [f"{key}={value}" for key, value in params.items()]
    parsed = OverridesParser.create(config_loader=loader).parse_overrides([*texts, *overrides])
    values: dict[str, list[str]] = {}
    for override in parsed:
        key = override.get_key_element()
        if not override.is_sweep_override():
            values[key] = [override.input_line or ""]
        elif override.is_discrete_sweep():
            try:
                values[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
            except ValueError as error:
                raise ConfigError(f"{override.input_line}: {error}") from None
            if not values[key]:
                raise ConfigError(f"{override.input_line}: the sweep is empty, it has no values")
            if override.is_range_sweep():  # what is right at both ends is right between them
                values[key] = list(dict.fromkeys([values[key][0], values[key][-1]]))
        elif override.is_interval_sweep():
            interval: Any = override.value()
            values[key] = [f"{key}={value}" for value in (interval.start, interval.end)]
    first = {key: choices[0] for key, choices in values.items()}
    jobs = [first]
    jobs += [{**first, key: value} for key, choices in values.items() for value in choices[1:]]
    return [list(job.values()) for job in jobs]
