"""genlab detect: which images are odd to a trained run, and how well it tells them."""

import hashlib
import json
import time
from pathlib import Path

import torch
from omegaconf import DictConfig

from genlab.applications.conformal import check_alpha
from genlab.config.check import check
from genlab.config.invocation import Invocation
from genlab.config.schema import Detect
from genlab.errors import ConfigError
from genlab.experiment.detection import Detection, judge, odd_picture
from genlab.experiment.detector import Detector
from genlab.experiment.odd_images import check_shape, odd_images
from genlab.experiment.relocation import set_up
from genlab.experiment.trained import Loaded, load_asked
from genlab.metrics.report import Report
from genlab.modalities.images.image_reading import image_names, read_images
from genlab.modalities.images.levels import to_bytes
from genlab.modalities.rendering import Pixels, save_png
from genlab.rng import stream
from genlab.system.clock import now
from genlab.system.paths import check_writable, write_atomically, write_json
from genlab.system.terminal import bars, console, say

__all__ = ["run"]


def run(cfg: DictConfig, invocation: Invocation) -> None:
    """Scores images, prints how well odd ones are told from normal ones, and keeps a report.

    Raises:
        GenlabError: Something the user can mend.
    """
    # What is asked for
    config = check(cfg, "detect")
    if config.images is None and not config.vs:
        raise ConfigError(
            "give images=FOLDER to have them judged, or vs=[mirrored,noise] to measure the detector"
        )
    started = time.monotonic()
    loaded = load_asked(config)
    folder = Path(config.out or loaded.run.path / "applications" / "detect")
    check_writable(folder, f"out={config.out or 'null'}", "; out=FOLDER chooses a place")
    # All images, before any is scored
    set_up(loaded.run, loaded.data, moved=bool(config.places))
    detection, picture = detected(config, loaded)
    # The report
    if detection.odd:
        console().print(detection.table())
    for line in detection.lines():
        say(line)
    report = Report(
        loaded.data.source.name,
        loaded.data.fingerprint,
        loaded.weights,
        seed=config.seed,
        seconds=time.monotonic() - started,
        device=str(loaded.model.device),
    )
    stem = f"{loaded.images_seen:09d}-{digest(config)}"
    content = {
        "name": "detect",
        "checkpoint": loaded.checkpoint.stem,
        "images_seen": loaded.images_seen,
        "created": now(),
    }
    write_json(folder / f"{stem}.json", content | detection.add_to(report).to_dict())
    write_atomically(folder / f"{stem}.csv", detection.rows())
    save_png(folder / f"{stem}.png", picture)
    say(f"report, a row for each image, and the oddest: {folder / stem}.json, .csv, .png")


def detected(config: Detect, loaded: Loaded) -> tuple[Detection, Pixels]:
    """The numbers and the picture of a run."""
    spec = loaded.data.spec
    test = to_bytes(loaded.data.test.x, spec.levels)
    order = torch.randperm(len(test), generator=stream(config.seed, "normal test images"))
    normal = test[order[: config.n]]
    odd = {name: odd_images(name, normal, spec, config.n, config.seed) for name in config.vs}
    asked, names = None, None
    if config.images is not None:
        asked = read_images(config.images, channels=spec.channels)
        check_shape(asked, spec, f"images={config.images}")
        names = image_names(config.images, len(asked))
    with bars() as progress:
        detector = Detector(
            loaded,
            score=config.score,
            samples=config.likelihood_samples,
            seed=config.seed,
            progress=progress,
        )
        check_alpha(config.alpha, len(detector.calibration))
        detection = Detection(
            judge(detector, normal, "normal images"),
            {name: judge(detector, images, name) for name, images in odd.items()},
            None if asked is None else judge(detector, asked, "images", names),
            config.score,
            config.alpha,
        )
        sets = {"normal": detection.normal, **detection.odd}
        if detection.asked is not None:
            sets = {"images": detection.asked}
        return detection, odd_picture(detector, sets)


def digest(config: Detect) -> str:
    """Short hash of what was asked for: other questions are other files."""
    keys = ("images", "vs", "score", "alpha", "n", "likelihood_samples", "seed", "weights")
    asked = {key: config.content[key] for key in (*keys, "checkpoint")}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]
