"""genlab export: a trained model as safetensors, JSON and SHA-256, which can run nothing."""

from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path

from genlab.commands.key_values import key_values
from genlab.commands.parser import Parser
from genlab.config.overrides import value_of
from genlab.errors import ConfigError
from genlab.experiment.exported import facts

__all__ = ["run"]

KEYS = ("run", "out", "checkpoint", "weights", "root", "trust")

HELP = """\
genlab export run=last                      into the run's own folder export/
genlab export run=RUN out=DIR               into another
genlab export run=RUN checkpoint=last weights=raw

DIR holds model.safetensors, model.json, its card (CARD.md, card.json, samples.png), SHA256SUMS and,
where they are known, the terms of the data (DATA_LICENCE.md). sha256sum -c SHA256SUMS verifies
them, and genlab train ... init_from=DIR starts from the weights.
"""


def run(argv: Sequence[str]) -> int:
    """Writes a run's weights, configuration and hashes.

    Raises:
        ConfigError: There is no such run, or the folder has something in it.
        DataError: The checkpoint is damaged.
    """
    parser = Parser(
        prog="genlab export", description=HELP, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE", help=", ".join(KEYS))
    given = read(parser.parse_args(argv).words)

    from genlab.config.check import trust_modules
    from genlab.experiment.cards.card_files import run_card
    from genlab.experiment.cards.gathered import gather
    from genlab.experiment.trained import load_run
    from genlab.runs.directory import find_run
    from genlab.training.saving.portable import SUMS, write_portable

    trust_modules(value_of([f"trust={given.get('trust', '')}"], "trust"))
    place = find_run(given["run"], Path(given.get("root", "runs")))
    out = Path(given.get("out", place.path / "export"))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"out={out}: has something in it; choose another folder with out=DIR")
    loaded = load_run(place, given.get("checkpoint", "best"), given.get("weights", "auto"))
    try:
        source = loaded.data.source
        card = run_card(place, gather(place, source), inside=False)
        write_portable(out, loaded.model.state_dict(), facts(loaded), source.terms.notice, card)
    except OSError as error:
        raise ConfigError(f"out={out}: cannot be written to ({error.strerror})") from None
    print(f"{place.name}: {loaded.weights} weights after {loaded.images_seen:,} images: {out}")
    print((out / SUMS).read_text(encoding="utf-8"), end="")
    return 0


def read(words: Sequence[str]) -> dict[str, str]:
    """The words as keys and values; a word by itself is the run.

    Raises:
        ConfigError: A key is unknown or given twice, or there is no run.
    """
    given = key_values(words, KEYS)
    if "run" not in given:
        raise ConfigError("run: no value; give one with run=VALUE, or run=last")
    return given
