"""Hydra's composition, with every config checked before Hydra acts on it.

A typo, a bad value, a launcher that is not installed or an objective that will not be measured is
answered before a directory is made or a job starts, and a sweep's jobs are all checked before the
first of them.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.config.check import check
from genlab.config.home import expand_config
from genlab.config.hydra_section import check_hydra, check_logging
from genlab.config.length import end_as_typed
from genlab.config.overrides import key_of
from genlab.config.schema import Train
from genlab.config.suggest import unknown_key
from genlab.errors import ConfigError
from genlab.experiment.pretrained import check_names
from genlab.launch.hydra_patches import parse_overrides, prefer_own_configs
from genlab.launch.messages import unknown_override
from genlab.launch.resumed import config_and_run
from genlab.sweeps.rules import check_job, check_plugins, check_search
from genlab.training.interval_keys import check_intervals

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["CheckedLoader"]

RUN = "hydra.mode=RUN"
"""The override that Hydra appends to those of a run."""


@dataclass(eq=False)
class CheckedLoader:
    """Hydra's config loader, whose configs are checked before Hydra acts on them.

    It is pickled with the jobs that a launcher runs elsewhere, and composes their configs there.

    Args:
        loader: Hydra's own.
        command: The command whose schema a job's config must fit.
        typed: The overrides of the command line.
        runs: True if jobs will run; a config that is only shown may be incomplete.
        on_sweep: Called with the config of a sweep once it and its jobs are checked.
        jobs: Configs of jobs that were composed, by their overrides.
        asked: The config that was composed to ask for ``hydra.mode``, by what it was composed of.
    """

    loader: Any
    command: str
    typed: tuple[str, ...]
    runs: bool
    on_sweep: Callable[["DictConfig"], None] | None = None
    jobs: dict[tuple[str, ...], "DictConfig"] = field(default_factory=dict)
    asked: dict[tuple[str, ...], "DictConfig"] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "jobs": {}, "asked": {}, "on_sweep": None}

    def __getattr__(self, name: str) -> Any:
        if name == "loader":  # not set yet: a copy is being unpickled
            raise AttributeError(name)
        return getattr(self.loader, name)

    def get_mode(self, config_name: str | None, overrides: list[str]) -> Any:
        """The config's ``hydra.mode``; Hydra 1.4 asks this way, and composes nothing."""
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

        if config_name is None:  # of --hydra-help: Hydra's own
            shown = self.compose(config_name, overrides, run_mode)
            check_logging(shown)
            return shown
        if not validate_sweep_overrides:  # Hydra 1.3 asks for hydra.mode, and uses nothing else
            return self.compose_to_ask(config_name, overrides, run_mode)
        if run_mode == RunMode.RUN or not self.runs:
            return self.compose_checked(config_name, overrides, run_mode, runs=self.runs)
        # A sweep: all that can be wrong with its jobs is found before it begins.
        cfg = self.compose_checked(config_name, overrides, run_mode, runs=False)
        check_plugins(cfg)
        jobs = [
            self.compose_checked(config_name, words, RunMode.RUN, runs=True, alone=False)
            for words in jobs_with_each_value(self.loader, cfg, overrides)
        ]
        if self.command == "train":
            for job in jobs:
                check_job(job)
                check_search(job)
            if any(job.get("objective") for job in jobs):
                from genlab.experiment.measured import check_objective

                check_objective(jobs)
        if self.on_sweep is not None:
            self.on_sweep(cfg)
        return cfg

    def load_sweep_config(
        self, master_config: "DictConfig", sweep_overrides: list[str]
    ) -> "DictConfig":
        """Composes and checks the config of one job of a sweep, once: Hydra asks several times."""
        words = tuple(sweep_overrides)
        if words not in self.jobs:
            prefer_own_configs()
            cfg: DictConfig = self.loader.load_sweep_config(master_config, sweep_overrides)
            expand_config(end_as_typed(cfg, cfg.hydra.overrides.task))
            check_hydra(cfg, self.typed)
            check(cfg, self.command)
            if self.command == "train":
                check_job(cfg)
            self.jobs[words] = cfg
        return copy.deepcopy(self.jobs[words])

    def compose(
        self, config_name: str | None, overrides: list[str], mode: Any, validate: bool = True
    ) -> "DictConfig":
        """Composes as Hydra does, but not again what was composed to ask for the mode."""
        if validate and (kept := self.composed_to_ask(config_name, overrides)) is not None:
            return kept
        prefer_own_configs()
        cfg: DictConfig = self.loader.load_configuration(
            config_name, list(overrides), mode, True, validate
        )
        return expand_config(end_as_typed(cfg, overrides))

    def compose_to_ask(
        self, config_name: str | None, overrides: list[str], mode: Any
    ) -> "DictConfig":
        """Composes the config whose ``hydra.mode`` Hydra asks for, and keeps it for the run.

        A run's config is the same, unless a choice that its defaults demand is missing: then Hydra
        composes without it, since a sweep may be about to choose.
        """
        from hydra.errors import MissingConfigException
        from hydra.types import RunMode

        try:
            cfg = self.compose(config_name, overrides, RunMode.RUN, validate=False)
        except MissingConfigException:
            return self.compose(config_name, overrides, mode, validate=False)
        self.asked[config_name or "", *overrides] = cfg
        return cfg

    def composed_to_ask(self, config_name: str | None, overrides: list[str]) -> "DictConfig | None":
        """The config that `compose_to_ask` kept, if it is that of a run; it is given once.

        Hydra has appended ``hydra.mode=RUN`` where the config left that open.
        """
        from hydra.types import RunMode

        if overrides[-1:] != [RUN]:
            return None
        if (cfg := self.asked.pop((config_name or "", *overrides[:-1]), None)) is None:
            return None
        parsed = parse_overrides(overrides, self.loader)
        self.loader.validate_sweep_overrides_legal(parsed, RunMode.RUN, True)
        cfg.hydra.mode = RunMode.RUN
        cfg.hydra.overrides.hydra.append(RUN)
        return cfg

    def compose_checked(
        self,
        config_name: str | None,
        overrides: list[str],
        mode: Any,
        runs: bool,
        alone: bool = True,
    ) -> "DictConfig":
        """Composes, and refuses all that is wrong at once, unknown keys included.

        Args:
            config_name: The primary config.
            overrides: The overrides.
            mode: Hydra's mode, of a run or of a sweep.
            runs: True for the config of a job, false for one that is only shown.
            alone: Whether it may resume a run, which no job of a sweep does.
        """
        # Compose, without the keys that are unknown
        unknown: list[str] = []
        while True:
            kept = [text for text in overrides if text not in unknown]
            try:
                cfg = self.compose(config_name, kept, mode)
                break
            except UnicodeDecodeError as error:
                raise ConfigError(undecodable_file(self.loader, error)) from None
            except Exception as error:
                culprits = [text for text in kept if key_of(text) == unknown_override(error)]
                if not culprits:
                    raise
                unknown += culprits
        # All that is wrong with what was composed
        check_hydra(cfg, self.typed)
        errors = [unknown_key(text, cfg) for text in unknown]
        try:
            if runs:
                resumes = self.command == "train" and cfg.run and alone
                own = config_and_run(cfg, kept)[0] if resumes else cfg
                record = check(own, self.command)
                if isinstance(record, Train):
                    check_intervals(record.intervals, record.trainer.max_time)
                    if not resumes:
                        check_names(cfg)
        except ConfigError as error:
            errors.append(str(error))
        if errors:
            raise ConfigError("\n".join(errors))
        return cfg


def undecodable_file(loader: Any, error: UnicodeDecodeError) -> str:
    """The config that is no text in UTF-8, with the line; Python's own error does not say."""
    folders = [Path(source.path) for source in loader.get_sources() if source.scheme() == "file"]
    for file in sorted(file for folder in folders for file in folder.rglob("*.yaml")):
        content = file.read_bytes()
        try:
            content.decode()
        except UnicodeDecodeError as found:
            line, byte = content.count(b"\n", 0, found.start) + 1, content[found.start]
            return f"{file}:{line}: no text in UTF-8 (byte {byte:#x}); save it so"
    return f"a config is no text in UTF-8: {error}"


def jobs_with_each_value(
    loader: Any, cfg: "DictConfig", overrides: Sequence[str]
) -> list[list[str]]:
    """Overrides of the fewest jobs that have each value of a sweep, or a range's two ends.

    Hydra composes all jobs, too, but only after it has written into the sweep's directory.

    Raises:
        ConfigError: A sweep over no values, or one that cannot be listed.
    """
    params = cfg.hydra.sweeper.get("params") or {}
    values: dict[str, list[str]] = {}
    for override in parse_overrides([*(f"{k}={v}" for k, v in params.items()), *overrides], loader):
        key, text = override.get_key_element(), override.input_line
        values[key] = [text]
        if override.is_interval_sweep():
            ends = override.value()
            values[key] = [f"{key}={value}" for value in (ends.start, ends.end)]
        elif override.is_sweep_override():
            try:
                values[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
            except ValueError as error:
                raise ConfigError(f"{text}: {error}") from None
            if not values[key]:
                raise ConfigError(f"{text}: the sweep is empty, it has no values")
            if override.is_range_sweep():  # what is right at both ends is right between them
                values[key] = list(dict.fromkeys([values[key][0], values[key][-1]]))
    first = {key: choices[0] for key, choices in values.items()}
    jobs = [first]
    jobs += [{**first, key: value} for key, choices in values.items() for value in choices[1:]]
    return [list(job.values()) for job in jobs]
