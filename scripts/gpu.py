"""Measures on a GPU what is promised for one: tests, benches, then the recipes for a GPU.

    python scripts/gpu.py gpu                          # all of it, in the folder gpu
    python scripts/gpu.py gpu --only tests bench       # some of it
    python scripts/gpu.py gpu --only vae_mnist_dyn_gpu gan_mnist_gpu --together 2
    python scripts/gpu.py gpu --minutes 9              # stop then; the next call goes on

Each step leaves FOLDER/STEP.json when it is done, and is left out from then on. A recipe that time
ran out for has its run directory, and is resumed. A machine without network needs the wheels of
hydra-core, antlr4-python3-runtime, omegaconf, pooch, torch-fidelity, trackio and wandb, and of what
these need, carried along; the data are in the package.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from bench import machine

ROOT = Path(__file__).parents[1]
TESTS, BENCH = "tests", "bench"


def recipes() -> list[str]:
    """The experiments for a GPU, those that take less time first."""
    found = (ROOT / "configs" / "experiment").glob("*_gpu.yaml")
    return [path.stem for path in sorted(found, key=lambda path: (minutes_of(path), path.stem))]


def minutes_of(path: Path) -> float:
    """Minutes of training that a recipe takes by its ``max_time``."""
    word = next(line for line in path.read_text().splitlines() if "max_time:" in line)
    return float(word.split(":")[1].strip().rstrip("m"))


class Step:
    """Something to measure, which a file says is done.

    Args:
        name: What it is called with ``--only``.
        folder: Where its files go.
    """

    def __init__(self, name: str, folder: Path):
        self.name, self.folder = name, folder
        self.result, self.log = folder / f"{name}.json", folder / f"{name}.log"

    @property
    def done(self) -> bool:
        """Whether it left its file."""
        return self.result.exists()

    def command(self) -> list[str]:
        """What to start."""
        python, script = sys.executable, str(ROOT / "scripts" / "bench.py")
        if self.name == TESTS:
            return [python, "-m", "pytest", "-q", "-n", "8", str(ROOT / "tests" / "gpu")]
        if self.name == BENCH:
            part = str(self.result.with_suffix(".part"))
            return [python, script, "--device", "cuda", "--repeats", "3", "--json", part]
        run = self.folder / "runs" / self.name
        words = [f"run={run}"] if run.exists() else [f"experiment={self.name}", f"name={self.name}"]
        return [python, "-m", "genlab", "train", *words, f"root={run.parent}", "logger=none"]

    def conclude(self, code: int, seconds: float, beside: Sequence[str]) -> None:
        """Writes the step's file, if the command came to its end."""
        if self.name == BENCH:
            if code == 0:
                self.result.with_suffix(".part").rename(self.result)
            return
        found: dict[str, Any] = {"machine": machine(), "seconds": round(seconds, 1)}
        if self.name == TESTS:
            found |= {"exit": code, "said": self.log.read_text().splitlines()[-1]}
        elif code == 0:
            run = self.folder / "runs" / self.name
            found |= json.loads((run / "summary.json").read_text()) | {"beside": list(beside)}
        else:
            return
        self.result.write_text(json.dumps(found, indent=1) + "\n")


@contextmanager
def started(step: Step) -> Iterator[subprocess.Popen[bytes]]:
    """The step's process, its output in the step's log."""
    log: IO[bytes]
    with step.log.open("ab") as log:
        # benches count the time of one core; recipes take what there is
        env = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
        yield subprocess.Popen(step.command(), stdout=log, stderr=subprocess.STDOUT, env=env)


def measure(steps: Sequence[Step], until: float) -> None:
    """Runs steps at the same time; ends those that are not done in time, as a user would."""
    begun = time.monotonic()
    running: dict[str, tuple[Step, subprocess.Popen[bytes]]] = {}
    for step in steps:
        with started(step) as process:
            running[step.name] = step, process
    names = [step.name for step in steps]
    while running:
        time.sleep(0.2)
        for name, (step, process) in list(running.items()):
            if (code := process.poll()) is not None:
                seconds = time.monotonic() - begun
                step.conclude(code, seconds, [other for other in names if other != name])
                print(f"{name}: exit {code} after {seconds:.0f} s", flush=True)
                del running[name]
        if time.monotonic() > until:
            for name, (_, process) in running.items():
                print(f"{name}: no time left; call again", flush=True)
                process.send_signal(signal.SIGTERM)
            for _, process in running.values():
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the figures and runs go")
    parser.add_argument("--only", nargs="+", help="steps: tests, bench, names of recipes")
    parser.add_argument("--together", type=int, default=1, help="steps at the same time")
    parser.add_argument("--minutes", type=float, default=9.0, help="of this call")
    args = parser.parse_args()
    names = [TESTS, BENCH, *recipes()]
    if unknown := [name for name in args.only or [] if name not in names]:
        parser.error(f"--only {' '.join(unknown)}: steps are {', '.join(names)}")
    if args.together < 1:
        parser.error("--together must be at least 1")
    args.folder = args.folder.resolve()
    args.folder.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + 60 * args.minutes
    waiting = [Step(name, args.folder) for name in args.only or names]
    waiting = [step for step in waiting if not step.done]
    while waiting and time.monotonic() < until:
        now, waiting = waiting[: args.together], waiting[args.together :]
        measure(now, until)
    left = [name for name in args.only or names if not Step(name, args.folder).done]
    print(f"left: {', '.join(left)}" if left else "all is done")


if __name__ == "__main__":
    main()
