"""How cost grows: images/s and memory by the size of the data, memory by batch and depth."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from benches.timing import Bench, Gauges, Variant
from benches.training import through_cli

__all__ = ["BENCHES"]

FEW, MANY = 6_000, 60_000
SIDE = 28

RESIDENT = """
import ctypes, gc
from genlab.data.module import ImageDataModule
from genlab.data.synthetic import Synthetic
source = Synthetic(size={side}, n_train={n}, n_test=100)
data = ImageDataModule(source, val_size=100, resident=True, chunk=16)
data.prepare_data()
data.setup()
loader = data.train_loader()
for _ in range(10):
    next(loader)
gc.collect()
ctypes.CDLL(None).malloc_trim(0)  # what is free is no memory of the data's
status = open("/proc/self/status").read()
print(int(status.split("VmRSS:")[1].split()[0]) * 1024)
"""

STEPS = """
import torch
from genlab.models.{module} import {kind}
from genlab.types import Batch, ImageSpec
torch.set_num_threads(1)
def status(name):
    return int(open("/proc/self/status").read().split(name + ":")[1].split()[0]) * 1024
model = {kind}(ImageSpec(1, 28, 28, 256), {arguments})
batch = Batch(torch.randint(0, 256, ({batch}, 1, 28, 28), dtype=torch.uint8))
optimizer = torch.optim.Adam(model.parameters(), fused=True)
for size in (2, {batch}, {batch}):  # libraries are loaded by the first
    part = Batch(batch.x[:size])
    model.loss(part).total.backward()
    optimizer.step()
    optimizer.zero_grad()
    if size == 2:
        start = status("VmRSS")
        open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
print(status("VmHWM") - start)
"""

FIRST = """
import os, sys, time
from benches.training import noted
from genlab.cli.entry import main
class Marks(list):
    def append(self, mark):
        sys.__stdout__.write(f"{time.process_time()} {time.time()}\\n")
        sys.__stdout__.flush()
        os._exit(0)
sys.stdout = open(os.devnull, "w")
with noted(Marks()):
    main(sys.argv[1:])
"""


def child(code: str, *arguments: str) -> str:
    """What a Python program prints, run by itself."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": folder},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout


def flat() -> Sequence[Variant]:
    """The tiny VAE, so that what depends on the number of images would show."""

    def of(n: int) -> Variant:
        words = (
            "model=vae_mlp",
            "data=synthetic",
            f"data.size={SIDE}",
            f"data.n_train={n}",
            "data.val_size=500",
        )
        return Variant(f"{n:,} images", through_cli(*words, steps=160))

    return [of(FEW), of(MANY)]


def resident(say: Callable[[str], None]) -> dict[str, tuple[float, str]]:
    """Resident memory of a process that holds the training images and draws batches of them."""
    taken = {}
    for n in (FEW, MANY):
        say(f"{n:,} images in memory")
        taken[n] = int(child(RESIDENT.format(side=SIDE, n=n)))
    size = (MANY - FEW) * (SIDE * SIDE + 8)  # and a label of 8 bytes
    return {
        **{f"{n:,} images": (taken[n] / 2**20, "MiB") for n in taken},
        "growth, times the images' own bytes": ((taken[MANY] - taken[FEW]) / size, "x"),
    }


def steps(say: Callable[[str], None]) -> dict[str, tuple[float, str]]:
    """What a training step adds to a process's peak, above that of a step of two images."""
    found = {}

    def peak(name: str, **options: object) -> None:
        say(name)
        found[name] = (int(child(STEPS.format(**options))) / 2**20, "MiB")

    for batch in (128, 256, 512):
        peak(f"vae, batch {batch}", module="vae", kind="VAE", arguments="", batch=batch)
    for depth in (2, 4, 8):
        glow = f"steps={depth}, width=32"
        peak(f"flow of {depth} steps", module="flow", kind="Flow", arguments=glow, batch=128)
        glow += ", recompute=True"
        peak(f"{depth} steps, recomputed", module="flow", kind="Flow", arguments=glow, batch=128)
    return found


def first_step(say: Callable[[str], None]) -> dict[str, tuple[float, str]]:
    """From the command to the end of the first training step, data downloaded before."""
    words = [
        "train",
        "model=vae",
        "data=mnist",
        "trainer.threads=1",
        "trainer.chunk=1",
        "logger=none",
    ]
    spent = []
    for i in range(3):
        say(f"{i + 1} of 3")
        start = time.time()
        cpu, end = map(float, child(FIRST, *words).split())
        spent.append((cpu, end - start))
    return {
        "genlab train, CPU": (min(cpu for cpu, _ in spent), "s"),
        "genlab train, wall": (min(wall for _, wall in spent), "s"),
    }


BENCHES = [
    Bench(
        "scale: number of images",
        "images",
        flat,
        {
            (f"{MANY:,} images", f"{FEW:,} images"): 0.9,
            (f"{FEW:,} images", f"{MANY:,} images"): 0.9,
        },
    ),
    Gauges("memory: resident data", resident, {"growth, times the images' own bytes": 1.1}),
    Gauges("memory: batch and depth", steps),
    Gauges("time to the first training step", first_step),
]
