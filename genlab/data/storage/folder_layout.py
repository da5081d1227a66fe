"""Splits and classes of pictures, read off the names of the folders that they lie in.

The words for splits are those of the datasets library's imagefolder, the order of classes is
timm's. A name is a split only beside another: a folder ``train`` among ``car`` and ``ship`` is a
class, and ``train`` beside ``test`` is none.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from genlab.errors import ConfigError

__all__ = ["Layout", "Place", "natural", "read_layout", "split_of_name"]

Role = Literal["train", "val", "test"]
Parts = tuple[str, ...]

WORDS: dict[str, Role] = {
    "train": "train", "training": "train", "trainval": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
"""Words for splits, in any case."""

WORD = re.compile(r"[^\W\d_]+")
CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass(frozen=True)
class Place:
    """Split and class of a picture.

    Args:
        split: ``train``, ``val`` or ``test``; None where no folder says.
        label: Name of its class, or "".
    """

    split: Role | None
    label: str


@dataclass(frozen=True)
class Layout:
    """Splits and classes of a folder.

    Args:
        places: One of each picture; None for those that are left out.
        classes: Names in the order of the labels; empty without classes.
        skipped: How many pictures were left out by the reason.
        notes: What a user should know of it.
    """

    places: list[Place | None]
    classes: list[str]
    skipped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


def natural(name: str) -> list[str | int]:
    """Key that orders names as people do, numbers in them by their value.

    Example:
        >>> sorted(["10", "2", "1", "b", "B"], key=natural)
        ['1', '2', '10', 'B', 'b']
    """
    return [int(p) if i % 2 else p for i, p in enumerate(re.split(r"([0-9]+)", name))]


def split_of_name(name: str) -> tuple[Role, str] | None:
    """The split that a folder's name has a word for, and the rest of the name.

    Example:
        >>> split_of_name("Train"), split_of_name("cats_val"), split_of_name("train2017")
        (('train', ''), ('val', 'cats'), ('train', ''))
        >>> split_of_name("strain") is None
        True
    """
    for words in (WORD, CAMEL):
        found = [m for m in words.finditer(name) if m.group().lower() in WORDS]
        if found:
            # The last of train_val is no part of a class's name, nor is the number of train2017
            before, after = name[: found[0].start()], name[found[-1].end() :]
            rest = [before, after if WORD.search(after) else ""]
            return WORDS[found[0].group().lower()], " ".join(r.strip("-._ ") for r in rest).strip()
    return None


def family(names: Iterable[str]) -> Literal["splits", "unclear", "none"]:
    """True if folders side by side are splits: each is, some are among others, or none is."""
    known = [split_of_name(name) for name in names]
    roles: dict[str, set[Role]] = defaultdict(set)
    for one in known:
        if one is not None:
            roles[one[1]].add(one[0])
    whole = {rest for rest, found in roles.items() if "train" in found and len(found) > 1}
    if whole and None not in known and whole == set(roles):
        return "splits"
    several = len(set().union(*roles.values())) > 1
    return "unclear" if whole or (several and None not in known) else "none"


def read_layout(
    pictures: Sequence[Parts], splits: bool | None, labels: bool | None, where: str
) -> Layout:
    """Reads splits and classes off the folders that pictures lie in.

    Folders around everything else are passed over. Splits are looked for at each depth, so that
    ``train/cat``, ``cat/train`` and ``cat_train`` say the same.

    Args:
        pictures: Parts of each path, the file's name last.
        splits: True takes the folders that are named so, whatever lies beside them; False none.
        labels: True takes folders as classes, whatever lies beside them; False none; None where
            all pictures lie in one of at least two.
        where: The folder, for messages.

    Raises:
        ConfigError: It is unclear what are splits, or there are no classes and labels are wanted.
    """
    depth = None if splits is False else split_depth(pictures, splits, where)
    places: list[Place | None] = []
    skipped: Counter[str] = Counter()
    if depth is None:
        inner = wrappers([parts[:-1] for parts in pictures])
        places += [Place(None, first(parts[inner:-1])) for parts in pictures]
    else:
        places += split_places(pictures, depth)
        skipped["pictures beside the folders of the splits"] = places.count(None)
    return with_classes(places, labels, +skipped, where)


def split_depth(pictures: Sequence[Parts], wanted: bool | None, where: str) -> int | None:
    """The depth at which all folders are splits; None where there are none.

    Raises:
        ConfigError: Some folders are splits and others are not, or none is and they are wanted.
    """
    for depth in range(max(map(len, pictures), default=1) - 1):
        parents: dict[Parts, set[str]] = defaultdict(set)
        for parts in pictures:
            if len(parts) > depth + 1:
                parents[parts[:depth]].add(parts[depth])
        for parts in pictures:
            if 0 < depth == len(parts) - 1:
                parents.setdefault(parts[:depth], set())
        kinds = {family(names) for names in parents.values()}
        if kinds == {"splits"} or (wanted and kinds & {"splits", "unclear"}):
            return depth
        if kinds & {"splits", "unclear"}:
            names = sorted({n for names in parents.values() for n in names}, key=natural)
            named = [name for name in names if split_of_name(name)]
            rest = shortened([name for name in names if name not in named])
            raise ConfigError(
                f"{where}: are {shortened(named)} splits{rest and ', beside ' + rest}? "
                "data.splits=true takes them as splits and leaves out what lies beside them, "
                "data.splits=false takes all folders alike"
            )
    if wanted:
        raise ConfigError(f"data.splits=true: there are no folders train and test in {where}")
    return None


def split_places(pictures: Sequence[Parts], depth: int) -> list[Place | None]:
    """The place of each picture where the folders at a depth are the splits."""
    found = [split_of_name(parts[depth]) if len(parts) > depth + 1 else None for parts in pictures]
    inside = [(parts, one) for parts, one in zip(pictures, found, strict=True) if one]
    # The class: what is left of the split's name, or a folder above it, or one below it
    named = family({parts[depth] for parts, _ in inside}) == "splits"
    rests = {one[1] for _, one in inside} if named else set()
    above = wrappers([(*parts[:depth], "") for parts, _ in inside])
    below = 0
    by_split: dict[Role, list[Parts]] = defaultdict(list)
    for parts, one in inside:
        by_split[one[0]].append(parts[depth + 1 : -1])
    while all(
        len({first(path[below:]) for path in paths}) == 1
        and all(path[below + 1 :] for path in paths)
        for paths in by_split.values()
    ):
        below += 1

    def label(parts: Parts, rest: str) -> str:
        if len(rests) > 1:
            return rest
        return parts[above] if above < depth else first(parts[depth + 1 + below : -1])

    return [
        None if one is None else Place(one[0], label(parts, one[1]))
        for parts, one in zip(pictures, found, strict=True)
    ]


def with_classes(
    places: list[Place | None], labels: bool | None, skipped: Counter[str], where: str
) -> Layout:
    """The layout with its classes, where there are and may be some."""
    taken = [place for place in places if place is not None]
    named = {place.label for place in taken} - {""}
    loose = sum(place.label == "" for place in taken)
    if labels is False:
        return Layout(places, [], skipped)
    if len(named) < 2:
        if labels:
            raise ConfigError(
                f"data.labels=true needs a sub-folder for each class in {where}, "
                f"found {sorted(named) or 'none'}"
            )
        return Layout(places, [], skipped)
    if loose and labels is None:
        note = (
            f"no classes: {loose:,} of {len(taken):,} pictures lie in none of the folders "
            f"{shortened(sorted(named, key=natural))}; data.labels=true leaves them out"
        )
        return Layout(places, [], skipped, [note])
    if loose:
        skipped["pictures in no class's folder"] = loose
        places = [None if place is None or place.label == "" else place for place in places]
    classes = sorted(named, key=natural)
    trained = {p.label for p in places if p is not None and p.split in (None, "train")}
    notes = [f"class {name!r} has no training pictures" for name in classes if name not in trained]
    return Layout(places, classes, skipped, notes)


def wrappers(folders: Sequence[Parts]) -> int:
    """Number of folders that all others lie in."""
    depth = 0
    while folders and len({first(parts[depth:]) for parts in folders}) == 1 and folders[0][depth:]:
        depth += 1
    return depth


def first(parts: Parts) -> str:
    """The first of some parts, or ""."""
    return parts[0] if parts else ""


def shortened(names: Sequence[str], most: int = 6) -> str:
    """The first few of some names."""
    return ", ".join(names[:most]) + (
        f" and {len(names) - most:,} more" if len(names) > most else ""
    )
