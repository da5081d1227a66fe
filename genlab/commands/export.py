"""genlab export: a trained model as safetensors, JSON and SHA-256, which can run nothing."""

from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.commands.parser import Parser
from genlab.errors import ConfigError, DataError, nearest
from genlab.overrides import value_of

if TYPE_CHECKING:
    from genlab.commands.build import Loaded
    from genlab.models.base import GenerativeModel

__all__ = ["import_model", "is_export", "run"]

KEYS = ("run", "out", "checkpoint", "weights", "root", "trust")

HELP = """\
genlab export run=last                      into the run's own folder export/
genlab export run=RUN out=DIR               into another
genlab export run=RUN checkpoint=last weights=raw

DIR holds model.safetensors, model.json and SHA256SUMS; sha256sum -c SHA256SUMS verifies them, and
genlab train ... init_from=DIR starts from the weights.
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

    from genlab.commands.build import load_run
    from genlab.config import check, trust_modules
    from genlab.runs import find_run
    from genlab.training.portable import SUMS, write_portable

    trust_modules(value_of([f"trust={given.get('trust', '')}"], "trust"))
    place = find_run(given["run"], Path(given.get("root", "runs")))
    out = Path(given.get("out", place.path / "export"))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"out={out}: has something in it; choose another folder with out=DIR")
    loaded = load_run(
        place, given.get("checkpoint", "best"), given.get("weights", "auto"), check=check
    )
    try:
        write_portable(out, loaded.model.state_dict(), facts(loaded))
    except OSError as error:
        raise ConfigError(f"out={out}: cannot be written to ({error.strerror})") from None
    print(f"{place.name}: {loaded.weights} weights after {loaded.images_seen:,} images: {out}")
    print((out / SUMS).read_text(), end="")
    return 0


def read(words: Sequence[str]) -> dict[str, str]:
    """The words as keys and values; a word by itself is the run.

    Raises:
        ConfigError: A key is unknown or given twice, or there is no run.
    """
    given: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        key, value = (key, value) if sign else ("run", word)
        if key not in KEYS:
            raise ConfigError(f"{word}: unknown key {key!r}{nearest(key, KEYS)}; {', '.join(KEYS)}")
        if key in given or not value:
            raise ConfigError(f"{word}: {key} needs one value")
        given[key] = value
    if "run" not in given:
        raise ConfigError("run: no value; give one with run=VALUE, or run=last")
    return given


def facts(loaded: "Loaded") -> dict[str, Any]:
    """What is known of a trained model, as JSON can hold it."""
    import genlab
    from genlab.commands.build import plain
    from genlab.redact import redact

    model, spec = loaded.model, loaded.model.spec
    described: dict[str, Any] = redact(
        {
            "genlab": genlab.__version__,
            "model": f"{type(model).__module__}.{type(model).__name__}",
            "parameters": sum(p.numel() for p in model.parameters()),
            "weights": loaded.weights,
            "images_seen": loaded.images_seen,
            "run": loaded.run.name,
            "spec": {
                "shape": list(spec.shape),
                "levels": spec.levels,
                "num_classes": spec.num_classes,
            },
            "metrics": loaded.run.read("summary.json").get("metrics", {}),
            "config": plain(loaded.cfg),
        }
    )
    return described


def is_export(folder: Path) -> bool:
    """Whether a folder holds an exported model."""
    from genlab.training.portable import FACTS

    return (folder / FACTS).is_file()


def import_model(folder: Path) -> "GenerativeModel":
    """Rebuilds an exported model; its config is checked before anything that it names is built.

    Raises:
        ConfigError: The config is wrong, or names what it may not.
        DataError: A file is damaged, or the weights are another model's.
    """
    from omegaconf import OmegaConf

    from genlab.commands.build import build_data, build_model
    from genlab.config import check
    from genlab.training.portable import WEIGHTS, read_portable

    state, described = read_portable(folder)
    cfg = OmegaConf.create(described["config"])
    check(cfg, "train")
    model = build_model(cfg, build_data(cfg).spec)
    try:
        model.load_state_dict(state)
    except RuntimeError:
        raise DataError(
            f"{folder / WEIGHTS} holds the weights of another model than model.json's config"
        ) from None
    model.images_seen = described["images_seen"]
    return model.eval().requires_grad_(False)
