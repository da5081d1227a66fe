"""Every family: the files under configs/model, and models built from them without Hydra's tree."""

import functools
import re
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from genlab.errors import ConfigError
from genlab.types import Batch, ImageSpec

FOLDER = Path(__file__).parents[1] / "configs" / "model"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))

# The first one that a family accepts is what it is tested on; three labels, used or not.
SPECS = [
    ImageSpec(1, 8, 8, levels=4, num_classes=3),
    ImageSpec(1, 8, 8, levels=2, num_classes=3),
    ImageSpec(3, 8, 8, levels=4, num_classes=3),
    ImageSpec(1, 28, 28, levels=256, num_classes=3),
    ImageSpec(1, 32, 32, levels=256, num_classes=3),
    ImageSpec(3, 32, 32, levels=256, num_classes=3),
    ImageSpec(3, 64, 64, levels=256, num_classes=3),
]
TINY = ImageSpec(1, 2, 2, levels=2, num_classes=3)


def config(name: str, **overrides) -> DictConfig:
    """The family's YAML, less its defaults list, with some keys overridden."""
    cfg = OmegaConf.load(FOLDER / f"{name}.yaml")
    cfg.pop("defaults", None)
    return OmegaConf.merge(cfg, overrides)


def build(name: str, spec: ImageSpec, *, seed: int = 0, **overrides):
    """A model of the family, on the CPU, in training mode."""
    torch.manual_seed(seed)
    return instantiate(config(name, **overrides), _partial_=True)(spec)


@functools.cache
def spec_of(name: str) -> ImageSpec:
    """The first of `SPECS` that the family takes."""
    for spec in SPECS:
        try:
            build(name, spec)
        except ConfigError:
            continue
        return spec
    raise AssertionError(f"{name} takes none of the tests' image shapes")


def variants() -> list[tuple[str, dict]]:
    """Each family as it is, and conditional, too, if it can be and is not."""
    found = []
    for name in NAMES:
        found.append((name, {}))
        if config(name).get("conditional") is False:
            found.append((name, {"conditional": True}))
    return found


def images(spec: ImageSpec, n: int = 6, seed: int = 0) -> Batch:
    """Random images and labels."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randint(0, spec.levels, (n, *spec.shape), dtype=torch.uint8, generator=g)
    y = torch.randint(0, spec.num_classes, (n,), generator=g) if spec.num_classes else None
    return Batch(x, y)


def labels(model, n: int):
    """Labels for n samples, None if the model takes none."""
    return torch.arange(n) % model.num_classes if model.conditional else None


def header(name: str) -> list[str]:
    """The comment lines that the YAML starts with."""
    lines = (FOLDER / f"{name}.yaml").read_text().splitlines()
    return [line[2:] for line in lines[: next(i for i, s in enumerate(lines) if s[:2] != "# ")]]


def promised_parameters(name: str) -> tuple[int, ImageSpec]:
    """The header's ``parameters: N on CxHxWxL``, with ten classes."""
    line = next((s for s in header(name) if s.startswith("parameters:")), "")
    match = re.fullmatch(r"parameters: ([\d,]+) on (\d+)x(\d+)x(\d+)x(\d+)", line)
    assert match, f"{name}.yaml: no line like '# parameters: 12,345 on 1x28x28x256', but {line!r}"
    count, *shape = (int(group.replace(",", "")) for group in match.groups())
    return count, ImageSpec(*shape[:3], levels=shape[3], num_classes=10)
