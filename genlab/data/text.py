"""Texts as data: windows of characters, of your own files or of Shakespeare's plays."""

import hashlib
import io
import tarfile
from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch

from genlab.data.images import ImageData, Split, SplitName
from genlab.data.storage.bundled import bundle
from genlab.data.storage.damage import repairable
from genlab.data.storage.terms import Terms
from genlab.errors import ConfigError, DataError
from genlab.modalities.sequences.characters import encode, vocabulary_of
from genlab.modalities.sequences.sequence_modality import SequenceModality
from genlab.ranges import PositiveInt, Probability
from genlab.types import SequenceSpec, Spec

__all__ = ["Shakespeare", "TextData", "TextFiles"]

SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


class TextData(ImageData):
    """A text as windows of characters that do not overlap; what is left of a document is dropped.

    The vocabulary is that of all splits, so that no character of the test is unknown. A run keeps
    it with the spec, and it is part of the fingerprint.

    Args:
        length: Characters of a window.
    """

    provides: ClassVar[type[Spec]] = SequenceSpec

    def __init__(self, length: PositiveInt = 256):
        self.length = length

    @abstractmethod
    def documents(self) -> dict[SplitName, list[str]]:
        """The texts of each split.

        Raises:
            ConfigError: There are none.
            DataError: They are damaged.
        """

    @cached_property
    def texts(self) -> dict[SplitName, list[str]]:
        """The texts of each split, read once."""
        return self.documents()

    @cached_property
    def spec(self) -> SequenceSpec:  # type: ignore[override]
        """Length of a window, and the characters."""
        known = vocabulary_of("".join(text for split in SPLITS for text in self.texts[split]))
        return SequenceSpec(self.length, len(known), unit="character", vocabulary=known)

    @property
    def own_val(self) -> bool:
        return True

    def load(self, split: SplitName) -> Split:
        """Windows of a split, int64 ``(N, length)``.

        Raises:
            ConfigError: Its texts are shorter than a window.
        """
        assert self.spec.vocabulary is not None
        windows = [
            encode(text, self.spec.vocabulary, split)[: len(text) // self.length * self.length]
            for text in self.texts[split]
        ]
        x = torch.cat(windows).view(-1, self.length)
        if not len(x):
            longest = max(len(text) for text in self.texts[split])
            raise ConfigError(
                f"data.length={self.length}: the {split} text has only {longest:,} characters"
            )
        return Split(x)

    def check(self, split: Split, where: str) -> None:
        SequenceModality(self.spec).check(split.x, where)

    def notes(self) -> list[str]:
        dropped = {s: sum(len(t) % self.length for t in self.texts[s]) for s in SPLITS}
        left = ", ".join(f"{n:,} of {s}" for s, n in dropped.items())
        return [f"characters at the ends of documents that fill no window: {left}"]

    def fingerprint(self) -> str:
        """SHA-256 in hex of the name, the length of a window and all texts, in their splits."""
        digest = hashlib.sha256(f"{self.name}/{self.length}".encode())
        for split in SPLITS:
            for text in self.texts[split]:
                digest.update(f"/{split}/{hashlib.sha256(text.encode()).hexdigest()}".encode())
        return digest.hexdigest()


class TextFiles(TextData):
    """Your own text: a file, or the ``.txt`` files of a folder, one after the other by name.

    Args:
        path: The file or folder; UTF-8.
        length: Characters of a window.
        test_size: Share of the text for the test, at its end; as much before it is for validation.
    """

    name = "text"

    def __init__(self, path: str, length: PositiveInt = 256, test_size: Probability = 0.1):
        super().__init__(length)
        self.path = Path(path).expanduser()
        if not 0 < test_size < 0.5:
            raise ConfigError(f"data.test_size={test_size}: must be > 0 and < 0.5")
        self.test_size = test_size

    def documents(self) -> dict[SplitName, list[str]]:
        text = "\n".join(read_text(file) for file in text_files(self.path))
        if not text:
            raise DataError(f"data.path={self.path}: holds no text")
        held = round(len(text) * self.test_size)
        ends = (0, len(text) - 2 * held, len(text) - held, len(text))
        return {s: [text[a:b]] for s, a, b in zip(SPLITS, ends[:-1], ends[1:], strict=True)}


class Shakespeare(TextData):
    """Shakespeare's plays and poems, 5 million characters, split by whole plays.

    Measure for Measure and Henry V are for validation, Twelfth Night and Macbeth for the test.

    Args:
        length: Characters of a window.
    """

    name = "shakespeare"
    HELD: ClassVar[dict[str, SplitName]] = {
        "measure_for_measure": "val",
        "henry_v": "val",
        "twelfth_night": "test",
        "macbeth": "test",
    }
    SHA256 = "074d2ab1bede329576db6c4e66429a9f6368191e5e4b96d64188d98c17a24613"

    @property
    def terms(self) -> Terms:
        return Terms(
            "public domain",
            "William Shakespeare; texts of Project Gutenberg by the Python package shakespeare "
            "0.6 (MIT), blanks and line ends tidied",
            bundle(self.name) / "LICENCE.md",
        )

    def documents(self) -> dict[SplitName, list[str]]:
        found: dict[SplitName, list[str]] = {split: [] for split in SPLITS}
        path = bundle(self.name) / "plays-and-poems.tar.xz"
        with repairable("pip install --force-reinstall genlab"):
            packed = path.read_bytes() if path.is_file() else b""
            if hashlib.sha256(packed).hexdigest() != self.SHA256:
                raise DataError(f"{path}: expected SHA-256 {self.SHA256[:16]}..., found another")
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                for member in sorted(archive.getmembers(), key=lambda member: member.name):
                    opened = archive.extractfile(member)
                    if opened is not None:
                        split = self.HELD.get(Path(member.name).stem, "train")
                        found[split].append(opened.read().decode())
        return found


def text_files(path: Path) -> list[Path]:
    """The files of a path to a file or a folder.

    Raises:
        ConfigError: There are none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ConfigError(f"data.path={path}: no such file or folder")
    files = sorted(path.rglob("*.txt"))
    if not files:
        raise ConfigError(f"data.path={path}: a folder without a .txt file")
    return files


def read_text(path: Path) -> str:
    """The text of a file, line ends as ``\\n``.

    Raises:
        DataError: It is empty, or no text.
    """
    content = path.read_bytes()
    if not content:
        raise DataError(f"{path}: expected text, found an empty file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: expected UTF-8 text, found the byte 0x{content[error.start]:02x} at "
            f"{error.start:,}"
        ) from None
    if "\0" in text:
        raise DataError(f"{path}: expected text, found a binary file (a zero byte)")
    return text.replace("\r\n", "\n").replace("\r", "\n")
