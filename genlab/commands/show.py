"""genlab show: prints a config, or copies it to where it can be changed."""

import re
from collections.abc import Sequence
from pathlib import Path

from genlab.commands.list import config_folders
from genlab.commands.parser import Parser, add_config_dir
from genlab.config.overrides import groups, options
from genlab.errors import ConfigError, nearest

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """Prints or copies a config.

    Raises:
        ConfigError: There is no such config, or a copy would overwrite a file.
    """
    parser = Parser(prog="genlab show", description="Print a config, or copy it to change it.")
    parser.add_argument("config", help="GROUP/NAME as in model/vae, or a command's own: train")
    parser.add_argument("--eject", metavar="DIR", help="copy it into this folder of your own")
    parser.add_argument("--as", dest="name", metavar="NAME", help="under this name")
    parser.add_argument("--force", action="store_true", help="overwrite a file that is there")
    add_config_dir(parser)
    args = parser.parse_args(argv)
    folders = config_folders(args.config_dir)
    source, config = find(args.config, folders)
    if args.eject is None:
        print(source.read_text(encoding="utf-8"), end="")
        return 0
    return eject(source, config, Path(args.eject), args.name, args.force)


def find(word: str, folders: Sequence[Path]) -> tuple[Path, str]:
    """The file that is meant by ``model/vae``, ``model=vae`` or ``vae``, and its ``group/name``.

    Raises:
        ConfigError: There is none, or more than one.
    """
    plain = word.replace("=", "/").removesuffix(".yaml").strip("/")
    known = {f"{g}/{name}" for g in groups(folders) for name in options(folders, g)}
    known |= {file.stem for folder in folders for file in folder.glob("*.yaml")}
    group, _, name = plain.rpartition("/")
    meant = [plain, f"{group.removesuffix('s')}/{name}"]
    meant += sorted(path for path in known if path.endswith(f"/{plain}"))
    hits = list(dict.fromkeys(path for path in meant if path in known))
    if not hits:
        words = {path.rpartition("/")[2] for path in known} if "/" not in plain else known
        raise ConfigError(f"{word}: no such config{nearest(plain, words) or '; see genlab list'}")
    if hits[0] != plain and len(hits) > 1:
        raise ConfigError(f"{word}: which one? {', '.join(hits)}")
    files = [folder / f"{hits[0]}.yaml" for folder in reversed(folders)]
    return next(file for file in files if file.is_file()), hits[0]


def eject(source: Path, config: str, folder: Path, name: str | None, force: bool) -> int:
    """Copies a config into the user's folder and says how to use it."""
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise ConfigError(f"--as {name}: letters, digits and . _ - are allowed")
    group, _, old = config.rpartition("/")
    target = folder / group / f"{name or old}.yaml"
    if target.exists() and not force:
        raise ConfigError(f"{target} exists; overwrite it with --force, or copy --as NAME")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    choice = f" {group}={name or old}" if group else ""
    print(f"{target}\nchange it, then: genlab train --config-dir {folder}{choice}")
    return 0
