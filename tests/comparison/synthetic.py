"""Run directories as training leaves them, without any training."""

import json
import math
import random

import yaml
from PIL import Image

from genlab.sweeps.jobs import Sweep

TARGETS = {
    "vae": "genlab.models.vae.VAE",
    "gan": "genlab.models.gan.GAN",
    "flow": "genlab.models.flow.Flow",
    "pixelcnn": "genlab.models.pixelcnn.PixelCNN",
}


def value(key, number, n=10000, extractor="digits", better="lower", floor=0.07, split="train"):
    """A number as an evaluation report holds it."""
    return {
        "key": key,
        "value": number,
        "better": better,
        "n": n,
        "split": split,
        "floor": floor,
        "floor_n": n,
        "std": None,
        "low": None,
        "high": None,
        "extractor": extractor,
        "extractor_id": f"{extractor}-hash" if extractor else "",
        "seconds": 0.1,
    }


def make_run(
    root,
    name,
    *values,
    model="vae",
    data="mnist",
    seed=0,
    status="finished",
    seconds=200.0,
    steps=8,
    start=60.0,
    end=10.0,
    created="2026-01-01T00:00:00+0000",
    settings=None,
    samples_per_second=None,
    pictures=True,
    report="closing",
):
    """A run whose quick metric falls from ``start`` to ``end`` in ``seconds``; returns its path."""
    path = root / name
    path.mkdir(parents=True, exist_ok=True)
    images = [10_000 * (i + 1) for i in range(steps)]
    config = {
        "seed": seed,
        "root": "runs",
        "name": name,
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 1e-3, "betas": [0.9, 0.999]},
        "trainer": {"max_time": "3m", "epochs": None},
        "logger": {"local": {"_target_": "genlab.training.loggers.trackio.TrackioLogger"}},
        "data": {"_target_": f"genlab.data.{data}", "batch_size": 128},
        "model": {"_target_": TARGETS.get(model, model), "width": 16},
    }
    for key, setting in (settings or {}).items():
        section, _, inner = key.partition(".")
        if inner:
            config[section][inner] = setting
        else:
            config[key] = setting
    (path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    fingerprint = f"{data}-" + "0" * 40
    identity = {
        "created": created,
        "status": status,
        "model": model,
        "data": data,
        "seed": seed,
        "fingerprint": fingerprint,
    }
    write(path / "run.json", identity)
    write(path / "environment.json", {"cpu_cores": 2, "threads": 1, "gpu": []})
    summary = {
        "images_seen": images[-1],
        "train_seconds": seconds,
        "parameters": 100_000 + 7 * len(model),
        "device": "cpu",
        "best_metric": "val/loss",
        "best": end,
        "best_images": images[-1],
    }
    write(path / "summary.json", summary)
    (path / "metrics.jsonl").write_text("".join(history(images, seconds, start, end, seed)))
    if values:
        write(
            path / "evaluation" / f"{report}-{images[-1]:09d}.json",
            {
                "name": report,
                "checkpoint": "best",
                "images_seen": images[-1],
                "created": created,
                "format": 1,
                "data": data,
                "fingerprint": fingerprint,
                "weights": "ema",
                "seconds": 1.0,
                "samples_per_second": samples_per_second,
                "values": list(values),
            },
        )
    if pictures:
        for seen in images[1::2]:
            picture(path / "samples" / f"{seen:09d}.png", seed + seen)
    return path


def history(images, seconds, start, end, seed):
    """The lines of metrics.jsonl."""
    noise = random.Random(seed)
    for i, seen in enumerate(images, 1):
        share = i / len(images)
        level = end + (start - end) * math.exp(-4 * share) * (1 + noise.uniform(-0.1, 0.1))
        line = {"images_seen": seen, "seconds": round(seconds * share, 3), "time": 1.8e9 + i}
        yield json.dumps(line | {"train/loss": 10 * level, "lr": 1e-3}) + "\n"
        yield json.dumps(line | {"val/loss": 10 * level + 1, "val/bpd": level / 20}) + "\n"
        if i % 2 == 0:
            quick = {"quick/fd_digits_2k": level, "quick/floor_fd_digits_2k": 0.13}
            yield json.dumps(line | quick) + "\n"


def picture(path, seed):
    """A sample grid: blobs of a number's own."""
    noise = random.Random(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    grid = Image.new("L", (82, 82), 255)
    for x in range(4):
        for y in range(4):
            shade = noise.randrange(0, 200)
            grid.paste(shade, (2 + 20 * x, 2 + 20 * y, 18 + 20 * x, 18 + 20 * y))
    grid.save(path)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2))


def make_sweep(root, name, jobs):
    """A sweep's directory of the real kind.

    Args:
        jobs: Of each job: its overrides, its state, and what ``make_run`` is given (None: no run).
    """
    from dataclasses import replace

    sweep = Sweep.create(root / name, command=["genlab", "train", "-m"], overrides=[])
    planned = sweep.add_jobs([overrides for overrides, _, _ in jobs])
    for job, (_, state, run) in zip(planned, jobs, strict=True):
        if run is not None:
            values, facts = run
            make_run(root / name, job.id, *values, **facts)
        sweep.write_record(replace(job, state=state))
    sweep.write_manifest()
    return root / name
