"""Datasheet of a data set: the heads of Gebru et al. 2021, filled in where genlab knows.

Datasheets for Datasets (arXiv:1803.09010). On top the metadata of Hugging Face's hub.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import yaml

from genlab.data.storage.manifest import Manifest
from genlab.experiment.cards.gathered import FORMAT, terms
from genlab.experiment.cards.markdown import code, plain, row, shown

if TYPE_CHECKING:
    from genlab.data.module import ImageDataModule

__all__ = ["data_facts", "datasheet"]

LICENCES = {
    "CC BY 4.0": "cc-by-4.0",
    "CC BY-SA 3.0": "cc-by-sa-3.0",
    "CC BY-SA 4.0": "cc-by-sa-4.0",
    "MIT": "mit",
}
"""The hub's names of licences; any other is ``other``, and none is ``unknown``."""

GEOMETRY = ("channels", "height", "width", "levels")
"""What images have; data of another kind has others."""

UNKNOWN = "Not known to genlab; whoever collected it can say."


def data_facts(
    name: str, promise: str, module: "ImageDataModule", manifest: Manifest | None, here: bool
) -> dict[str, Any]:
    """Facts about a data set, as JSON can hold them.

    Args:
        name: Name of its config.
        promise: What it is, in a line.
        module: The data, as the config divides them.
        manifest: What is known of its files.
        here: Whether the data are on this machine; else nothing is read, and nothing fetched.
    """
    spec, source = module.spec, module.source
    counts: dict[str, int | None] = {"train": None, "test": None}
    if manifest is not None:
        counts = {"train": manifest.train, "test": manifest.test}
    if here:
        module.prepare_data()
        module.setup()
        counts = {split: len(getattr(module, split).x) for split in ("train", "val", "test")}
    files = [] if manifest is None else [*manifest.files, *manifest.others]
    return {
        "format": FORMAT,
        "config": name,
        "promise": promise,
        **terms(source),
        "origin": "yours" if manifest is None else manifest.origin,
        "spec": {key: getattr(spec, key, None) for key in GEOMETRY},
        "num_classes": getattr(spec, "num_classes", None),
        "classes": list(source.class_names),
        "images": counts,
        "fingerprint": module.fingerprint if here else None,
        "files": [{"name": f.name, f.algorithm: f.hash, "of": f.hashed} for f in files],
        "notes": source.notes() if here else [],
    }


def datasheet(facts: Mapping[str, Any]) -> str:
    """The whole page."""
    head = yaml.safe_dump(front_matter(facts), sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n\n" + "\n".join(sections(facts)) + "\n"


def front_matter(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of a data set as the hub reads it."""
    licence = facts["licence"]
    head: dict[str, Any] = {
        "pretty_name": str(facts["name"]),
        "license": LICENCES.get(licence, "other") if licence else "unknown",
        "task_categories": ["unconditional-image-generation"],
        "tags": ["genlab", str(facts["config"])],
    }
    counted = {split: n for split, n in facts["images"].items() if n is not None}
    if counted:
        head["dataset_info"] = {
            "splits": [{"name": split, "num_examples": n} for split, n in counted.items()]
        }
    return head


def sections(facts: Mapping[str, Any]) -> Iterator[str]:
    """The lines below the metadata: seven heads."""
    spec = ", ".join(f"{key} {shown(value)}" for key, value in facts["spec"].items())
    yield f"# Datasheet of {plain(facts['name'])}\n"
    yield f"{plain(facts['promise'])}. Written by `genlab card data={code(facts['config'])}`.\n"
    yield f"## Motivation\n\n{UNKNOWN}\n"
    yield "## Composition\n"
    yield f"- images: {spec}"
    names = f": {', '.join(map(plain, facts['classes']))}" if facts["classes"] else ""
    yield f"- classes: {shown(facts['num_classes'])}{names}"
    known = facts["fingerprint"]
    told = "not known, as the data are not on this machine" if known is None else f"`{code(known)}`"
    yield f"- fingerprint (SHA-256 of the contents): {told}"
    yield from (f"- {plain(note)}" for note in facts["notes"])
    yield f"\n{row(['split', 'images'])}\n{row(['---', '---'])}"
    yield from (row([plain(split), shown(n)]) for split, n in facts["images"].items())
    yield "\nWhether persons are in the images, and which groups how often, was not looked at.\n"
    yield f"## Collection\n\nOrigin: {plain(facts['origin'])}. "
    yield f"Attribution: {plain(facts['attribution']) or 'not known'}."
    yield "Consent: not known to genlab.\n"
    yield "## Preprocessing\n"
    yield "What the config says (`genlab show`), and what the attribution names as changed.\n"
    yield "## Uses\n\nWhat the licence allows; genlab knows of no other list.\n"
    yield f"## Distribution\n\nLicence or terms: {plain(facts['licence']) or 'not known'}.\n"
    for file in facts["files"]:
        algorithm = next(key for key in file if key in ("sha256", "md5"))
        told = f"{algorithm} of its {plain(file['of'])} `{code(file[algorithm])}`"
        yield f"- {plain(file['name'])}: {told}"
    yield f"\n## Maintenance\n\n{UNKNOWN}"
