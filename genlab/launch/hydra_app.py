"""Runs a command under Hydra: its config composed, checked before anything runs, and handed over.

Hydra keeps its flags (-m, --cfg, --info, --config-dir ...) and launchers. Between its composition
and everything that it does with the result stands `CheckedLoader`.
"""

import importlib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from genlab.config.allowlist import PACKAGES, THIRD_PARTY
from genlab.config.check import check, trust_modules
from genlab.config.folders import config_dir
from genlab.config.hydra_section import LOGGING, PLUGINS
from genlab.config.invocation import Invocation
from genlab.config.overrides import check_overrides, opened, value_of
from genlab.errors import ConfigError, GenlabError
from genlab.launch.composition import CheckedLoader
from genlab.launch.hydra_patches import (
    limited_packages,
    no_multirun_file,
    parse_arguments,
    wrapped_config_loader,
)
from genlab.launch.messages import explain, printable
from genlab.launch.multirun import Multirun
from genlab.launch.shown_sweep import first_job
from genlab.sweeps.supervise import Supervisor
from genlab.system.signals import unwinding

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["CommandTask", "run"]


def run(
    command: str, argv: Sequence[str], original: Sequence[str], resume: Path | None = None
) -> None:
    """Runs a command under Hydra.

    Args:
        command: The command, which is also its primary config's name.
        argv: The words after it.
        original: The whole sys.argv: Lightning's launcher starts the other processes of a
            distributed run with it, so it is there again when the job runs.
        resume: The sweep that this command line made, to resume.

    Raises:
        GenlabError: Something the user can mend.
    """
    # The words, checked before Hydra is imported
    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise errors instead of printing them and leaving
    args = parse_arguments(argv)
    folders = [config_dir(), *([Path(args.config_dir)] if args.config_dir else [])]
    check_overrides(args.overrides, folders)
    args = settled(args, opened(args.overrides, command))
    trust = tuple(value_of(args.overrides, "trust"))
    trust_modules(trust)

    import hydra

    # What Hydra is to run, and how it composes
    places = [Path.cwd(), *(folder.resolve().parent for folder in folders[1:])]
    task = CommandTask(command, tuple(original), trust, tuple(map(str, places)))
    flags = [word for word in args.flags if word not in ("--multirun", "-m")]
    multirun = Multirun(command, args.overrides, flags, resume, task.attach)
    runs = not (args.cfg or args.info or args.shell_completion or args.hydra_help)

    def checked(loader: Any) -> CheckedLoader:
        task.extend_path()  # after Hydra has looked for plugins, which it imports
        on_sweep = multirun.begin if command == "train" else None
        return CheckedLoader(loader, command, tuple(args.overrides), runs, on_sweep)

    # Run it
    main = hydra.main(config_path=str(config_dir()), config_name=command, **versioned(trust))
    sys.argv = [original[0], *args.flags, *args.overrides]
    try:
        with (
            wrapped_config_loader(checked),
            limited_packages(),
            no_multirun_file(),
            multirun.supervised(),
        ):
            main(task)()
    finally:
        sys.argv = list(original)  # secrets that were typed are redacted of what is printed next
    # What comes after a sweep
    if multirun.sweep is not None and multirun.wandb is not None:
        from genlab.experiment.wandb_leaderboard import after_sweep

        get: Any = multirun.wandb.get
        after_sweep(multirun.sweep.path, get("project"), get("entity"), get("mode"))
    if task.error is not None:
        raise task.error


def settled(args: SimpleNamespace, overrides: list[str]) -> SimpleNamespace:
    """The arguments with these overrides, settled where flags do not go together.

    Hydra answers some of this with a ValueError, and silently runs the command in other cases. A
    sweep that is only to be shown is shown by its first job.

    Raises:
        ConfigError: Flags that do not go together.
    """
    # Flags that exclude each other
    shown = [name for name in ("cfg", "info", "shell_completion", "hydra_help") if vars(args)[name]]
    asked = [*shown, *(["run"] if args.run else [])]
    if args.run and args.multirun:
        asked.append("multirun")
    if len(asked) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in asked)
        raise ConfigError(f"{names}: one at a time")
    if args.shell_completion and not any(word.startswith("query=") for word in overrides):
        raise ConfigError("--shell-completion: genlab completion prints what a shell needs")
    # Flags that a command has no use for
    for name in ("config_name", "config_path"):
        if vars(args)[name] is not None:
            raise ConfigError(
                f"--{name.replace('_', '-')} {vars(args)[name]}: every command has its config; "
                "--config-dir=DIR adds a folder of configs"
            )
    for name in ("package", "resolve"):
        if vars(args)[name] and not args.cfg:
            raise ConfigError(f"--{name}: says how a config is shown, and goes with --cfg job")
    # A sweep that is only shown
    if not (args.multirun and shown):
        return SimpleNamespace(**{**vars(args), "overrides": overrides})
    first, line = first_job(overrides)
    if args.cfg:
        print(line)
    flags = [word for word in args.flags if word not in ("--multirun", "-m")]
    changed = {"overrides": first, "multirun": False, "flags": flags}
    return SimpleNamespace(**{**vars(args), **changed})


def versioned(trust: Sequence[str]) -> dict[str, Any]:
    """The arguments of `hydra.main` by its version: 1.4 has an allow-list of its own."""
    import hydra

    version = tuple(int(part) for part in re.findall(r"\d+", hydra.__version__)[:2])
    if version < (1, 4):
        return {"version_base": "1.3"}
    packages = [f"{name}.*" for name in (*(f"genlab.{part}" for part in PACKAGES), *trust)]
    return {"execution_whitelist": [*packages, *sorted(THIRD_PARTY | PLUGINS | LOGGING)]}


@dataclass(eq=False)
class CommandTask:
    """The function that Hydra calls with the config: picklable, so that launchers can send it.

    Args:
        command: The command.
        argv: The original sys.argv.
        trust: The modules that a config may name.
        folders: Where the user's modules are looked for.
        supervisor: Runs the jobs of a sweep, in a process each.
        error: What a single run raised.
    """

    command: str
    argv: tuple[str, ...]
    trust: tuple[str, ...]
    folders: tuple[str, ...]
    supervisor: Supervisor | None = None
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.__module__ = f"genlab.commands.{self.command}"  # Hydra names the job after it

    def attach(self, supervisor: Supervisor) -> None:
        """Leaves the jobs of a sweep to a supervisor, which starts a process for each."""
        self.supervisor = supervisor

    def extend_path(self) -> None:
        """Makes the user's modules importable, if there are any that the user trusts.

        They come last: a file of the user's must not stand in for an installed module.
        """
        if self.trust:
            sys.path += [folder for folder in self.folders if folder not in sys.path]

    def __call__(self, cfg: "DictConfig") -> Any:
        """Runs the command; an error of a single run is kept for `run` to raise."""
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        if self.supervisor is not None:
            return self.supervisor(HydraConfig.get().overrides.task)
        sys.argv = list(self.argv)
        self.extend_path()
        trust_modules(self.trust)
        try:
            if not (self.command == "train" and cfg.run):  # its own config, which it checks itself
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
    """Invocation of the job that Hydra runs."""
    from hydra.core.hydra_config import HydraConfig

    config = HydraConfig.get()
    choices = {
        str(group): None if name is None else str(name)
        for group, name in config.runtime.choices.items()
    }
    return Invocation(list(config.overrides.task), choices)
