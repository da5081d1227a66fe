"""Provenance of what genlab writes: XMP that says that it is synthetic, and from what.

The term is IPTC's ``DigitalSourceType`` (https://cv.iptc.org/newscodes/digitalsourcetype): what a
model made is ``trainedAlgorithmicMedia``, what holds real images too (a reconstruction below its
original, say) ``compositeWithTrainedAlgorithmicMedia``, and real images alone get nothing.

A digest of the pixels, as a decoder gives them, tells a picture that was changed afterwards.
Nothing is signed: anybody can remove such a record, or write another.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import quoteattr

from numpy.typing import NDArray
from PIL import Image, ImageSequence
from PIL.PngImagePlugin import PngInfo

import genlab
from genlab.system.paths import write_json

__all__ = [
    "CREATOR",
    "GENLAB",
    "IPTC",
    "KINDS",
    "SIDECAR",
    "SOURCES",
    "Kind",
    "array_digest",
    "file_digest",
    "kind_at",
    "kind_of",
    "marked",
    "pixel_digest",
    "png_info",
    "record_digest",
    "whole",
    "write_sidecar",
    "xmp_packet",
]

Kind = Literal["synthetic", "composite", "real"]
"""``composite``: real images beside or within what a model made."""

KINDS: tuple[Kind, ...] = ("synthetic", "composite", "real")

TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCES: dict[Kind, str] = {
    "synthetic": f"{TERMS}trainedAlgorithmicMedia",
    "composite": f"{TERMS}compositeWithTrainedAlgorithmicMedia",
}
"""IPTC's term for each kind; real images have none, as genlab cannot know where they are from."""

IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
CREATOR = "http://ns.adobe.com/xap/1.0/"
GENLAB = "urn:genlab:provenance:1#"
"""Namespaces of XMP."""

SIDECAR = ".provenance.json"
"""What the name of a file has behind it where the record lies beside it."""

DIGESTED = ("1", "L", "LA", "P", "RGB", "RGBA")
"""Modes of eight bits at the most: any other loses something on the way to RGBA."""


def whole(kinds: Iterable[Kind]) -> Kind:
    """The kind of a picture that shows several.

    Example:
        >>> whole(["synthetic", "synthetic"]), whole(["synthetic", "real"]), whole(["real"])
        ('synthetic', 'composite', 'real')
    """
    found = set(kinds)
    return found.pop() if len(found) == 1 else "composite"


def marked(note: Mapping[str, Any], kinds: Sequence[Kind]) -> dict[str, Any]:
    """A note that says what the examples are, in turn.

    Example:
        >>> marked({"run": "a"}, ("synthetic",))
        {'run': 'a', 'synthetic': True}
        >>> marked({"run": "a"}, ("real", "synthetic"))
        {'run': 'a', 'synthetic': 'in part', 'kinds': ['real', 'synthetic']}
    """
    if whole(kinds) == "synthetic":
        return {**note, "synthetic": True}
    return {**note, "synthetic": "in part", "kinds": list(kinds)}


def kind_of(note: Mapping[str, Any]) -> Kind:
    """The kind of a picture of all examples of a note; one that says nothing is of samples."""
    return whole(note.get("kinds") or ("synthetic",))


def kind_at(note: Mapping[str, Any], index: int) -> Kind:
    """The kind of one example of a note."""
    kinds: Sequence[Kind] = note.get("kinds") or ("synthetic",)
    return kinds[index % len(kinds)]


def pixel_digest(image: Image.Image) -> str:
    """SHA-256 of a picture's pixels, all frames of it, as a decoder gives them.

    A grey picture and the same in RGB are equal; one of more than eight bits has none.
    """
    frames = getattr(image, "n_frames", 1)
    state = hashlib.sha256(f"{image.width}x{image.height}x{frames}".encode())
    for frame in ImageSequence.Iterator(image):
        if frame.mode not in DIGESTED:
            return ""
        state.update(frame.convert("RGBA").tobytes())
    return state.hexdigest()


def array_digest(images: NDArray[Any]) -> str:
    """SHA-256 of an array's shape, type and values."""
    head = f"{images.shape} {images.dtype}".encode()
    return hashlib.sha256(head + images.tobytes()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_digest(source: str, note: str, size: str, pixels: str) -> str:
    """SHA-256 of a record's own words: tells one that was edited by accident."""
    return hashlib.sha256("\n".join((source, note, size, pixels)).encode()).hexdigest()


def xmp_packet(note: str, kind: Kind, size: str, pixels: str) -> bytes:
    """An XMP packet.

    Args:
        note: JSON of where the picture comes from; ASCII, as `json.dumps` makes it.
        kind: Not ``real``.
        size: Width and height, ``280x280``.
        pixels: The digest of the pixels.
    """
    attributes = {
        "xmlns:xmp": CREATOR,
        "xmlns:Iptc4xmpExt": IPTC,
        "xmlns:genlab": GENLAB,
        "xmp:CreatorTool": f"genlab {genlab.__version__}",
        "Iptc4xmpExt:DigitalSourceType": SOURCES[kind],
        "genlab:note": note,
        "genlab:size": size,
        "genlab:pixels": pixels,
        "genlab:record": record_digest(SOURCES[kind], note, size, pixels),
    }
    text = "".join(f"\n   {name}={quoteattr(value)}" for name, value in attributes.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
        ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
        f'  <rdf:Description rdf:about=""{text}/>\n'
        ' </rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="r"?>'
    ).encode()


def png_info(image: Image.Image, note: Mapping[str, Any], kind: Kind) -> PngInfo | None:
    """The chunks of a PNG: the note as text, and XMP; None of a picture of real images alone."""
    if kind == "real":
        return None
    info, text = PngInfo(), json.dumps(dict(note), default=str)
    size = f"{image.width}x{image.height}"
    xmp = xmp_packet(text, kind, size, pixel_digest(image))
    info.add_text("genlab", text)
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    return info


def write_sidecar(path: Path, note: Mapping[str, Any]) -> None:
    """Writes the record of a file that has no room for one into a JSON file beside it."""
    kind = kind_of(note)
    if kind == "real":
        return
    content = {
        "genlab": genlab.__version__,
        "digitalSourceType": SOURCES[kind],
        "note": dict(note),
        "sha256": file_digest(path),
    }
    write_json(path.with_name(path.name + SIDECAR), content)
