"""Damage of the files and cached arrays of a data set, in words; nothing here imports torch."""

from genlab.data.storage.bundled import read_archive
from genlab.data.storage.cache import open_arrays
from genlab.data.storage.manifest import Manifest, repair_command
from genlab.data.storage.sources import folders, holds, problems
from genlab.errors import DataError
from genlab.system.paths import cache_dir

__all__ = ["problems_of_bundle", "problems_of_cache", "problems_of_files"]


def problems_of_bundle() -> list[str]:
    """What is wrong with the archive in the package."""
    try:
        read_archive()
    except DataError as error:
        return [str(error)]
    return []


def problems_of_files(manifest: Manifest, root: str | None) -> tuple[str, list[str]]:
    """Where the files of a data set are, and what is wrong with them, in all folders."""
    looked = [folder for folder in folders(manifest, root) if holds(manifest, folder)]
    command = repair_command(manifest.name, root)
    harms = [f"{h}; repair: {command}" for folder in looked for h in problems(manifest, folder)]
    return ", ".join(map(str, looked)), harms


def problems_of_cache(manifest: Manifest) -> tuple[str, list[str]]:
    """Where the decoded arrays of a data set are, and what is wrong with them."""
    looked, harms = [], []
    for folder in sorted((cache_dir() / "arrays").glob(f"{manifest.key}*")):
        looked.append(str(folder))
        try:
            open_arrays(folder, thorough=True)
        except (OSError, ValueError, KeyError) as error:
            harms.append(f"{folder}: {error}; repair: {repair_command(manifest.name)}")
    return ", ".join(looked), harms
