"""genlab data: which data sets there are, where they lie, and whether they are whole."""

import inspect
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.commands.list import config_folders, show
from genlab.commands.parser import Parser, add_config_dir
from genlab.config.catalog import Entry, entries
from genlab.config.overrides import key_of, value_of
from genlab.config.quoting import quote_overrides
from genlab.data.storage.manifest import DataFile, Manifest
from genlab.data.storage.manifests import MANIFESTS
from genlab.data.storage.sources import find, folders
from genlab.data.storage.terms import terms_of
from genlab.data.storage.verify import (
    problems_of_bundle,
    problems_of_cache,
    problems_of_files,
    problems_of_others,
)
from genlab.errors import ConfigError, DataError, nearest
from genlab.system.paths import cache_dir, check_writable

if TYPE_CHECKING:
    from genlab.data.images import SplitName
    from genlab.data.module import ImageDataModule

__all__ = ["run"]

ROOT = ("root", "data.root")
"""How the folder of the files may be given."""

ACTIONS = ("list", "verify", "prepare", "show")

SPLITS = ("train", "val", "test", "test_unseen")
"""Splits that `data show` knows; not every data set has the last."""

MOST_CLASSES = 30
"""Classes whose images are counted one by one in `data show`."""

HELP = """\
genlab data                       the data sets, their shapes, and where they are
genlab data NAME                  one of them: files, hashes, licence
genlab data verify [NAME ...]     compare what is here with the manifests
genlab data prepare NAME [k=v]    fetch, verify, decode; repair what is damaged
genlab data show NAME [k=v]       counts, sizes, modes, duplicates, what is left out; a grid as PNG
"""


def run(argv: Sequence[str]) -> int:
    """Lists, describes, verifies, prepares or shows data sets.

    Returns:
        0, or 2 if `verify` found damage.

    Raises:
        ConfigError: There is no such data set, or a key of it is wrong.
        DataError: A file is missing or damaged.
    """
    parser = Parser(
        prog="genlab data", description=HELP, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="see above")
    parser.add_argument("--out", metavar="FILE", help="of show: the PNG file (NAME.png)")
    parser.add_argument("-n", type=int, default=64, help="of show: how many images")
    parser.add_argument("--split", choices=SPLITS, default="train")
    add_config_dir(parser)
    args = parser.parse_intermixed_args(argv)
    # Names and overrides
    words = [word for word in args.words if "=" not in word]
    overrides = [word for word in args.words if "=" in word]
    places = config_folders(args.config_dir)
    known = {entry.name: entry for entry in entries("data", places)}
    action, names = (words[0], words[1:]) if words and words[0] in ACTIONS else (None, words)
    for name in names:
        if name not in known:
            options = [*known, *ACTIONS] if action is None else known
            raise ConfigError(
                f"{name}: no such data set{nearest(name, options) or ';'} "
                f"there are {', '.join(known)}"
            )
    root = next((w.partition("=")[2] for w in overrides if w.partition("=")[0] in ROOT), None)
    # What is asked for
    if action == "verify":
        return verify(names, root)
    if action in ("prepare", "show") and len(names) != 1:
        raise ConfigError(f"genlab data {action} needs the name of one data set")
    if action == "prepare":
        return prepare(names[0], overrides, places)
    if action == "show":
        return picture(names[0], overrides, places, args.n, args.split, args.out)
    if names and action is None:
        for name in names:
            describe(known[name], root)
        return 0
    return table(list(known.values()), root)


def table(found: Sequence[Entry], root: str | None) -> int:
    """All data sets in a table."""
    rows = []
    for entry in found:
        manifest = MANIFESTS.get(entry.name)
        rows.append(
            [
                entry.name,
                shape(manifest),
                counts(manifest),
                str(manifest.classes or "") if manifest else "",
                where(manifest, root),
                entry.promise,
            ]
        )
    show(
        ["data", "shape", "train + test", "classes", "where", "what it is"],
        rows,
        "genlab data NAME says more of one, genlab data prepare NAME fetches it",
    )
    return 0


def shape(manifest: Manifest | None) -> str:
    """``1x28x28``."""
    if manifest is None or manifest.shape is None:
        return "by config"
    return "x".join(map(str, manifest.shape))


def counts(manifest: Manifest | None) -> str:
    """``60,000 + 10,000``."""
    if manifest is None or manifest.train is None or manifest.test is None:
        return "by config"
    return f"{manifest.train:,} + {manifest.test:,}"


def where(manifest: Manifest | None, root: str | None = None) -> str:
    """Place of a data set's files, in a few words; found, not verified."""
    if manifest is None:
        return "yours"
    if manifest.origin not in ("download", "package"):
        return {"bundled": "bundled", "generated": "generated", "yours": "yours: data.path="}[
            manifest.origin
        ]
    try:
        paths = find(manifest, root)
    except DataError:
        return "incomplete: genlab data verify"
    if paths is not None:
        return str(next(iter(paths.values())).parent)
    if any((cache_dir() / "arrays").glob(f"{manifest.key}*")):
        return str(cache_dir() / "arrays")
    if manifest.origin == "package":
        return f"genlab data prepare {manifest.name}, {manifest.megabytes:,} MB"
    return f"to download, {manifest.megabytes:,} MB"


def describe(entry: Entry, root: str | None) -> None:
    """One data set at length."""
    manifest = MANIFESTS.get(entry.name)
    print(f"{entry.name}: {entry.promise}")
    if manifest is not None:
        print(f"  shape    {shape(manifest)}, {manifest.levels} levels")
        print(f"  images   {counts(manifest)}")
        names = ", ".join(manifest.class_names)
        print(f"  classes  {manifest.classes or 'by config, or none'}{names and f': {names}'}")
        terms = terms_of(manifest)
        if terms.licence:
            print(f"  licence  {terms.licence}{f': {terms.notice}' if terms.notice else ''}")
        if terms.attribution:
            print(f"  credit   {terms.attribution}")
        print(f"  where    {where(manifest, root)}")
        if manifest.origin in ("download", "package") or manifest.others:
            print(f"  looked for in {', '.join(map(str, folders(manifest, root)))}")
        for file in (*manifest.files, *manifest.others):
            size = f", {file.size:,} bytes" if file.size is not None else ""
            print(f"  {file.name}: {file.algorithm} of its {file.hashed} {file.hash}{size}")
    print(f"  config   {entry.path}\n  use      genlab train data={entry.name}")


def verify(names: Sequence[str], root: str | None) -> int:
    """Compares files and cached arrays with the manifests, one line a data set.

    Returns:
        0 if all is whole or absent, 2 if something is damaged.
    """
    damaged = 0
    bundled: dict[tuple[DataFile, ...], tuple[str, list[str]]] = {}  # three are made of one archive
    for name in names or MANIFESTS:
        manifest = MANIFESTS.get(name)
        if manifest is None or not manifest.files:
            if names:
                print(f"{name}: no files of known hashes")
            continue
        if manifest.origin == "bundled":
            if manifest.files not in bundled:
                bundled[manifest.files] = problems_of_bundle(manifest)
            found = [bundled[manifest.files]]
        else:
            found = [problems_of_files(manifest, root)]
        found += [problems_of_others(manifest, root), problems_of_cache(manifest)]
        looked = ", ".join(place for place, _ in found if place)
        problems = [harm for _, harms in found for harm in harms]
        for problem in problems:
            print(f"{name}: DAMAGED: {problem}")
        if not problems:
            print(f"{name}: {'whole, ' + looked if looked else 'not here'}")
        damaged += bool(problems)
    return 2 if damaged else 0


def prepare(name: str, overrides: Sequence[str], places: Sequence[Path]) -> int:
    """Downloads, verifies and decodes a data set, and says what it is."""
    module = build_module(name, overrides, places)
    module.source.prepare(repair=True)
    print(f"{module.summary()}\nfingerprint {module.fingerprint}")
    return 0


def picture(
    name: str,
    overrides: Sequence[str],
    places: Sequence[Path],
    n: int,
    split: "SplitName",
    out: str | None,
) -> int:
    """Says what a data set consists of, and writes some of its images as a PNG file."""
    if n < 1:
        raise ConfigError(f"-n {n}: at least one image is needed")
    target = Path(out or f"{name}.png")
    if target.suffix != ".png":
        raise ConfigError(f"--out {target}: a .png is needed")
    check_writable(target.parent, f"--out {target}")
    section = composed(name, overrides, places)

    import torch
    from hydra.utils import get_class, instantiate

    from genlab.data.survey import Survey, choose_by_class
    from genlab.modalities.images.grid import grid
    from genlab.modalities.images.named_rows import named_rows
    from genlab.modalities.rendering import save_png

    # What there is
    # (without the data module, as the import of Lightning takes longer than all the rest)
    own = inspect.signature(get_class(section["_target_"])).parameters
    source = instantiate({k: v for k, v in section.items() if k in own or k == "_target_"})
    divided = ("val_size", "split_seed", "limit")
    survey = Survey(source, **{k: section[k] for k in divided if k in section})
    counts = survey.counts()
    more = len(counts) - 1 - MOST_CLASSES
    if more > 0:
        counts[MOST_CLASSES:-1] = [["", f"and {more:,} more", *[""] * len(survey.parts)]]
    # (a name may hold what rich or a terminal takes for a command)
    told = "\n".join(line.replace("\n", r"\n").replace("[", r"\[") for line in survey.lines())
    splits = ["validation" if name == "val" else name for name in survey.parts]
    show(["label", "class", *splits], counts, told)
    # Some of it
    if split not in survey.parts:
        raise ConfigError(f"--split {split}: {name} has {', '.join(survey.parts)}")
    part = survey.parts[split]
    chosen = choose_by_class(part.y, len(part.chosen), n, source.spec.num_classes)
    images, rows = survey.images(split, torch.cat(chosen)), [len(row) for row in chosen]
    if not len(images):
        raise ConfigError(f"--split {split}: there are no images in it")
    if len(rows) == 1:
        pixels = grid(images, levels=source.spec.levels)
    else:
        names = [row[1] for row in survey.counts()]
        pixels = named_rows(images.split(rows), names[: len(rows)], source.spec.levels)
    save_png(target, pixels)
    print(f"{len(images)} images of {name}/{split}: {target}")
    return 0


def build_module(name: str, overrides: Sequence[str], places: Sequence[Path]) -> "ImageDataModule":
    """The data module of a config with some keys changed; ``root=`` means ``data.root=``."""
    config = composed(name, overrides, places)
    from hydra.utils import instantiate

    from genlab.data.from_config import build

    module: ImageDataModule = build(config, instantiate)
    return module


def composed(name: str, overrides: Sequence[str], places: Sequence[Path]) -> dict[str, Any]:
    """The section ``data`` as Hydra composes it, checked.

    Raises:
        ConfigError: A key or a value is wrong.
    """
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from genlab.config.check import check_component

    trust = value_of(overrides, "trust")
    # "++" takes keys that are not there, too: the check below knows the nearest that is.
    prefixed = [
        f"++data.{override.removeprefix('data.')}"
        for override in overrides
        if key_of(override) != "trust"
    ]
    own, *others = [folder.resolve() for folder in reversed(places)]
    search = [f"hydra.searchpath=[{','.join(f'file://{folder}' for folder in others)}]"]
    with initialize_config_dir(str(own), version_base="1.3"):
        words = quote_overrides(prefixed)
        cfg = compose(f"data/{name}", overrides=[*words, *(search if others else [])])
    missing = sorted(str(key) for key in OmegaConf.missing_keys(cfg))
    if missing:
        raise ConfigError(f"{missing[0]}: no value; give one with {missing[0]}=VALUE")
    content = OmegaConf.to_container(cfg.data, resolve=True)
    assert isinstance(content, dict)
    section = {str(key): value for key, value in content.items()}
    problems = list(check_component("data", section, trust))
    if problems:
        raise ConfigError("\n".join(problems))
    return section
