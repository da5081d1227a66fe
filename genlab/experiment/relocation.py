"""Relocation of a run's data: moved, or named from another working directory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genlab.data.feed.identity import changes, identity
from genlab.data.module import ImageDataModule
from genlab.errors import ConfigError, DataError
from genlab.runs.directory import Run
from genlab.system.terminal import warn

__all__ = ["check_unchanged", "relocated", "set_up"]

PLACES = ("path", "root")
"""Keys of a section ``data`` that say where the data lie."""


def relocated(
    section: Mapping[str, Any], run: Run, given: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A run's section ``data`` for where the data lie now.

    A relative path is one of the directory where the run was made, if the data are still there.

    Args:
        section: As the run's config has it.
        run: The run.
        given: Places that were typed.

    Raises:
        ConfigError: The run's data have no such key.
    """
    found = dict(section)
    made_in = run.read("run.json").get("directory")
    for key in PLACES:
        value = found.get(key)
        if not isinstance(value, str) or made_in is None or Path(value).is_absolute():
            continue
        if (there := Path(made_in) / value).exists():
            found[key] = str(there)
    for key, value in (given or {}).items():
        if key not in found:
            raise ConfigError(
                f"data.{key}={value}: the data of {run.shown()}, {found['_target_']}, have no "
                "such place"
            )
        found[key] = value
    return found


def set_up(run: Run, data: ImageDataModule, *, moved: bool) -> None:
    """Reads the data of a run, for something that is to be done with it now.

    Args:
        run: The run.
        data: Its data.
        moved: Whether another place was named for them.

    Raises:
        ConfigError, DataError: They are missing or damaged, or other data lie at the other place.
    """
    data.prepare_data()
    data.setup()
    check_unchanged(run, data, moved=moved)


def check_unchanged(run: Run, data: ImageDataModule, *, moved: bool = True) -> None:
    """Refuses data that are not those that a run began with; they are set up.

    Args:
        run: The run.
        data: The data as they are now.
        moved: Whether another place was named for them, or the run is to go on with them; else a
            warning will do.

    Raises:
        DataError: They are others.
    """
    found = changes(run.read("run.json"), identity(data))
    if not found:
        return
    line = f"{run.shown()}: its data have changed since it began: {'; '.join(found)}"
    if not moved:
        warn(line)
        return
    raise DataError(f"{line}. A new run from its weights: genlab train init_from={run.shown()}")
