"""Runs a command under Hydra: its config composed, checked before anything runs, and handed over.

Hydra keeps its flags (-m, --cfg, --info, --config-dir ...) and launchers. Between its composition
and everything that it does with the result stands `CheckedLoader`.
"""

import importlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from genlab.config.allowlist import PACKAGES, THIRD_PARTY
from genlab.config.check import check, trust_modules
from genlab.config.folders import config_dir
from genlab.config.hydra_section import LOGGING, PLUGINS, of_known_packages
from genlab.config.invocation import Invocation
from genlab.config.messages import explain, printable
from genlab.config.overrides import check_overrides, opened, value_of
from genlab.errors import ConfigError, GenlabError
from genlab.launch.composition import CheckedLoader
from genlab.sweeps.engine import Engine
from genlab.sweeps.supervise import Supervisor
from genlab.system.patching import replaced
from genlab.system.signals import unwinding

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["Job", "parse", "run"]


def run(
    command: str, argv: Sequence[str], original: Sequence[str], resume: Path | None = None
) -> None:
    """Runs a command under Hydra.

    Args:
        command: The command, which is also its primary config's name.
        argv: The words after it.
        original: The whole sys.argv: Lightning's launcher starts the other processes of a
            distributed run with it, so it is there again when the job runs.
        resume: The sweep that this command line made, to go on with.

    Raises:
        GenlabError: Something the user can mend.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise errors instead of printing them and leaving
    args = parse(argv)
    folders = [config_dir(), *([Path(args.config_dir)] if args.config_dir else [])]
    check_overrides(args.overrides, folders)
    args.overrides = opened(args.overrides)
    trust = tuple(value_of(args.overrides, "trust"))
    trust_modules(trust)

    import hydra
    from hydra._internal.core_plugins.importlib_resources_config_source import (
        ImportlibResourcesConfigSource as Packages,
    )
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
    flags = [word for word in args.flags if word not in ("--multirun", "-m")]
    engine = Engine(command, args.overrides, flags, resume, job.employ)
    try:
        with (
            replaced(Hydra, "create_main_hydra2", create_checked),
            replaced(Packages, "__init__", of_known_packages(Packages.__init__)),
            engine.installed(),
        ):
            main(job)()
    finally:
        sys.argv = list(original)
    if engine.sweep is not None and engine.wandb is not None:
        account = {key: engine.wandb.get(key) for key in ("project", "entity", "mode")}
        importlib.import_module("genlab.experiment.wandb_leaderboard").after_sweep(
            engine.sweep.path, **account
        )
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


class Job:
    """What Hydra calls with the config: picklable, so that launchers can send it elsewhere.

    Args:
        command: The command.
        argv: The original sys.argv.
        trust: The modules that a config may name.
        folder: The user's config folder, beside which the user's modules are looked for.
    """

    error: Exception | None = None
    supervisor: Supervisor | None = None

    def __init__(
        self, command: str, argv: tuple[str, ...], trust: tuple[str, ...], folder: str | None
    ):
        self.__module__ = f"genlab.commands.{command}"  # Hydra names the job after it
        self.command = command
        self.argv = argv
        self.trust = trust
        self.folder = str(Path(folder).resolve().parent) if folder else None

    def employ(self, supervisor: Supervisor) -> None:
        """Leaves the jobs of a sweep to a supervisor, which starts a process for each."""
        self.supervisor = supervisor

    def reach(self) -> None:
        """Puts the user's modules within reach, if there are any that the user trusts.

        They come last: a file of the user's must not stand in for an installed module.
        """
        if self.trust:
            for place in (os.getcwd(), self.folder):
                if place is not None and place not in sys.path:
                    sys.path.append(place)

    def __call__(self, cfg: "DictConfig") -> Any:
        """Runs the command; an error of a single run is kept for `run` to raise."""
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        if self.supervisor is not None:
            return self.supervisor(HydraConfig.get().overrides.task)
        sys.argv = list(self.argv)
        self.reach()
        trust_modules(self.trust)
        try:
            check(cfg, self.command)
            command = importlib.import_module(f"genlab.commands.{self.command}")
            with unwinding():
                result: float | None = command.run(cfg, invocation())
            return result
        except Exception as error:
            hydra_config = HydraConfig.get()
            if hydra_config.mode == RunMode.MULTIRUN:
                reason = explain(error) or GenlabError(f"{type(error).__name__}: {error}")
                print(printable(reason, f"job {hydra_config.job.num}"), file=sys.stderr)
                raise
            self.error = error  # Hydra would print the overrides, secrets and all
            return None


def invocation() -> Invocation:
    """What Hydra knows of the job that it runs."""
    from hydra.core.hydra_config import HydraConfig

    config = HydraConfig.get()
    choices = {
        str(group): None if name is None else str(name)
        for group, name in config.runtime.choices.items()
    }
    return Invocation(list(config.overrides.task), choices)
