"""Overrides of the command line, checked before Hydra sees them: no import, no composition."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from genlab.config.home import expand_overrides
from genlab.config.quoting import quote_overrides
from genlab.errors import ConfigError

__all__ = ["check_overrides", "groups", "key_of", "opened", "options", "value_of"]

OPEN = ("sampling", "places")
"""Sections whose keys no YAML lists: what a run holds says which there are."""

CHOSEN: tuple[str, ...] = ("callbacks.", "logger.", "trainer.", "guard.", "data.", "model.")
CHOSEN += ("optimizer.", "scheduler.", "metrics.", "closing.", "ema.", "curriculum.", "modality.")
"""Sections that a run has chosen, whose keys need not be those of the defaults."""

MOVED = {"data.path": "places.path", "data.root": "places.root"}
"""Keys of a run's data, beside ``run=``, by what they are called then: the run has chosen these."""


def key_of(override: str) -> str:
    """The key that an override sets, without the signs that say how.

    Example:
        >>> key_of("++model.latent=3"), key_of("~callbacks"), key_of("optimizer@net.opt=adam")
        ('model.latent', 'callbacks', 'optimizer@net.opt')
    """
    return override.partition("=")[0].lstrip("+~")


def value_of(overrides: Sequence[str], key: str) -> list[str]:
    """A list, or a single word, that was typed for a key.

    Example:
        >>> value_of(["seed=1", "trust=[mine, 'more']"], "trust")
        ['mine', 'more']
    """
    texts = [text.partition("=")[2] for text in overrides if key_of(text) == key]
    words = [word for text in texts for word in text.strip("[]()'\"").split(",")]
    return [word.strip(" '\"") for word in words if word.strip(" '\"")]


def opened(overrides: Sequence[str], command: str = "") -> list[str]:
    """The overrides as Hydra takes them: keys of an open section are added to it, ``~`` is home.

    A training run that is resumed has sections of its own choosing, which the defaults that Hydra
    composes need not have: keys of them are added, and held against the run's config later.

    Example:
        >>> opened(["n=4", "sampling.steps=50"])
        ['n=4', '++sampling.steps=50']
        >>> opened(["run=last", "data.path=moved"]), opened(["data.path=pictures"])
        (['run=last', '++places.path=moved'], ['data.path=pictures'])
        >>> opened(["run=last", "callbacks.mine.every=5", "~callbacks.samples"], "train")
        ['run=last', '++callbacks.mine.every=5', '++callbacks.samples=null']
        >>> opened(["run=last", "sampling.steps=2,4,8"], "evaluate")
        ['run=last', '++sampling.steps=[2,4,8]']
    """
    words = quote_overrides(expand_overrides(overrides))
    if command == "evaluate":
        words = [listed(word) for word in words]
    keys = [key_of(word) for word in words]
    if "run" in keys and "data" not in keys:
        words = [w.replace(k, MOVED.get(k, k), 1) for k, w in zip(keys, words, strict=True)]
    if command == "train" and value_of(words, "run") not in ([], ["null"]):
        chosen = tuple(f"{key}." for key in keys)  # a group whose sections are composed now
        words = [of_run(t) if not key_of(t).startswith(chosen) else t for t in words]
    return [f"++{t}" if re.split(r"[.=]", t)[0] in OPEN else t for t in words]


def listed(override: str) -> str:
    """Several values of an option of the sampling as a list: no sweep, but one evaluation."""
    key, _, value = override.partition("=")
    plain = key.startswith("sampling.") and "," in value and value[0] not in "['\"{"
    return f"{key}=[{value}]" if plain else override


def of_run(override: str) -> str:
    """An override of a resumed run's own section, added where the composed config lacks it."""
    key = key_of(override)
    if not key.startswith(CHOSEN):
        return override
    return f"++{key}=null" if override.startswith("~") else f"++{override.lstrip('+')}"


def options(folders: Sequence[Path], group: str) -> list[str]:
    """The configs of a group, by the name that chooses them."""
    found = {file.stem for folder in folders for file in (folder / group).glob("*.yaml")}
    return sorted(found)


def groups(folders: Sequence[Path]) -> list[str]:
    """All config groups, nested ones as ``a/b``."""
    found = {
        file.parent.relative_to(folder).as_posix()
        for folder in folders
        for file in folder.rglob("*.yaml")
        if file.parent != folder
    }
    return sorted(found)


def check_overrides(overrides: Sequence[str], folders: Sequence[Path]) -> None:
    """Refuses what Hydra would not understand, or would understand otherwise than it was meant.

    Args:
        overrides: The words of the command line that are no flags.
        folders: Where the configs lie.

    Raises:
        ConfigError: All that is wrong, a line each.
    """
    errors = [*malformed(overrides, folders), *repeated(overrides)]
    if errors:
        raise ConfigError("\n".join(errors))


def malformed(overrides: Sequence[str], folders: Sequence[Path]) -> Iterator[str]:
    """Words that are no ``key=value``, and groups that were given something else than a name."""
    known = groups(folders)
    for text in overrides:
        key, sign, value = text.partition("=")
        if text.startswith("~") and (instead := kept_section(key_of(text), folders, known)):
            yield f"{text}: the section cannot be taken away; {instead}"
        elif not sign and not text.startswith("~"):
            places = [f"{g}={text}" for g in known if text in options(folders, g)]
            meant = f"did you mean {places[0]}?" if places else f"such as {text}=VALUE"
            yield f"{text}: an override has the form key=value; {meant}"
        elif not key_of(text):
            yield f"{text}: an override has the form key=value, and the key is missing"
        elif key in known and not key.startswith("hydra") and is_no_name(value):
            allowed = ", ".join(options(folders, key))
            yield f"{text}: {key} is chosen by a name: {allowed}"
        elif key in known and is_path(value):
            yield f"{text}: {key} is chosen by a name, not a path; --config-dir=DIR adds a folder"


SECTIONS = {
    "ema": "ema.enabled=false trains without the average",
    "guard": "guard.action=warn is the least that it does",
    "closing": "closing.n_samples=2 metrics=none measures the least",
    "trainer": "its keys can be changed",
}
"""Sections that no group chooses, and what will have been meant by taking one away."""


def kept_section(key: str, folders: Sequence[Path], known: Sequence[str]) -> str | None:
    """Alternative to taking away a section that a config must have; None if it need not."""
    if key not in known or key.startswith("hydra"):
        return SECTIONS.get(key)
    return f"{key}=none leaves it empty" if "none" in options(folders, key) else SECTIONS.get(key)


def is_no_name(value: str) -> bool:
    """True for what can be no config's name: empty, null, a truth value, a number, a mapping, or a
    list that has one of these in it."""
    if value.startswith("["):
        inner = value.strip("[] ")
        return bool(inner) and any(is_no_name(word.strip()) for word in inner.split(","))
    if value.startswith("{"):
        return True
    if value.lower() in ("", "null", "true", "false"):
        return True
    try:
        float(value)
    except ValueError:
        return False
    return True


def is_path(value: str) -> bool:
    """True for a value that leads out of the folders of configs, or can be no file's name.

    Example:
        >>> is_path("../../etc/passwd"), is_path("/etc/passwd"), is_path("joblib")
        (True, True, False)
    """
    name = value.strip("'\"")
    return name.startswith(("/", "~")) or ".." in name.split("/") or "\0" in name


def repeated(overrides: Sequence[str]) -> Iterator[str]:
    """Keys that were given twice; Hydra silently takes the last."""
    first: dict[str, str] = {}
    for text in overrides:
        key = key_of(text)
        # Lightning adds hydra.* for its child processes to what the user may have given.
        if key.startswith("hydra.") and os.environ.get("LOCAL_RANK", "0") != "0":
            continue
        if key in first:
            yield f"{text}: {key} was given before, as {first[key]}; give it once"
        first[key] = text
