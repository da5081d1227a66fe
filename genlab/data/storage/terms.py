"""Terms of a data set: what goes along with its images and with what is made of them."""

from dataclasses import dataclass
from pathlib import Path

from genlab.data.storage.manifest import Manifest

__all__ = ["Terms", "terms_of"]


@dataclass(frozen=True)
class Terms:
    """Licence and attribution of data; empty for data that is generated or the user's own.

    Args:
        licence: The licence, in a few words.
        attribution: Who made it, and what was changed.
        notice: File with the whole text, None where genlab has none.
    """

    licence: str = ""
    attribution: str = ""
    notice: Path | None = None


def terms_of(manifest: Manifest | None) -> Terms:
    """The terms of a data set that genlab knows.

    Example:
        >>> from genlab.data.storage.manifests import MANIFESTS
        >>> terms_of(MANIFESTS["mnist"]).licence
        'CC BY-SA 3.0'
    """
    if manifest is None:
        return Terms()
    notice = Path(__file__).parent / manifest.notice if manifest.notice else None
    return Terms(manifest.licence, manifest.attribution, notice)
