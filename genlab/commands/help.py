"""Help texts: the list of commands, and for a Hydra command its keys and config groups."""

import re
import textwrap
from pathlib import Path

from genlab.config.catalog import promise
from genlab.config.folders import config_dir
from genlab.config.overrides import groups, options

__all__ = ["COMMANDS", "HYDRA_COMMANDS", "command_help", "module_of", "overview"]

HYDRA_COMMANDS = {
    "train": "train a model: genlab train model=vae data=mnist",
    "evaluate": "measure a trained run: genlab evaluate run=last",
    "sample": "draw images from a run: genlab sample run=last n=64",
    "reconstruct": "encode and decode real images: genlab reconstruct run=last",
    "detect": "find odd images by a run's likelihood: genlab detect run=last vs=[mirrored]",
    "compress": "images as a small file, by a run's likelihood: genlab compress run=last out=x.glz",
    "decompress": "the images again: genlab decompress run=last file=x.glz out=DIR",
}
COMMANDS = {
    **HYDRA_COMMANDS,
    "race": "the best model for data within a budget: genlab race data=mnist budget=30m",
    "sweep": "resume a sweep, or see how it goes: genlab sweep status DIR",
    "compare": "rank runs that can be compared: genlab compare runs",
    "wandb": "upload offline runs, or a leaderboard: genlab wandb sync runs",
    "export": "a trained model as safetensors and JSON: genlab export run=last",
    "card": "model card, or a data set's datasheet: genlab card run=last",
    "verify": "where a picture comes from, and whether it was changed: genlab verify FILE",
    "dashboard": "all runs in a browser, live, on this machine: genlab dashboard runs",
    "list": "what there is to choose: genlab list models",
    "show": "print a config, or copy it to change it: genlab show model/vae",
    "data": "fetch, verify and describe data sets",
    "doctor": "versions, devices, memory, logins and caches of this machine",
    "completion": 'tab completion: eval "$(genlab completion bash)"',
}

MODULES = {
    "completion": "shell_completion",
    "verify": "verify_pictures",
    "wandb": "wandb_upload",
}
"""Modules not named after their command, as those names are libraries' and other rooms'."""

FLAGS = """\
  -m, --multirun        run all combinations of comma-separated values: -m model=vae,gan seed=0,1,2
  --cfg job             print the composed config instead of running it (--resolve, -p KEY)
  --info defaults-tree  print what was composed from what (defaults, searchpath, plugins, config)
  --config-dir DIR      take configs from DIR, too, before those of genlab
  --debug               on an error, print the traceback
  --hydra-help          Hydra's own help
"""


def module_of(command: str) -> str:
    """The dotted path of a command's module."""
    return f"genlab.commands.{MODULES.get(command, command)}"


def overview() -> str:
    """The help of ``genlab`` itself."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:{width}}{text}" for name, text in COMMANDS.items()]
    return (
        "usage: genlab COMMAND ...\n\n"
        "A config-driven experiment lab for generative image models.\n\n"
        + "\n".join(lines)
        + "\n\ngenlab COMMAND --help says more. --debug shows the traceback of an error, "
        "--version the version.\n"
    )


def command_help(command: str, folder: Path | None = None) -> str:
    """The help of a Hydra command.

    Args:
        command: The command.
        folder: The user's own config folder.
    """
    folders = [config_dir(), *([folder] if folder else [])]
    primary = (config_dir() / f"{command}.yaml").read_text(encoding="utf-8")
    text = f"usage: genlab {command} [key=value ...] [flags]\n\n{promise(primary)}\n"
    keys = re.findall(r"^(\w+):(?: *([^#\n]*?))?(?: +# (.*))?$", primary, re.MULTILINE)
    rows = [(f"{k}={v}" if v else k, note) for k, v, note in keys if k not in ("defaults", "hydra")]
    width = max((len(key) for key, _ in rows), default=0) + 2
    text += "\nkeys of their own:\n"
    text += "\n".join(f"  {key:{width}}{note}".rstrip() for key, note in rows)
    default = r"^ *- (?:override +)?/?(\w+)(?:@[\w.]+)?: *(\S+)"
    chosen = dict(re.findall(default, primary, re.MULTILINE))
    used = [g for g in groups(folders) if g in chosen and g != "hydra"]
    if used:
        width = max(map(len, used)) + 2
        text += "\n\ngroups, one config of each (its default first):\n"
    for group in used:
        names = options(folders, group)
        names.sort(key=lambda name: name != chosen[group])
        text += f"  {group:{width}}{wrapped(names, width + 2)}\n"
    return f"{text}\nflags:\n{FLAGS}"


def wrapped(names: list[str], indent: int, width: int = 96) -> str:
    """Names in lines of a bounded width."""
    lines = textwrap.wrap(" ".join(names), width - indent, break_on_hyphens=False)
    return ("\n" + " " * indent).join(lines)
