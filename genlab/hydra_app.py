"""Runs a command under Hydra: its config composed, checked before anything runs, and handed over.

Hydra keeps its flags (-m, --cfg, --info, --config-dir ...) and launchers. Between its composition
and everything that it does with the result stands `CheckedLoader`.
"""

import importlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from genlab.allow import PACKAGES, THIRD_PARTY
from genlab.config import check, config_dir, trust_modules
from genlab.errors import ConfigError, GenlabError
from genlab.guard import LOGGING, PLUGINS, check_hydra
from genlab.messages import explain, printable
from genlab.overrides import check_overrides, key_of, value_of
from genlab.suggest import unknown_key

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["CheckedLoader", "Job", "parse", "run"]


def run(command: str, argv: Sequence[str], original: Sequence[str]) -> None:
    """Runs a command under Hydra.

    Args:
        command: The command, which is also its primary config's name.
        argv: The words after it.
        original: The whole sys.argv: Lightning's launcher starts the other processes of a
            distributed run with it, so it is there again when the job runs.

    Raises:
        GenlabError: Something the user can mend.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise errors instead of printing them and leaving
    args = parse(argv)
    folders = [config_dir(), *([Path(args.config_dir)] if args.config_dir else [])]
    check_overrides(args.overrides, folders)
    trust = tuple(value_of(args.overrides, "trust"))
    trust_modules(trust)

    import hydra
    from hydra._internal.hydra import Hydra

    job = Job(command, tuple(original), trust, args.config_dir)
    create = Hydra.create_main_hydra2

    def create_checked(*positional: Any, **named: Any) -> Hydra:
        made = create(*positional, **named)
        job.reach()  # after Hydra has looked for plugins, which it imports
        runs = not (args.cfg or args.info or args.shell_completion or args.hydra_help)
        checked: Any = CheckedLoader(
            made.config_loader, command, tuple(args.overrides), runs, args.multirun
        )
        made.config_loader = checked
        return made

    main = hydra.main(config_path=str(config_dir()), config_name=command, **versioned(trust))
    sys.argv = [original[0], *args.flags, *args.overrides]
    try:
        with replaced(Hydra, "create_main_hydra2", create_checked):
            main(job)()
    finally:
        sys.argv = list(original)
    if job.error is not None:
        raise job.error


def versioned(trust: Sequence[str]) -> dict[str, Any]:
    """What `hydra.main` is to be told, by its version: 1.4 has an allow-list of its own."""
    import hydra

    version = tuple(int(part) for part in re.findall(r"\d+", hydra.__version__)[:2])
    if version < (1, 4):
        return {"version_base": "1.3"}
    packages = [f"{name}.*" for name in (*(f"genlab.{part}" for part in PACKAGES), *trust)]
    return {"execution_whitelist": [*packages, *sorted(THIRD_PARTY | PLUGINS | LOGGING)]}


def parse(argv: Sequence[str]) -> SimpleNamespace:
    """Hydra's own parser on a command line whose flags may stand anywhere.

    Returns:
        Hydra's arguments, and as ``flags`` the words that are no overrides.

    Raises:
        ConfigError: A flag is unknown, or has no value.
    """
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()

    def refuse(message: str) -> None:
        raise ConfigError(f"{message}; the flags are shown by --help")

    with replaced(parser, "error", refuse):
        args = parser.parse_intermixed_args(list(argv))
    if args.experimental_rerun:
        raise ConfigError("--experimental-rerun: not supported, a pickle can run anything")
    flags = []
    for action in parser._actions:
        value = getattr(args, action.dest, None)
        if action.option_strings and value not in (None, False):
            flags += [action.option_strings[0], *([] if value is True else [str(value)])]
    return SimpleNamespace(**{**vars(args), "flags": flags})


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute replaced for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


class Job:
    """What Hydra calls with the config: picklable, so that launchers can send it elsewhere.

    Args:
        command: The command.
        argv: The original sys.argv.
        trust: The modules that a config may name.
        folder: The user's config folder, beside which the user's modules are looked for.
    """

    error: Exception | None = None

    def __init__(
        self, command: str, argv: tuple[str, ...], trust: tuple[str, ...], folder: str | None
    ):
        self.__module__ = f"genlab.commands.{command}"  # Hydra names the job after it
        self.command = command
        self.argv = argv
        self.trust = trust
        self.folder = str(Path(folder).resolve().parent) if folder else None

    def reach(self) -> None:
        """Puts the user's modules within reach, if there are any that the user trusts.

        They come last: a file of the user's must not stand in for an installed module.
        """
        if self.trust:
            for place in (os.getcwd(), self.folder):
                if place is not None and place not in sys.path:
                    sys.path.append(place)

    def __call__(self, cfg: "DictConfig") -> float | None:
        """Runs the command; an error of a single run is kept for `run` to raise."""
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        sys.argv = list(self.argv)
        self.reach()
        trust_modules(self.trust)
        try:
            check(cfg, self.command)
            command = importlib.import_module(f"genlab.commands.{self.command}")
            result: float | None = command.run(cfg)
            return result
        except Exception as error:
            hydra_config = HydraConfig.get()
            if hydra_config.mode == RunMode.MULTIRUN:
                reason = explain(error) or GenlabError(f"{type(error).__name__}: {error}")
                print(printable(reason, f"job {hydra_config.job.num}"), file=sys.stderr)
                raise
            self.error = error  # Hydra would print the overrides, secrets and all
            return None


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
            for chosen in each_value(self.loader, cfg, overrides):
                check(self.composed(compose, chosen, RunMode.RUN), self.command)
        return cfg

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
        """Composes and checks the config of one job of a sweep."""
        cfg: DictConfig = self.loader.load_sweep_config(master_config, sweep_overrides)
        check_hydra(cfg, self.typed)
        check(cfg, self.command)
        return cfg

    def composed(self, compose: Any, overrides: Sequence[str], mode: Any) -> "DictConfig":
        """Composes; where keys are unknown, says for all of them what is known."""
        from hydra.types import RunMode

        unknown: list[str] = []
        while True:
            kept = [text for text in overrides if text not in unknown]
            try:
                cfg: DictConfig = compose(kept, mode)
                break
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


def each_value(loader: Any, cfg: "DictConfig", overrides: Sequence[str]) -> list[list[str]]:
    """Jobs that together have each value of a sweep at least once: far fewer than all of them.

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
            values[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
    first = {key: choices[0] for key, choices in values.items()}
    jobs = [first]
    jobs += [{**first, key: value} for key, choices in values.items() for value in choices[1:]]
    return [list(job.values()) for job in jobs]
