"""genlab card: what is known of a trained model or of a data set, on a page and as JSON."""

from argparse import RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from pathlib import Path

from genlab.commands.key_values import key_values
from genlab.commands.parser import Parser, add_config_dir
from genlab.config.overrides import value_of
from genlab.errors import ConfigError, nearest

__all__ = ["run"]

KEYS = ("run", "data", "out", "root", "trust")

LONGEST = 400
"""Characters of a difference that are printed."""

HELP = """\
genlab card run=last                  CARD.md and card.json in the run's folder, of its files alone
genlab card run=RUN out=DIR           in another, with its grid of samples
genlab card run=RUN --check           does the card say what the reports say? [out=DIR]
genlab card data=mnist [data.k=v]     a data set, in cards/mnist; nothing is fetched

exit code 2: --check found a difference, one a line; or a mistake. A page that was edited by hand is
not written over.
"""


def run(argv: Sequence[str]) -> int:
    """Writes a card, or holds one against its run.

    Returns:
        0, or 2 if the check found a difference.

    Raises:
        ConfigError: There is no such run or data set, or no card to check.
        DataError: A file of the run is damaged.
    """
    parser = Parser(
        prog="genlab card", description=HELP, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE", help=", ".join(KEYS))
    parser.add_argument("--check", action="store_true", help="compare a card with its run")
    add_config_dir(parser)
    args = parser.parse_intermixed_args(argv)
    given, overrides = read(args.words)
    if "data" not in given:
        return of_run(given, overrides, args.check)
    if args.check:
        raise ConfigError("--check: is for run=; a datasheet has no report to be held against")
    return of_data(given, overrides, args.config_dir)


def of_run(given: Mapping[str, str], overrides: Sequence[str], check: bool) -> int:
    """Writes or checks the card of a run."""
    if overrides:
        raise ConfigError(f"{overrides[0]}: is for data=NAME; the run has its own config")
    from genlab.config.check import check as check_config
    from genlab.config.check import trust_modules
    from genlab.config.saved import load_config
    from genlab.experiment.build import build_data
    from genlab.experiment.cards.card_files import PAGE, differences, run_card, write_card
    from genlab.experiment.cards.gathered import gather
    from genlab.experiment.cards.markdown import printed
    from genlab.runs.directory import find_run

    trust_modules(value_of([f"trust={given.get('trust', '')}"], "trust"))
    place = find_run(given["run"], Path(given.get("root", "runs")))
    source = build_data(check_config(load_config(place.config_file), "train").data).source
    facts = gather(place, source)
    out = Path(given.get("out", place.path))
    if check:
        found = differences(out, facts)
        for line in found:
            print(f"{place.name}: {printed(line)[:LONGEST]}")
        if not found:
            print(f"{place.name}: {out / PAGE} says what the run's files say")
        return 2 if found else 0
    write_card(out, run_card(place, facts, out.resolve() == place.path.resolve()))
    count = len(facts["numbers"])
    told = f"{count} numbers" if count else "no numbers: genlab evaluate measures some"
    print(f"{place.name}: {told}: {out / PAGE}")
    return 0


def of_data(given: Mapping[str, str], overrides: Sequence[str], config_dir: str | None) -> int:
    """Writes the datasheet of a data set."""
    from genlab.commands.data import build_module, where
    from genlab.commands.list import config_folders
    from genlab.config.catalog import entries
    from genlab.data.storage.manifests import MANIFESTS
    from genlab.data.storage.sources import find
    from genlab.experiment.cards.card_files import PAGE, card_contents, write_card
    from genlab.experiment.cards.datasheet import data_facts, datasheet

    # The data set
    name, places = given["data"], config_folders(config_dir)
    known = {entry.name: entry for entry in entries("data", places)}
    if name not in known:
        raise ConfigError(
            f"data={name}: no such data set{nearest(name, known) or ';'} "
            f"there are {', '.join(known)}"
        )
    trust = [f"trust={given['trust']}"] if "trust" in given else []
    module = build_module(name, [*overrides, *trust], places)
    # What is here of it
    manifest = MANIFESTS.get(name)
    fetched = manifest is not None and manifest.origin in ("download", "package")
    root = next((w.partition("=")[2] for w in overrides if w.startswith("data.root=")), None)
    here = not fetched or (manifest is not None and find(manifest, root) is not None)
    facts = data_facts(name, known[name].promise, module, manifest, here)
    # The page
    out = Path(given.get("out", Path("cards") / name))
    write_card(out, card_contents(facts, datasheet(facts)))
    missing = "" if here else f", without fingerprint: {where(manifest, root)}"
    print(f"{name}: {out / PAGE}{missing}")
    return 0


def read(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The words as keys and values, and overrides of the data; a word by itself is the run.

    Raises:
        ConfigError: A key is unknown or given twice, or there is neither a run nor data.
    """
    overrides = [word for word in words if word.startswith("data.") and "=" in word]
    given = key_values([word for word in words if word not in overrides], KEYS)
    if ("run" in given) == ("data" in given):
        raise ConfigError("run: give one with run=VALUE, or run=last; or data=NAME, not both")
    return given, overrides
