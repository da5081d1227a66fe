"""A gallery page of run directories: the newest samples of each, what they are of, and the command.

    python scripts/gallery.py runs docs/gallery.md --note "On a laptop."

Pictures are copied into a folder beside the page that is named after it; large ones are made small.
What a run does not say is left out, and a run without samples is not shown.
"""

import argparse
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from genlab.runs.directory import Run, list_runs

__all__ = ["gallery", "main"]

SIDE = 640
"""The longest side of a picture, in pixels."""

WIDTH = 80
"""Characters of a line of a command."""

SHOWN = ("fid", "fd", "bpd", "nll", "modes")
"""What the keys of the metrics begin with that a caption has."""

LEFT_OUT = ("root=", "name=", "logger=", "trainer.progress=")
"""Words of a command that change no number."""

HEAD = """\
# Gallery

The newest samples of {n} runs, put together by `python scripts/gallery.py` from their directories.
Numbers are of a run's best checkpoint, beside their floors, the same numbers of real test images;
[Evaluation](evaluation.md) says what each is. {note}
"""


def gallery(runs: list[Run], page: Path, note: str = "") -> list[Run]:
    """Writes the page and its pictures.

    Args:
        runs: The runs, in the order in which they are shown.
        page: The Markdown file; its pictures go into the folder of its name beside it.
        note: What is to be said of all of them.

    Returns:
        The runs that are not shown, since they have no samples.
    """
    pictures = page.with_suffix("")
    shutil.rmtree(pictures, ignore_errors=True)  # what is not shown any more
    pictures.mkdir(parents=True)
    sections, missing = [], []
    for run in runs:
        newest = max((run.path / "samples").glob("*.png"), default=None)
        if newest is None:
            missing.append(run)
            continue
        copy_small(newest, pictures / f"{run.name}.png")
        sections.append(section(run, f"{pictures.name}/{run.name}.png"))
    page.write_text("\n".join([HEAD.format(n=len(sections), note=note), *sections]))
    return missing


def copy_small(source: Path, target: Path) -> None:
    """Copies a picture, reduced where it is larger than `SIDE`."""
    with Image.open(source) as image:
        if max(image.size) <= SIDE:
            shutil.copyfile(source, target)
        else:
            image.thumbnail((SIDE, SIDE))
            image.save(target, optimize=True)


def section(run: Run, picture: str) -> str:
    """A run's part of the page."""
    identity, summary = run.read("run.json"), run.read("summary.json")
    name = f"run {run.name}, seed {identity.get('seed', '?')}"
    numbers = list(measured(summary.get("metrics", {})))
    facts = [name, *size(summary), *machine(run), *date(identity)]
    lines = [
        f"## {identity.get('model', '?')} on {identity.get('data', '?')}",
        "",
        f"![Samples of {run.name}]({picture})",
        "",
        *(["- " + ", ".join(numbers)] if numbers else []),
        "- " + ", ".join(facts),
        "",
        f"```bash\n{command(identity)}\n```",
        "",
    ]
    return "\n".join(lines)


def command(identity: dict[str, Any]) -> str:
    """The command that made the run, as a reader would type it."""
    words = [str(word) for word in identity.get("command", [])[1:]]
    kept = ["genlab", *(word for word in words if not word.startswith(LEFT_OUT))]
    lines = [""]
    for word in map(shlex.quote, kept):
        if len(lines[-1]) + len(word) > WIDTH:
            lines.append("   ")
        lines[-1] += f" {word}"
    return " \\\n".join(lines).lstrip()


def measured(metrics: dict[str, float]) -> Iterator[str]:
    """The numbers of a caption, each beside its floor where it has one."""
    for key, value in metrics.items():
        if key.startswith(SHOWN):
            floor = metrics.get(f"floor_{key}")
            yield f"`{key}` {value:.4g}" + (f" (floor {floor:.2g})" if floor is not None else "")


def size(summary: dict[str, Any]) -> Iterator[str]:
    """How much was trained, of what size, in what time."""
    if "parameters" in summary:
        yield f"{summary['parameters']:,} parameters"
    if "images_seen" in summary:
        yield f"{summary['images_seen']:,} images seen"
    if "train_seconds" in summary:
        yield f"{summary['train_seconds']:.0f} s of training on {summary.get('device', '?')}"


def machine(run: Run) -> Iterator[str]:
    """What it was trained with."""
    environment = run.read("environment.json")
    if "threads" in environment:
        yield f"{environment['threads']} of {environment.get('cpu_cores', '?')} cores"
    if "python" in environment:
        yield f"Python {environment['python']}"
    if "torch" in environment.get("packages", {}):
        yield f"torch {environment['packages']['torch']}"


def date(identity: dict[str, Any]) -> Iterator[str]:
    """When it was begun."""
    if "created" in identity:
        yield str(identity["created"])[:10]


def main() -> int:
    """Reads the command line and writes the page.

    Returns:
        The exit code: 1 if there is nothing to show.
    """
    parser = argparse.ArgumentParser(description="A gallery page of run directories.")
    parser.add_argument("runs", type=Path, help="where the run directories lie")
    parser.add_argument("page", type=Path, help="the Markdown file to write")
    parser.add_argument("--note", default="", help="what is to be said of all of them")
    args = parser.parse_args()
    runs = list_runs(args.runs)
    if not runs:
        print(f"{args.runs}: there is no run below it", file=sys.stderr)
        return 1
    missing = gallery(runs, args.page, args.note)
    print(f"{args.page}: {len(runs) - len(missing)} runs")
    for run in missing:
        print(f"{run.shown()}: no samples, not shown")
    return int(len(missing) == len(runs))


if __name__ == "__main__":
    sys.exit(main())
