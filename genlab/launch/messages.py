"""Error messages: those of Hydra, OmegaConf, YAML, Lightning and torch in terms of the config.

tests/launch/test_messages.py fails where Hydra words an error otherwise than is matched here.
"""

import errno
import os
import re
import sys
from collections.abc import Iterator

from genlab.errors import ConfigError, GenlabError, StorageError, nearest
from genlab.system.secrets import redact

__all__ = ["explain", "printable", "unknown_override"]

OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
OF_FILES: tuple[int, ...] = (
    *OF_DISKS,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENAMETOOLONG,
    errno.EISDIR,
)
OF_FILES += (errno.ENOTDIR, errno.ELOOP, errno.EEXIST)
"""What a file system refuses, whoever asks; a file that is not there may be the program's fault."""

TEMPORARY = re.compile(r"\.([^/]+)\.\d+\.tmp$")
"""A file in the making, as `genlab.system.paths.write_atomically` calls it."""

MAX_LINES = 4
LONGEST = 400


def explain(error: BaseException) -> GenlabError | None:
    """The error as one for the user, or None for one that is no fault of theirs.

    Only what is already imported is asked for by type: an error of a library that was never loaded
    cannot have come from it.
    """
    # Our own
    for cause in causes(error):
        if isinstance(cause, GenlabError):
            return cause
    # Of the config
    for module, translate in (
        ("yaml", explain_yaml),
        ("hydra.errors", explain_hydra),
        ("omegaconf.errors", explain_omegaconf),
    ):
        if module in sys.modules and (text := translate(error)):
            return ConfigError(text)
    # Of Lightning, of memory, and of files and disks
    for cause in causes(error):
        if isinstance(cause, RuntimeError) and "conditioned on metric" in str(cause):
            return ConfigError(f"callbacks: {first_line(cause)}")
        if isinstance(cause, RuntimeError) and "determine home directory" in str(cause):
            return ConfigError(
                "~: there is no such home directory; write the whole path, or set HOME"
            )
        if type(cause).__name__ == "MisconfigurationException":
            line = first_line(cause)
            if "backend found" in line or "gpu" in line.lower():
                line += "; there is always trainer.accelerator=cpu trainer.devices=1"
            return ConfigError(line if "accelerator=" in line else f"trainer: {line}")
        if isinstance(cause, MemoryError) or "DefaultCPUAllocator" in str(cause):
            asked = re.search(r"allocate (\d+) bytes", str(cause))
            much = f"{int(asked[1]) / 2**30:,.0f} GiB at once" if asked else first_line(cause)
            return ConfigError(
                f"the memory of this machine does not hold {much}: less is needed with "
                "data.batch_size=, a smaller model.* or data.*"
            )
        if isinstance(cause, OSError) and cause.errno in OF_FILES and cause.filename:
            path = TEMPORARY.sub(r"\1", os.fsdecode(cause.filename))
            told = f"{path}: cannot be read or written ({cause.strerror})"
            return StorageError(told) if cause.errno in OF_DISKS else ConfigError(told)
        if type(cause).__name__ == "OutOfMemoryError":
            return GenlabError(
                f"out of memory on the device: {first_line(cause)}\n"
                "less is needed with data.batch_size=, a smaller model, or "
                "trainer.precision=bf16-mixed; what a checkpoint holds is not lost: run=last"
            )
    return None


def printable(error: GenlabError, command: str = "genlab") -> str:
    """The text to print of an error: at most `MAX_LINES` lines, and how many more; no secret."""
    lines = [redact(line) for line in str(error).splitlines() if line.strip()]
    lines = lines or [type(error).__name__]
    shown = [line if len(line) <= LONGEST else line[: LONGEST - 3] + "..." for line in lines]
    if len(shown) > MAX_LINES:
        shown = [*shown[:MAX_LINES], f"... and {len(shown) - MAX_LINES} more"]
    return f"{command}: error: " + "\n  ".join(shown)


def unknown_override(error: BaseException) -> str | None:
    """The key of an override that Hydra refused since the config does not have it."""
    match = re.search(r"Could not override '([^']+)'", str(error))
    return match[1] if match else None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def first_line(error: BaseException) -> str:
    """The first line of an error's text that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def explain_yaml(error: BaseException) -> str | None:
    """A file that is no YAML: file, line, column and what is wrong there."""
    import yaml

    for cause in causes(error):
        if isinstance(cause, yaml.MarkedYAMLError):
            mark = cause.problem_mark or cause.context_mark
            place = f"{mark.name}:{mark.line + 1}:{mark.column + 1}" if mark else "a config"
            return f"{place}: not valid YAML: {cause.problem or cause.context}"
        if isinstance(cause, yaml.YAMLError):
            return f"a config is not valid YAML: {first_line(cause)}"
    return None


def explain_hydra(error: BaseException) -> str | None:
    """A config that Hydra could not compose, find, parse or instantiate."""
    from hydra import errors

    if isinstance(error, errors.MissingConfigException):
        return explain_missing(str(error))
    if isinstance(error, errors.OverrideParseException):
        reason = first_line(error)
        why = "" if error.override in reason else f" ({reason})"
        return (
            f"{error.override}: cannot be read as key=value{why}; "
            "a value with special characters is quoted: 'key=\"value\"'"
        )
    if isinstance(error, errors.InstantiationException):
        cause = list(causes(error))[-1]
        where = re.search(r"full_key: (\S+)", str(error))
        target = re.search(r"target '([^']+)'", str(error))
        what = ", ".join(match[1] for match in (where, target) if match)
        return f"{what or 'a component'}: {type(cause).__name__}: {first_line(cause)}"
    if isinstance(error, errors.HydraException):
        return explain_composition(str(error), error)
    if isinstance(error, ValueError) and "Config group override must be" in str(error):
        return "a config group was given no name of a config: write group=NAME, `genlab list` shows"
    return None


def explain_missing(text: str) -> str:
    """A config or a group that is not there, with those that are."""
    match = re.search(r"Could not (?:find|load) '([^']+)'", text)
    if match is None:
        return first_line(ConfigError(text))
    group, _, name = match[1].rpartition("/")
    listed = text.partition("Available options in")[2].partition("Config search path")[0]
    known = [line.strip() for line in listed.splitlines()[1:] if line.strip()]
    place = re.match(r"In '([^']+)'", text)
    parent = "" if place is None or "/" not in place[1] else f" (asked for in {place[1]})"
    if not known:
        return f"{match[1]}: there is no such config{parent}; `genlab list` shows what there is"
    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return (
        f"{group}={name}: there is no such config{nearest(name, known) or ';'}{parent} "
        f"{group} can be {shown}"
    )


def explain_composition(text: str, error: BaseException) -> str:
    """A composition that failed, and what will have been meant."""
    if match := re.search(r"You must specify '([^']+)'", text):
        known = ", ".join(line.strip() for line in text.splitlines()[2:] if line.strip())
        return f"{match[1]}: no choice was made; give {match[1]}=NAME with one of {known}"
    if match := re.search(r"(?:Ambiguous value for argument|Sweep parameters) '([^']+)'", text):
        key, _, value = match[1].partition("=")
        also = f", or write a list as {key}=[{value}]" if "Ambiguous" in text else ""
        return f"{match[1]}: several values are a sweep: add -m{also}"
    if match := re.search(r"An item is already at '([^']+)'", text):
        return f"+{match[1]}: the key is already there; leave the + out"
    lines = [line.strip().rstrip(".") for line in text.splitlines() if line.strip()]
    cause = error.__cause__
    if cause is not None and first_line(cause) not in lines:
        lines.append(first_line(cause))
        key = re.search(r"full_key: (\S+)", str(cause))
        lines += [f"key {key[1]}"] if key else []
    return ": ".join(lines[:3]) or type(error).__name__


def explain_omegaconf(error: BaseException) -> str | None:
    """A value that cannot be read from the config."""
    from omegaconf.errors import OmegaConfBaseException

    if not isinstance(error, OmegaConfBaseException):
        return None
    key = f"{error.full_key}: " if error.full_key else ""
    return f"{key}{first_line(error)}"
