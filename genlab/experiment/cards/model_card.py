"""Model card: a run's facts as Markdown, with the metadata of Hugging Face on top.

After Mitchell et al. 2019, Model Cards for Model Reporting (arXiv:1810.03993). What is not known is
called so; nothing is filled in.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from genlab.experiment.cards.markdown import code, plain, row, shown

__all__ = ["front_matter", "model_card", "number_rows"]

HEAD = ("metric", "what", "better", "value", "± or 95 %", "floor", "n (floor)", "split")

MISUSE = (
    "passing samples off as photographs, as records of what happened, or as anybody's work",
    "decisions about persons, health, money or safety: nobody has tested it for any of them",
    "conclusions about the world: how often something occurs in samples is a property of the model",
    "anything that the terms of the data (above) do not allow; whether they reach the weights and "
    "the samples, this card cannot say",
)

COPIES = ("nn_ratio", "authenticity")
"""Beginnings of the keys that tell of copied training images."""


def model_card(facts: Mapping[str, Any], grid: str | None) -> str:
    """The whole card.

    Args:
        facts: What `gather` found.
        grid: Path of a picture of samples, as seen from the card.
    """
    head = yaml.safe_dump(front_matter(facts), sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n\n" + "\n".join(sections(facts, grid)) + "\n"


def front_matter(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of a model as Hugging Face's hub reads it."""
    data, model = facts["data"], facts["model"]
    images = data["spec"].get("kind") == "image"
    task = "unconditional-image-generation" if images else "other"
    numbers = [
        {"type": one["metric"], "name": one["label"] or one["metric"], "value": one["value"]}
        for one in facts["numbers"]
        if isinstance(one["value"], int | float) and math.isfinite(one["value"])
    ]
    head: dict[str, Any] = {
        "library_name": "genlab",
        "license": "unknown",  # of the weights: that of the data is another, and stands below
        "tags": ["genlab", "generative", str(model["config"])],
        "datasets": [str(data["name"])],
    }
    if images:
        head["pipeline_tag"] = task
    if numbers:
        known = {"name": str(data["name"]), "type": str(data["name"])}
        result = {"task": {"type": task}, "dataset": known, "metrics": numbers}
        head["model-index"] = [{"name": str(facts["run"]), "results": [result]}]
    return head


def sections(facts: Mapping[str, Any], grid: str | None) -> Iterator[str]:
    """The lines below the metadata."""
    model, data, machine = facts["model"], facts["data"], facts["hardware"]
    # What it is
    yield f"# {plain(facts['run'])}\n"
    yield (
        f"A generative model, `{code(model['config'])}` ({code(model['class'])}, "
        f"{shown(model['parameters'])} parameters), trained on {plain(data['name'])}: "
        f"{shown(facts['images_seen'])} images seen, seed {shown(facts['seed'])}. What it makes is "
        "synthetic. Written by `genlab card` from the files of the run alone.\n"
    )
    if grid is not None:
        yield f"![samples, as they came]({grid})\n"
    # Data
    yield "## Data\n"
    spec = {key: data["spec"].get(key) for key in ("channels", "height", "width", "levels")}
    geometry = ", ".join(f"{key} {value}" for key, value in spec.items() if value is not None)
    images = ", ".join(f"{plain(name)} {shown(n)}" for name, n in data["images"].items())
    yield f"- name: {plain(data['name'])}"
    yield f"- licence or terms: {plain(data['licence']) or 'not known'}"
    yield f"- attribution: {plain(data['attribution']) or 'not known'}"
    yield f"- images by split: {images or 'not known'}"
    yield f"- geometry: {plain(geometry) or 'not known'}"
    yield f"- classes: {', '.join(map(plain, data['classes'])) or 'none, or not known'}"
    yield f"- fingerprint (SHA-256 of the contents): `{code(data['fingerprint'])}`\n"
    # Numbers
    yield "## Numbers\n"
    yield from number_section(facts)
    # How it was made
    yield "## How to make it again\n"
    yield f"```bash\n{fenced(facts['command'])}\n```\n"
    versions = (f"{plain(k)} {plain(v)}" for k, v in facts["versions"].items() if v is not None)
    yield f"- versions: {', '.join(versions) or 'not known'}"
    gpu = ", ".join(map(plain, machine["gpu"])) or "none"
    cores = f"CPU cores {shown(machine['cpu_cores'])}, threads {shown(machine['threads'])}"
    yield f"- hardware: device {shown(machine['device'])}; GPU {gpu}; {cores}"
    yield f"- training time: {shown(facts['train_seconds'])} s"
    yield f"- energy: {'not measured' if facts['energy'] is None else plain(facts['energy'])}"
    for name, digest in facts["checkpoints"].items():
        yield f"- SHA-256 of {plain(name)}: `{code(digest)}`"
    # What it is not for
    yield "\n## What it must not be used for\n"
    yield from (f"- {line}" for line in MISUSE)
    yield "\n## Limits\n"
    yield from (f"- {line}" for line in limits(facts))


def number_section(facts: Mapping[str, Any]) -> Iterator[str]:
    """The table of numbers, or that there are none."""
    numbers = facts["numbers"]
    if not numbers:
        yield (
            "Nothing was measured: this run has no evaluation. "
            f"`genlab evaluate run={code(facts['run'])}` makes one.\n"
        )
        return
    yield row(HEAD)
    yield row(["---"] * len(HEAD))
    yield from number_rows(numbers).values()
    yield (
        "\nThe floor is the same number of real test images in the samples' place: what can be "
        "reached. What each metric is blind to stands in genlab's docs/evaluation.md.\n"
    )
    for name in dict.fromkeys(one["report"] for one in numbers):
        one = next(one for one in numbers if one["report"] == name)
        yield (
            f"- `evaluation/{code(name)}`: {shown(one['checkpoint'])} checkpoint, "
            f"{shown(one['images_seen'])} images seen, {shown(one['weights'])} weights, sampling "
            f"seed {shown(one['seed'])}, {shown(one['seeds'])} draw(s)"
        )
    if facts["other_reports"]:
        names = ", ".join(f"`{code(name)}`" for name in facts["other_reports"])
        yield f"- with other sampling, not in this table: {names}"
    yield ""


def number_rows(numbers: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """A row of the table for each key."""
    rows = {}
    for one in numbers:
        spread = "" if one["std"] is None else f"± {shown(one['std'])}"
        if one["low"] is not None and one["high"] is not None:
            spread = f"{shown(one['low'])} to {shown(one['high'])}"
        floor = "" if one["floor"] is None else shown(one["floor"])
        counted = "" if one["floor_n"] is None else f" ({shown(one['floor_n'])})"
        what, better = plain(one["label"]), plain(one["better"] or "")
        cells = [f"`{code(one['metric'])}`", what, better, shown(one["value"]), spread, floor]
        rows[str(one["metric"])] = row([*cells, f"{shown(one['n'])}{counted}", plain(one["split"])])
    return rows


def limits(facts: Mapping[str, Any]) -> Iterator[str]:
    """What the facts themselves say that is not known, or not good."""
    numbers = facts["numbers"]
    keys = [str(one["metric"]) for one in numbers]
    if facts["status"] != "finished":
        yield f"The training did not finish: its status is {shown(facts['status'])}."
    yield f"One training with seed {shown(facts['seed'])}: how much seeds differ is not known."
    if not any(key.startswith(COPIES) for key in keys):
        yield (
            "Memorization was not measured: samples may be copies of training images "
            "(`genlab evaluate` with `metrics=full` measures it)."
        )
    else:
        yield "Memorization was measured in an extractor's features, which may miss copies."
    if bounds := [
        key for key in keys if key.startswith(("nll_elbo", "bpd_elbo", "nll_iw", "bpd_iw"))
    ]:
        yield f"{', '.join(f'`{code(key)}`' for key in bounds)}: bounds, not the likelihood itself."
    if estimates := [key for key in keys if key.startswith(("nll_ais", "bpd_ais"))]:
        named = ", ".join(f"`{code(key)}`" for key in estimates)
        yield f"{named}: estimates of the likelihood, which err towards too good a number."
    if bare := [one["metric"] for one in numbers if one["floor"] is None and one["better"]]:
        yield f"Without a floor: {', '.join(f'`{code(key)}`' for key in bare)}."
    yield "Nothing was measured class by class or by groups of persons."
    yield "The energy that it took was not measured."
    for text in facts["warnings"]:
        yield f"Warned of in training: {plain(text)}"


def fenced(command: str | None) -> str:
    """A command in a block of code, which it cannot end."""
    if not command:
        return "# the command is not known"
    return " ".join(command.split()).replace("```", "'''")
