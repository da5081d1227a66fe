"""Measures genlab beside what a user would take instead, in one process, turn by turn.

    python scripts/bench.py                       # everything; minutes to an hour, by the machine
    python scripts/bench.py --only vae flow       # what has these words in its name
    python scripts/bench.py --json bench.json
    python scripts/bench.py --check docs/bench.json   # no ratio 25 % worse than it was
    python scripts/bench.py --threads 2           # on two cores, by wall time
    python scripts/bench.py --device cuda         # on a GPU: other benches, by wall time

Variants take turns (A B A B ...), after a warm-up each; the table shows medians of CPU time, which
other work on the machine hardly moves, and of wall time. On several threads ratios are of wall
time: a thread that waits for others spins, and its CPU time says nothing about its work. The peers
(pythae, torchgan, nflows, smalldiffusion, denoising-diffusion-pytorch) are measured where they are
installed: ``make bench-peers`` does that in an environment of its own.
"""

import argparse
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from rich.console import Console
from rich.table import Table

from benches import (
    device,
    diffusion,
    evaluation,
    feed,
    flow,
    gan,
    pixelcnn,
    scale,
    startup,
    timing,
    vae,
)
from benches.before import Before
from benches.timing import Bench, Gauges

SUBJECTS = (vae, gan, flow, pixelcnn, diffusion, evaluation, feed, scale, startup)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import importlib.metadata as metadata

    names = ["torch", "pytorch-lightning", "torchvision", "pythae", "torchgan", "nflows"]
    names += ["smalldiffusion", "denoising-diffusion-pytorch"]
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": processor(),
        **({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **versions,
    }


def processor() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def show(result: dict[str, Any], console: Console) -> None:
    """One bench as a table, its goals below."""
    if "figures" in result:
        show_figures(result, console)
        return
    table = Table(title=result["name"], title_justify="left", title_style="bold")
    table.add_column("")
    table.add_column(f"{result['unit']} per CPU second", justify="right")
    table.add_column("per second", justify="right")
    table.add_column("spread", justify="right")
    for row in result["rows"]:
        if row.get("why"):
            table.add_row(row["name"], f"[dim]{row['why']}[/dim]", "", "")
            continue
        rates = (f"{row[key]:,.4g}" for key in ("per_cpu_second", "per_second"))
        table.add_row(row["name"], *rates, f"{row['spread']:.0%}")
    console.print(table)
    for ratio in result["ratios"]:
        met = ratio["ratio"] >= ratio["goal"]
        console.print(
            f"  {ratio['fast']} is {ratio['ratio']:.2f} times as fast as {ratio['slow']}"
            f" (goal {ratio['goal']:.2f}{'' if met else ': MISSED'})"
        )


def show_figures(result: dict[str, Any], console: Console) -> None:
    """Figures and their limits."""
    table = Table("", "", "limit", title=result["name"], title_justify="left", title_style="bold")
    for figure in result["figures"]:
        limit, value = figure["limit"], f"{figure['value']:,.4g} {figure['unit']}"
        met = limit is None or figure["value"] <= limit
        note = "" if limit is None else f"{limit:g}{'' if met else ': MISSED'}"
        table.add_row(figure["name"], value, note)
    console.print(table)


def measured(
    bench: Bench | Gauges, repeats: int, before: Before | None, console: Console
) -> dict[str, Any]:
    """A bench's figures; where a ratio is worse than before, those of a second try."""
    with console.status(bench.name) as status:
        result = bench.measure(repeats, status.update)
        if before is not None and before.worse([result]):
            show(result, console)
            console.print("  worse than before: measured once more")
            result = bench.measure(repeats, status.update)
    show(result, console)
    return result


def conclude(before: Before, results: list[dict[str, Any]]) -> None:
    """Says how the ratios compare, and exits with 1 where one is worse."""
    if lines := before.worse(results):
        sys.exit("worse than before by more than a quarter, twice:\n" + "\n".join(lines))
    known, all_of_them = before.compared(results), sum(len(r["ratios"]) for r in results)
    if not known:
        sys.exit("nothing was compared: none of these ratios was measured before")
    print(f"{known} of {all_of_them} ratios were measured before: none is worse by a quarter")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], help="words in the name of a bench")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="cores to measure on")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--check", type=Path, help="figures to hold the ratios against")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--list", action="store_true", help="the names of the benches")
    args = parser.parse_args()
    if args.repeats < 1:
        parser.error("--repeats must be at least 1")
    if not 1 <= args.threads <= (cores := os.cpu_count() or 1):
        parser.error(f"--threads must be from 1 to {cores}")
    torch.set_num_threads(args.threads)
    if args.threads > 1:
        timing.BASIS = "wall"
    benches: list[Bench | Gauges] = [bench for subject in SUBJECTS for bench in subject.BENCHES]
    if args.device == "cuda":
        if not torch.cuda.is_available() and not args.list:
            parser.error("--device cuda: there is no GPU here")
        timing.BASIS, benches = "wall", device.benches("cuda")
    chosen = [b for b in benches if not args.only or any(word in b.name for word in args.only)]
    if args.list or not chosen:
        print("\n".join(bench.name for bench in benches))
        sys.exit(0 if args.list else f"--only {' '.join(args.only)}: no bench has such a name")
    before = None
    if args.check:
        try:
            before = Before(args.check)
        except ValueError as error:
            parser.error(f"--check: {error}")
        if args.device == "cpu" and before.threads != args.threads:
            parser.error(f"--check: {args.check} is of --threads {before.threads}")
        chosen = [bench for bench in chosen if isinstance(bench, Bench) and bench.goals]
    console, results = Console(width=110), []
    for bench in chosen:
        results.append(measured(bench, args.repeats, before, console))
        if args.json:
            args.json.write_text(
                json.dumps({"machine": machine(), "benches": results}, indent=1) + "\n"
            )
    if before is not None:
        conclude(before, results)


if __name__ == "__main__":
    main()
