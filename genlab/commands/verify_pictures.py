"""genlab verify: whether pictures say that genlab made them, of what run, and what was changed."""

from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.commands.parser import Parser
from genlab.errors import ConfigError, DataError

if TYPE_CHECKING:
    from genlab.modalities.provenance_reading import Finding

__all__ = ["run"]

HELP = """\
genlab verify FILE ...      a line for each: what it says of itself, and what was changed since
genlab verify DIR           all pictures, films and arrays in a folder and below

exit code 0: all are from genlab, as they were written
          1: one was changed since, cannot be told, or has no provenance of genlab's
          2: one is no picture, is damaged or does not exist

Nothing is signed: whoever edits a picture can edit what it says, and any tool that re-saves one
may drop it. A file without provenance may be synthetic all the same.
"""

LONGEST = 60
"""Characters of a value that is printed."""

SAID = ("checkpoint", "weights", "images_seen", "seed", "sampling", "label")


def run(argv: Sequence[str]) -> int:
    """Prints a line for each file.

    Returns:
        0, 1 or 2: see `HELP`.

    Raises:
        ConfigError: Nothing was named, or a folder holds nothing of the kind.
    """
    parser = Parser(
        prog="genlab verify", description=HELP, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="*", metavar="FILE", help="a file or a folder")
    paths = parser.parse_args(argv).paths
    if not paths:
        raise ConfigError("FILE: no value; name a picture, a film, an array or a folder of them")
    from genlab.modalities.provenance_reading import examine

    worst = 0
    for path in files(paths):
        try:
            finding = examine(path)
        except DataError as error:
            print(safe(str(error), 300))
            worst = 2
            continue
        print(f"{safe(str(path), 300)}: {told(finding)}")
        worst = max(worst, int(finding.state != "intact"))
    return worst


def files(paths: Sequence[str]) -> Iterator[Path]:
    """The files that are meant: those named, and of a folder those that can hold provenance.

    Raises:
        ConfigError: A folder holds none.
    """
    from genlab.modalities.provenance import SIDECAR
    from genlab.modalities.provenance_reading import ARRAYS, PICTURES

    for path in map(Path, paths):
        if not path.is_dir():
            yield path
            continue
        within = [file for file in sorted(path.rglob("*")) if file.is_file()]
        names = {str(file) for file in within}
        found = [
            file
            for file in within
            if file.suffix.lower() in (*PICTURES, ARRAYS) or f"{file}{SIDECAR}" in names
        ]
        if not found:
            raise ConfigError(f"{path}: holds no {', '.join((*PICTURES, ARRAYS))}")
        yield from found


def told(finding: "Finding") -> str:
    """A finding in a line."""
    record = finding.record
    if record is None:
        return "no provenance"
    if finding.state == "foreign":
        by = f" by {safe(record.creator)}" if record.creator else ""
        return f"no provenance of genlab's; says of itself: {safe(term(record.source))}{by}"
    made = (
        "partly synthetic by genlab"
        if partly(record.source, record.note)
        else ("synthetic by genlab")
    )
    if finding.state == "altered":
        made = f"altered since genlab wrote it ({safe(', '.join(finding.changed))}); {made}"
    if finding.state == "unknown":
        made += " (no digest: whether it was altered cannot be told)"
    facts = [f"run {safe(record.note.get('run'))}"]
    facts += [
        f"{key} {safe(value)}"
        for key in SAID
        if (value := record.note.get(key)) is not None and value != {}
    ]
    return f"{made}: {', '.join(facts)}"


def partly(source: str, note: dict[str, Any]) -> bool:
    """True if a record says that there are real images in the picture."""
    return term(source).startswith("composite") or note.get("synthetic") == "in part"


def term(source: str) -> str:
    """The last word of IPTC's address of a term."""
    return source.rpartition("/")[2]


def safe(value: Any, most: int = LONGEST) -> str:
    """A stranger's value for a terminal: on one line, without control characters, not too long.

    Example:
        >>> safe("a\\x1b[31m\\nb"), safe({"steps": 8})
        ('a?[31m?b', 'steps=8')
    """
    if isinstance(value, dict):
        value = " ".join(f"{key}={one}" for key, one in value.items())
    text = "".join(letter if letter.isprintable() else "?" for letter in str(value)[: most + 1])
    return text if len(text) <= most else text[: most - 3] + "..."
