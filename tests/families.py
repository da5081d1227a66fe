"""Every family: the files under configs/model, and models built from them without Hydra's tree."""

import dataclasses
import functools
import re
from pathlib import Path

import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf

from genlab.errors import ConfigError
from genlab.models.autoencoder import Autoencoder
from genlab.types import Batch, ImageSpec, LabelSpec, SequenceSpec, Spec, VectorSpec

FOLDER = Path(__file__).parents[1] / "configs" / "model"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))

THREE = LabelSpec(3)
"""Three labels, used or not."""

SPECS: dict[type[Spec], list[Spec]] = {
    ImageSpec: [
        ImageSpec(1, 8, 8, levels=4, condition=THREE),
        ImageSpec(1, 8, 8, levels=2, condition=THREE),
        ImageSpec(3, 8, 8, levels=4, condition=THREE),
        ImageSpec(1, 28, 28, levels=256, condition=THREE),
        ImageSpec(1, 32, 32, levels=256, condition=THREE),
        ImageSpec(3, 32, 32, levels=256, condition=THREE),
        ImageSpec(3, 64, 64, levels=256, condition=THREE),
    ],
    SequenceSpec: [SequenceSpec(8, levels=5, condition=THREE)],
    VectorSpec: [VectorSpec(2, condition=THREE)],
}
"""Of each kind of data, the first one that a family accepts is what it is tested on."""

TINIEST: dict[type[Spec], Spec] = {
    ImageSpec: ImageSpec(1, 2, 2, levels=2, condition=THREE),
    SequenceSpec: SequenceSpec(4, levels=2, condition=THREE),
    VectorSpec: VectorSpec(2, condition=THREE),
}
"""Of each kind, one of so few examples that all of them can be listed, or numbers integrated."""

TINY = TINIEST[ImageSpec]


HEAVY = frozenset(
    (
        "dit",
        "flow_glow",
        "flow_nice",
        "flow_nsf",
        "flow_realnvp",
        "gan_progressive",
        "gan_sagan",
        "gan_stylegan",
        "image_gpt",
        "pixelcnn_gated",
        "pixelcnn_pp",
        "pixelrnn",
        "pixelsnail",
        "vae_resnet",
        "vae_vamp",
        "vq_vae",
    )
)
"""Families that take longest, of a kind that a lighter one has, too: what takes long of their
contract is held by `make test-all`, what is quick by `make test`."""


def heavy_are_slow(cases, name_of=lambda case: case[0], id_of=lambda case: None) -> list:
    """Parameters of a test, of which those of heavy families are marked as slow."""
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            id=id_of(case),
            marks=[pytest.mark.slow] * (name_of(case) in HEAVY),
        )
        for case in cases
    ]


def config(name: str, **overrides) -> DictConfig:
    """The family's YAML, less its defaults list, with some keys overridden."""
    cfg = OmegaConf.load(FOLDER / f"{name}.yaml")
    cfg.pop("defaults", None)
    return OmegaConf.merge(cfg, overrides)


def build(name: str, spec: Spec, *, seed: int = 0, **overrides):
    """A model of the family, on the CPU, in training mode; its parts are tiny autoencoders."""
    torch.manual_seed(seed)
    cfg = config(name, **overrides)
    parts = {key: tiny_autoencoder(spec) for key in cfg if OmegaConf.is_missing(cfg, key)}
    for key in parts:
        del cfg[key]
    return instantiate(cfg, _partial_=True)(spec, **parts)


def tiny_autoencoder(spec: Spec) -> Autoencoder:
    """What a family gets for a part that a user would train before: ``model=ae``, or a tiny one."""
    if isinstance(spec, ImageSpec) and min(spec.shape[1:]) >= 28:
        return build("ae", spec).eval().requires_grad_(False)
    return Autoencoder(spec, network="mlp", hidden=16, latent=4).eval().requires_grad_(False)


def accepted(name: str) -> list[type[Spec]]:
    """The kinds of data that the family models."""
    return [kind for kind in SPECS if issubclass(kind, get_class(config(name)._target_).accepts)]


@functools.cache
def spec_of(name: str, kind: type[Spec] = ImageSpec) -> Spec:
    """The first of `SPECS` that the family takes."""
    for spec in SPECS[kind]:
        try:
            build(name, spec)
        except ConfigError:
            continue
        return spec
    raise AssertionError(f"{name} takes none of the tests' specs of {kind.kind()}s")


def cases() -> list[tuple[str, type[Spec]]]:
    """Each family with each kind of data that it accepts."""
    return [(name, kind) for name in NAMES for kind in accepted(name)]


def variants() -> list[tuple[str, type[Spec], dict]]:
    """Each of `cases` as it is, and conditional, too, if it can be and is not."""
    found = []
    for name, kind in cases():
        found.append((name, kind, {}))
        if config(name).get("conditional") is False:
            found.append((name, kind, {"conditional": True}))
    return found


def case_id(case: tuple) -> str:
    """A name for the test of a case or a variant."""
    name, kind, overrides = (*case, {})[:3]
    words = [name, *([] if kind is ImageSpec else [kind.kind()])]
    return "-".join([*words, *(["conditional"] if overrides else [])])


def without_condition(spec: Spec) -> Spec:
    """The same data with nothing beside it."""
    bare = {"num_classes": 0} if isinstance(spec, ImageSpec) else {}
    return dataclasses.replace(spec, condition=None, **bare)


def values(spec: Spec, n: int, generator: torch.Generator) -> torch.Tensor:
    """Random examples of any kind, ``(n, *spec.shape)``."""
    if spec.levels is None:
        return torch.randn(n, *spec.shape, dtype=spec.dtype, generator=generator)
    return torch.randint(spec.levels, (n, *spec.shape), dtype=spec.dtype, generator=generator)


def examples(spec: Spec, n: int = 6, seed: int = 0) -> Batch:
    """Random examples and conditions."""
    g = torch.Generator().manual_seed(seed)
    return Batch(values(spec, n, g), spec.condition and values(spec.condition, n, g))


def conditions(model, n: int):
    """Conditions for n samples, None if the model takes none."""
    if model.num_classes:
        return torch.arange(n) % model.num_classes
    return model.condition and values(model.condition, n, torch.Generator().manual_seed(0))


def header(name: str) -> list[str]:
    """The comment lines that the YAML starts with."""
    lines = (FOLDER / f"{name}.yaml").read_text().splitlines()
    return [line[2:] for line in lines[: next(i for i, s in enumerate(lines) if s[:2] != "# ")]]


def promised_parameters(name: str) -> tuple[int, Spec]:
    """The header's ``parameters: N on CxHxWxL``, with ten classes; of sequences ``TxL``."""
    line = next((s for s in header(name) if s.startswith("parameters:")), "")
    sequences = re.fullmatch(r"parameters: ([\d,]+) on (\d+)x(\d+)", line)
    if sequences:
        count, length, levels = (int(group.replace(",", "")) for group in sequences.groups())
        return count, SequenceSpec(length, levels)
    match = re.fullmatch(r"parameters: ([\d,]+) on (\d+)x(\d+)x(\d+)x(\d+)(?:, with .+)?", line)
    assert match, f"{name}.yaml: no line like '# parameters: 12,345 on 1x28x28x256', but {line!r}"
    count, *shape = (int(group.replace(",", "")) for group in match.groups())
    return count, ImageSpec(*shape[:3], levels=shape[3], num_classes=10)
