"""Hydra's composition, with every config checked before Hydra acts on it.

A typo, a bad value, a launcher that is not installed or an objective that will not be measured is
answered before a directory is made or a job starts, and a sweep's jobs are all checked before the
first of them.
"""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.config.check import check
from genlab.config.hydra_section import check_hydra
from genlab.config.overrides import key_of
from genlab.config.suggest import unknown_key
from genlab.errors import ConfigError
from genlab.launch.hydra_patches import parse_overrides, prefer_own_configs
from genlab.launch.messages import unknown_override
from genlab.sweeps.rules import check_job, check_plugins, check_search

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["CheckedLoader"]


class CheckedLoader:
    """Hydra's config loader, whose configs are checked before Hydra acts on them.

    It is pickled with the jobs that a launcher runs elsewhere, and composes their configs there.

    Args:
        loader: Hydra's own.
        command: The command whose schema a job's config must fit.
        typed: The overrides of the command line.
        runs: True if jobs will run; a config that is only shown may be incomplete.
        on_sweep: Called with the config of a sweep once it and its jobs are checked.
    """

    def __init__(
        self,
        loader: Any,
        command: str,
        typed: Sequence[str],
        runs: bool,
        on_sweep: Callable[["DictConfig"], None] | None = None,
    ):
        self.loader = loader
        self.command = command
        self.typed = tuple(typed)
        self.runs = runs
        self.on_sweep = on_sweep
        self.jobs: dict[tuple[str, ...], DictConfig] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "jobs": {}, "on_sweep": None}

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

        def compose(words: Sequence[str], mode: Any) -> "DictConfig":
            prefer_own_configs()
            cfg: DictConfig = self.loader.load_configuration(
                config_name, list(words), mode, from_shell, validate_sweep_overrides
            )
            return cfg

        if not validate_sweep_overrides:  # Hydra 1.3 asks for hydra.mode, and uses nothing else
            return compose(overrides, run_mode)
        cfg = self.composed(compose, overrides, run_mode)
        if self.runs and run_mode == RunMode.RUN:
            check(cfg, self.command)
        elif self.runs:
            check_plugins(cfg)
            chosen = jobs_with_each_value(self.loader, cfg, overrides)
            self.check_jobs([self.composed(compose, words, RunMode.RUN) for words in chosen])
            if self.on_sweep is not None:
                self.on_sweep(cfg)
        return cfg

    def check_jobs(self, jobs: Sequence["DictConfig"]) -> None:
        """Checks jobs of a sweep, and that what the sweep is to optimize will be measured."""
        for cfg in jobs:
            check(cfg, self.command)
            if self.command == "train":
                check_job(cfg)
                check_search(cfg)
        if self.command == "train" and any(cfg.get("objective") for cfg in jobs):
            from genlab.experiment.measured import check_objective

            check_objective(jobs)

    def load_sweep_config(
        self, master_config: "DictConfig", sweep_overrides: list[str]
    ) -> "DictConfig":
        """Composes and checks the config of one job of a sweep, once: Hydra asks several times."""
        words = tuple(sweep_overrides)
        if words not in self.jobs:
            prefer_own_configs()
            cfg: DictConfig = self.loader.load_sweep_config(master_config, sweep_overrides)
            check_hydra(cfg, self.typed)
            check(cfg, self.command)
            if self.command == "train":
                check_job(cfg)
            self.jobs[words] = cfg
        return copy.deepcopy(self.jobs[words])

    def composed(
        self,
        compose: Callable[[Sequence[str], Any], "DictConfig"],
        overrides: Sequence[str],
        mode: Any,
    ) -> "DictConfig":
        """Composes and checks Hydra's section; names all unknown keys at once.

        Raises:
            ConfigError: Something is refused, a file is no text, or keys are unknown.
        """
        from hydra.types import RunMode

        unknown: list[str] = []
        while True:
            kept = [text for text in overrides if text not in unknown]
            try:
                cfg = compose(kept, mode)
                break
            except UnicodeDecodeError as error:
                raise ConfigError(undecodable_file(self.loader, error)) from None
            except Exception as error:
                culprits = [text for text in kept if key_of(text) == unknown_override(error)]
                if not culprits:
                    raise
                unknown += culprits
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


def undecodable_file(loader: Any, error: UnicodeDecodeError) -> str:
    """The config that is no text in UTF-8, with the line; Python's own error does not say."""
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
            interval = override.value()
            values[key] = [f"{key}={value}" for value in (interval.start, interval.end)]
    first = {key: choices[0] for key, choices in values.items()}
    jobs = [first]
    jobs += [{**first, key: value} for key, choices in values.items() for value in choices[1:]]
    return [list(job.values()) for job in jobs]
