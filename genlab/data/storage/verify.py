"""What is wrong with the files and cached arrays of a data set; nothing here imports torch."""

from genlab.data.storage.bundled import read_archive
from genlab.data.storage.cache import cache_dir, open_arrays
from genlab.data.storage.manifest import Manifest, repair_command
from genlab.data.storage.sources import folders
from genlab.errors import DataError

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
    looked, problems = [], []
    for folder in folders(manifest, root):
        present = [(file, path) for file in manifest.files if (path := file.find(folder))]
        if not present:
            continue
        looked.append(str(folder))
        missing = [file.name for file in manifest.files if file.find(folder) is None]
        problems += [
            f"{folder / name}: expected a file, found nothing; "
            f"repair: {repair_command(manifest.name, root)}"
            for name in missing
        ]
        for file, path in present:
            try:
                file.check(path, repair_command(manifest.name, root))
            except DataError as error:
                problems.append(str(error))
    return ", ".join(looked), problems


def problems_of_cache(manifest: Manifest) -> tuple[str, list[str]]:
    """Where the decoded arrays of a data set are, and what is wrong with them."""
    looked, problems = [], []
    for folder in sorted((cache_dir() / "arrays").glob(f"{manifest.key}*")):
        if folder.suffix == ".part":
            continue
        looked.append(str(folder))
        try:
            open_arrays(folder, thorough=True)
        except (OSError, ValueError, KeyError) as error:
            problems.append(f"{folder}: {error}; repair: {repair_command(manifest.name)}")
    return ", ".join(looked), problems
