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
from typing import TYPE_CHECKING, Any

from genlab.config.allowlist import PACKAGES, THIRD_PARTY
from genlab.config.check import check, trust_modules
from genlab.config.folders import config_dir
from genlab.config.hydra_section import CONFIG_PACKAGES, LOGGING, PLUGINS
from genlab.config.invocation import Invocation
from genlab.config.overrides import check_overrides, opened, value_of
from genlab.errors import GenlabError
from genlab.launch.composition import CheckedLoader
from genlab.launch.hydra_patches import (
    limited_packages,
    no_multirun_file,
    parse_arguments,
    wrapped_config_loader,
)
from genlab.launch.messages import explain, printable
from genlab.launch.multirun import Multirun
from genlab.sweeps.supervise import Supervisor
from genlab.system.patching import replaced
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
    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise errors instead of printing them and leaving
    args = parse_arguments(argv)
    folders = [config_dir(), *([Path(args.config_dir)] if args.config_dir else [])]
    check_overrides(args.overrides, folders)
    args.overrides = opened(args.overrides)
    trust = tuple(value_of(args.overrides, "trust"))
    trust_modules(trust)

    import hydra

    task = CommandTask(command, tuple(original), trust, args.config_dir)
    flags = [word for word in args.flags if word not in ("--multirun", "-m")]
    multirun = Multirun(command, args.overrides, flags, resume, task.attach)
    runs = not (args.cfg or args.info or args.shell_completion or args.hydra_help)

    def checked(loader: Any) -> CheckedLoader:
        task.extend_path()  # after Hydra has looked for plugins, which it imports
        on_sweep = multirun.begin if command == "train" else None
        return CheckedLoader(loader, command, args.overrides, runs, on_sweep)

    main = hydra.main(config_path=str(config_dir()), config_name=command, **versioned(trust))
    with (
        replaced(sys, "argv", [original[0], *args.flags, *args.overrides]),
        wrapped_config_loader(checked),
        limited_packages(CONFIG_PACKAGES),
        no_multirun_file(),
        multirun.supervised(),
    ):
        main(task)()
    if multirun.sweep is not None and multirun.wandb is not None:
        account = {key: multirun.wandb.get(key) for key in ("project", "entity", "mode")}
        leaderboard = importlib.import_module("genlab.experiment.wandb_leaderboard")
        leaderboard.after_sweep(multirun.sweep.path, **account)
    if task.error is not None:
        raise task.error


def versioned(trust: Sequence[str]) -> dict[str, Any]:
    """The arguments of `hydra.main` by its version: 1.4 has an allow-list of its own."""
    import hydra

    version = tuple(int(part) for part in re.findall(r"\d+", hydra.__version__)[:2])
    if version < (1, 4):
        return {"version_base": "1.3"}
    packages = [f"{name}.*" for name in (*(f"genlab.{part}" for part in PACKAGES), *trust)]
    return {"execution_whitelist": [*packages, *sorted(THIRD_PARTY | PLUGINS | LOGGING)]}


class CommandTask:
    """The function that Hydra calls with the config: picklable, so that launchers can send it.

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

    def attach(self, supervisor: Supervisor) -> None:
        """Leaves the jobs of a sweep to a supervisor, which starts a process for each."""
        self.supervisor = supervisor

    def extend_path(self) -> None:
        """Makes the user's modules importable, if there are any that the user trusts.

        They come last: a file of the user's must not stand in for an installed module.
        """
        if self.trust:
            for folder in (os.getcwd(), self.folder):
                if folder is not None and folder not in sys.path:
                    sys.path.append(folder)

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
