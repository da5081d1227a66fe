"""genlab doctor: is everything here that a run needs, and is it in order?"""

import importlib.metadata
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from genlab.commands.parser import Parser
from genlab.errors import GenlabError

__all__ = ["Finding", "examine", "run"]

GIB = 1 << 30
LEAST_DISK = 1 * GIB
LEAST_MEMORY = 2 * GIB


@dataclass(frozen=True)
class Finding:
    """Finding of one check.

    Args:
        what: The thing.
        state: ``problem`` is what keeps genlab from working, ``note`` what it can do without.
        text: What was found, and how to mend it.
    """

    what: str
    state: Literal["ok", "note", "problem"]
    text: str


def run(argv: Sequence[str]) -> int:
    """Prints what was found.

    Returns:
        0, or 1 if there is a problem.
    """
    parser = Parser(prog="genlab doctor", description="Is everything here that a run needs?")
    parser.add_argument("--root", default="runs", help="where the run directories lie")
    parser.add_argument("--json", action="store_true", help="as JSON")
    args = parser.parse_args(argv)
    findings = list(examine(Path(args.root)))
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        show(findings)
    return int(any(finding.state == "problem" for finding in findings))


def examine(root: Path) -> Iterator[Finding]:
    """Looks at everything; nothing is sent or fetched.

    Args:
        root: Where the run directories lie.
    """
    yield Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")
    yield from packages()
    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("devices", devices),
        ("memory", memory),
        ("runs", lambda: disk(root)),
        ("wandb", wandb_login),
        ("cache", caches),
        ("weights", weights),
        ("data", data_sets),
    ]
    for what, check in checks:
        try:
            yield from check()
        except (GenlabError, ImportError, OSError, RuntimeError) as error:
            yield Finding(what, "problem", f"{type(error).__name__}: {error}")


def packages() -> Iterator[Finding]:
    """Each package that genlab requires: is it installed, in a version that works?"""
    from packaging.requirements import Requirement

    try:
        required = [Requirement(text) for text in importlib.metadata.requires("genlab") or []]
    except importlib.metadata.PackageNotFoundError:
        yield Finding("genlab", "note", "runs from a folder, not installed: pip install -e .")
        return
    yield Finding("genlab", "ok", importlib.metadata.version("genlab"))
    for package in required:
        optional = package.marker is not None and not package.marker.evaluate({"extra": ""})
        if optional:
            continue
        try:
            version = importlib.metadata.version(package.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(package.name, "problem", f"not installed: pip install '{package}'")
            continue
        good = package.specifier.contains(version, prereleases=True)
        wanted = "" if good else f"; needed is {package.specifier}: pip install '{package}'"
        yield Finding(package.name, "ok" if good else "problem", version + wanted)


def devices() -> Iterator[Finding]:
    """Processor and accelerators."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("cpu", "ok", f"{cores} cores, {torch.get_num_threads()} threads")
    for i in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(i)
        free, total = torch.cuda.mem_get_info(i)
        text = f"{about.name}, {free / GIB:.1f} of {total / GIB:.1f} GiB free"
        yield Finding(f"cuda:{i}", "ok", f"{text}, CUDA {torch.version.cuda}")
    if torch.backends.mps.is_available():
        yield Finding("mps", "ok", "available")
    elif not torch.cuda.is_available():
        yield Finding("gpu", "note", "none found; everything runs on the CPU")


def memory() -> Iterator[Finding]:
    """Memory that is free, and the limit of the container if there is one."""
    file = Path("/proc/meminfo")
    if not file.is_file():
        return
    lines = dict(
        line.split(":", 1) for line in file.read_text(encoding="utf-8").splitlines() if ":" in line
    )
    free, total = (int(lines[key].split()[0]) << 10 for key in ("MemAvailable", "MemTotal"))
    text = f"{free / GIB:.1f} of {total / GIB:.1f} GiB free"
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (value := limit.read_text(encoding="utf-8").strip()).isdigit():
        text += f", this container may use {int(value) / GIB:.1f} GiB"
        free = min(free, int(value))
    yield Finding("memory", "ok" if free >= LEAST_MEMORY else "problem", text)


def disk(root: Path) -> Iterator[Finding]:
    """True if runs can be written, and the space for them."""
    folder = root.resolve()
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        yield Finding("runs", "problem", f"{folder} cannot be written to; choose another root=")
        return
    free = shutil.disk_usage(folder).free
    text = f"{root}: {free / GIB:.1f} GiB free on its disk"
    yield Finding("runs", "ok" if free >= LEAST_DISK else "problem", text)


def wandb_login() -> Iterator[Finding]:
    """State of the Weights & Biases login; asks no server."""
    from genlab.training.loggers.wandb_mode import choose_mode

    server = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    mode, reason = choose_mode("auto", server)
    text = f"runs are logged {mode}" + (f": {reason}" if reason else f" to {server}")
    yield Finding("wandb", "ok" if mode == "online" else "note", text)


def caches() -> Iterator[Finding]:
    """Contents of the caches."""
    import torch

    from genlab.system.paths import cache_dir

    for what, folder in (("cache", cache_dir()), ("torch hub", Path(torch.hub.get_dir()))):
        files = [file for file in folder.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
        yield Finding(what, "ok", f"{folder}: {len(files)} files, {size / 1e6:.1f} MB")


def weights() -> Iterator[Finding]:
    """The published networks of the metrics: those that are here need no download."""
    from genlab.metrics.extractors.dinov2 import DINOV2
    from genlab.metrics.extractors.inception import INCEPTION

    for file, metric in ((INCEPTION, "fid"), (DINOV2, "fd_dinov2")):
        try:
            yield Finding(file.name, "ok", str(file.find(download=False)))
        except GenlabError:
            text = f"not found ({metric} is not measured without); name its path in {file.variable}"
            yield Finding(file.name, "note", text)


def data_sets() -> Iterator[Finding]:
    """The data sets that need no download any more."""
    from genlab.data.storage.manifests import MANIFESTS
    from genlab.data.storage.sources import find

    here: list[str] = []
    away: list[str] = []
    for name, manifest in sorted(MANIFESTS.items()):
        if not manifest.files or manifest.origin == "bundled":
            here.append(name)
            continue
        try:
            found = find(manifest)
        except GenlabError as error:
            yield Finding(f"data {name}", "note", str(error))
            continue
        (here if found else away).append(name)
    yield Finding("data here", "ok", ", ".join(here))
    if away:
        yield Finding("data to fetch", "note", ", ".join(away))


def show(findings: Sequence[Finding]) -> None:
    """Prints one table."""
    from rich.console import Console
    from rich.table import Table

    style = {"ok": "green", "note": "yellow", "problem": "bold red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        state = f"[{style[finding.state]}]{finding.state}[/]"
        table.add_row(finding.what, state, finding.text.replace("[", r"\["))
    Console(width=None if sys.stdout.isatty() else 160, highlight=False).print(table)
    problems = sum(finding.state == "problem" for finding in findings)
    print(f"{problems} problem{'s' * (problems != 1)}" if problems else "all is well")
