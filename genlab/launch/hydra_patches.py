"""Patches of Hydra and its private parts: all of them, and nowhere else.

Checked with hydra-core 1.3.8 and 1.4.0rc3. tests/launch/test_hydra_patches.py fails where Hydra no
longer has what is used here. Hydra's public ways were tried first; each function says why they do
not do.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from genlab.config.folders import config_dir
from genlab.errors import ConfigError
from genlab.system.patching import replaced

__all__ = [
    "limited_packages",
    "no_multirun_file",
    "parse_arguments",
    "parse_overrides",
    "prefer_own_configs",
    "wrapped_config_loader",
    "wrapped_launcher",
]

PACKAGES = ("genlab", "hydra", "hydra_plugins")
"""Packages that configs may come from: to look into one is to import it."""


@contextmanager
def wrapped_config_loader(wrap: Callable[[Any], Any]) -> Iterator[None]:
    """Inside, Hydra composes with ``wrap(its config loader)``.

    A config must be checked after it is composed and before Hydra sets up logging, callbacks and
    plugins by it. Hydra 1.4 accepts other config loaders, but `hydra.main` of no version takes one.
    Errors of ``hydra.callbacks`` become warnings. The Compose API would compose every config a
    second time (0.07 s), and would miss those that a launcher composes in another process.
    """
    from hydra._internal.hydra import Hydra

    create = Hydra.create_main_hydra2

    def create_wrapped(*positional: Any, **named: Any) -> Any:
        hydra = create(*positional, **named)
        hydra.config_loader = wrap(hydra.config_loader)
        return hydra

    with replaced(Hydra, "create_main_hydra2", create_wrapped):
        yield


@contextmanager
def limited_packages() -> Iterator[None]:
    """Inside, configs are looked for in `PACKAGES` only.

    ``hydra.searchpath=[pkg://mine]`` imports ``mine`` before anything of the config can be checked.
    A ConfigSource plugin could refuse it, but Hydra takes no second one for ``pkg://``.
    """
    from hydra._internal.core_plugins.importlib_resources_config_source import (
        ImportlibResourcesConfigSource,
    )

    create = ImportlibResourcesConfigSource.__init__

    def create_checked(self: Any, provider: str, path: str) -> None:
        package = path.removeprefix("pkg://").replace("/", ".").partition(".")[0]
        if package not in PACKAGES:
            raise ConfigError(
                f"hydra.searchpath=[{path}]: configs are not looked for in packages; give their "
                "folder with --config-dir"
            )
        create(self, provider=provider, path=path)

    with replaced(ImportlibResourcesConfigSource, "__init__", create_checked):
        yield


@contextmanager
def wrapped_launcher(wrap: Callable[[Any, Any, Any], Any]) -> Iterator[None]:
    """Inside, a sweeper launches its jobs with ``wrap(launcher, config loader, config)``.

    A launcher plugin of our own around another one needs the top-level package ``hydra_plugins`` in
    Hydra 1.3 and an entry point in 1.4, and would change what users set under ``hydra.launcher``.
    """
    from hydra.core.plugins import Plugins

    create = Plugins.instantiate_launcher

    def create_wrapped(plugins: Any, hydra_context: Any, task_function: Any, config: Any) -> Any:
        launcher = create(plugins, hydra_context, task_function, config)
        return wrap(launcher, hydra_context.config_loader, config)

    with replaced(Plugins, "instantiate_launcher", create_wrapped):
        yield


@contextmanager
def no_multirun_file() -> Iterator[None]:
    """Inside, Hydra's sweepers write no multirun.yaml.

    It holds all that was typed, secrets included, and no setting turns it off.
    """
    from omegaconf import OmegaConf

    save = OmegaConf.save

    def save_others(config: Any, f: Any, resolve: bool = False) -> None:
        if Path(str(f)).name != "multirun.yaml":
            save(config, f, resolve)

    with replaced(OmegaConf, "save", staticmethod(save_others)):
        yield


def prefer_own_configs() -> None:
    """Takes the plugins' configs out of Hydra's store where genlab has one of the same name.

    Hydra would hold ours against theirs, with a warning, or refuse to where theirs has defaults.
    Call it before each composition: a process that looks for plugins stores them again.
    """
    from hydra.core.config_store import ConfigStore

    for file in (config_dir() / "hydra").rglob("*.yaml"):
        stored: Any = ConfigStore.instance().repo
        for group in file.parent.relative_to(config_dir()).parts:
            stored = stored.get(group, {})
        stored.pop(file.name, None)


def parse_arguments(argv: Sequence[str]) -> SimpleNamespace:
    """Hydra's arguments from a command line whose flags may stand anywhere.

    Hydra 1.3 itself wants the flags first, and prints its usage where it cannot parse.

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
    if args.config_dir:
        args.config_dir = os.path.expanduser(args.config_dir)
    if args.experimental_rerun:
        raise ConfigError("--experimental-rerun: not supported, a pickle can run anything")
    flags = []
    for action in parser._actions:
        value = getattr(args, action.dest, None)
        if action.option_strings and value not in (None, False):
            flags += [action.option_strings[0], *([] if value is True else [str(value)])]
    return SimpleNamespace(**{**vars(args), "flags": flags})


def parse_overrides(words: Sequence[str], loader: Any = None) -> list[Any]:
    """Overrides as Hydra's grammar reads them.

    Args:
        words: The overrides.
        loader: The config loader, which ``glob(*)`` asks for the configs of a group.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed: list[Any] = OverridesParser.create(config_loader=loader).parse_overrides(list(words))
    return parsed
