"""Every file under configs/: it composes, passes the check, promises something, and builds."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from families import heavy_are_slow, tiny_autoencoder
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate

from genlab.config.check import check
from genlab.config.folders import config_dir
from genlab.errors import ConfigError
from genlab.experiment.build import build_data, build_model, build_module
from genlab.experiment.watched import too_late
from genlab.launch.hydra_patches import prefer_own_configs
from genlab.types import Batch

CONFIGS = config_dir()
FILES = sorted(path.relative_to(CONFIGS) for path in CONFIGS.rglob("*.yaml"))
GROUPS = sorted({str(path.parent) for path in FILES} - {"."})
PRIMARY = {path.stem for path in FILES if str(path.parent) == "."}
MODELS = sorted(path.stem for path in FILES if str(path.parent) == "model")
DATA = sorted(path.stem for path in FILES if str(path.parent) == "data")
MISSING = {
    "ngram": ["data=shakespeare"],
    "shakespeare": ["model=ngram"],
    "text": ["model=ngram", "data.path=x.txt"],
    "folder": ["data.path=x"],
    "hf": ["data.path=x"],
    "latent_diffusion": ["model.autoencoder=run:ae"],
}
"""What some files leave for the user to say."""

OWN_TESTS = (".", "hydra", "race")
"""What no config chooses from a group: `tests/racing/test_race_configs.py` has the races."""


@pytest.fixture(autouse=True)
def _hydra():
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        prefer_own_configs()
        yield
    GlobalHydra.instance().clear()


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory):
    """A cache of all tests of this file that read bundled data, which are decoded once."""
    return tmp_path_factory.mktemp("cache")


def parts_of(model, spec):
    """Models in the place of the runs that a family stands on."""
    keys = [word.split("=")[0].removeprefix("model.") for word in MISSING.get(model, [])]
    return {key: tiny_autoencoder(spec) for key in keys}


def composed(*overrides, command="train"):
    return compose(command, list(overrides))


def test_there_is_no_file_that_this_test_does_not_see():
    assert len(FILES) >= 60
    assert {"model", "data", "optimizer", "scheduler", "trainer", "logger"} <= set(GROUPS)
    assert {"train", "evaluate", "sample", "reconstruct"} <= PRIMARY


@pytest.mark.parametrize("file", [f for f in FILES if str(f.parent) not in OWN_TESTS], ids=str)
def test_every_choice_composes_and_passes_the_check(file):
    group, name = str(file.parent), file.stem
    command = "sample" if group == "task" else "train"
    parent = ["hydra/sweeper=optuna"] if group == "hydra/sweeper/sampler" else []
    missing = ["run=last"] if group == "task" else []
    missing += MISSING.get(name, []) if group in ("data", "model") else []
    check(composed(*parent, f"{group}={name}", *missing, command=command), command)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_every_file_begins_with_its_promise(file):
    lines = (CONFIGS / file).read_text().splitlines()
    first = next(line for line in lines if not line.startswith("# @package"))
    assert re.match(r"# \S.{10,}", first), f"{file} does not say what it is"


@pytest.mark.parametrize("name", MODELS)
def test_a_models_header_tells_its_size(name):
    text = (CONFIGS / "model" / f"{name}.yaml").read_text()
    if re.search(r"# parameters: [\d,]+ on \d+x\d+$", text, re.M):
        return  # of sequences: tests/test_contract.py counts them
    match = re.search(r"# parameters: ([\d,]+) on (\d+)x(\d+)x(\d+)x(\d+)", text)
    assert match, f"model/{name}.yaml has no '# parameters: N on CxHxWxLEVELS'"
    from genlab.types import ImageSpec

    spec = ImageSpec(*map(int, match.groups()[1:]), num_classes=10)
    cfg = composed(f"model={name}", *MISSING.get(name, []))
    model = build_model(cfg.model, spec, cfg.seed, parts_of(name, spec))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert f"{count:,}" == match[1]
    assert re.search(r"# measured: \S", text), f"model/{name}.yaml does not say what was measured"


TINY_DATA = {
    "synthetic": ["data.limit=64"],
    "mnist_dyn": ["data.limit=64"],
    "gaussians": ["data.limit=64"],
}
"""Data that is quickly made or bundled: 8-bit images, binary images, and points."""


@pytest.mark.parametrize("data", TINY_DATA)
@pytest.mark.parametrize("model", heavy_are_slow(MODELS, name_of=str, id_of=str))
def test_every_model_trains_on_every_kind_of_data_or_says_why_not(
    model, data, shared_cache, monkeypatch
):
    monkeypatch.setenv("GENLAB_CACHE", str(shared_cache))
    cfg = composed(
        f"model={model}",
        *MISSING.get(model, []),
        f"data={data}",
        *TINY_DATA[data],
        "data.batch_size=2",
        "data.val_size=16",
    )
    try:
        config, misfit = check(cfg, "train"), ""
    except ConfigError as error:  # data of another kind
        config, misfit = None, str(error)
    if config is None:
        assert "; take model=" in misfit
        return
    source = build_data(config.data)
    source.prepare_data()
    try:
        parts = parts_of(model, source.spec)
        built = build_model(config.model, source.spec, config.seed, parts)
    except ConfigError as error:
        reason = str(error)
    else:
        reason = None
    if reason is not None:
        assert re.search(r"model[.s ]|data\.", reason), reason
        return
    module = build_module(config, built, source.n_train)
    batch = next(iter(source.train_loader()))
    batch = Batch(batch.x[0], None if batch.y is None else batch.y[0])
    for player, optimizer in zip(built.players, module.configure_optimizers(), strict=True):
        loss = built.loss(batch, player)
        loss.total.backward()
        optimizer.step()
        assert torch.isfinite(loss.total)


def test_a_family_brings_its_optimizer_and_the_user_has_the_last_word():
    assert composed("model=vae").optimizer._target_.endswith("Adam")
    assert composed("model=vae", "optimizer=sgd").optimizer._target_.endswith("SGD")
    assert composed("optimizer=adamw", "optimizer.lr=0.5").optimizer.lr == 0.5


@pytest.mark.parametrize("name", sorted(f.stem for f in FILES if str(f.parent) == "optimizer"))
def test_every_optimizer_steps(name):
    make = instantiate(composed(f"optimizer={name}").optimizer)
    for each in make.values() if isinstance(make, Mapping) else [make]:  # one for each player
        weight = torch.nn.Parameter(torch.ones(3))
        optimizer = each([weight])
        weight.square().sum().backward()
        optimizer.step()
        assert (weight < 1).all()


@pytest.mark.parametrize("name", sorted(f.stem for f in FILES if str(f.parent) == "scheduler"))
def test_every_schedule_is_a_factor(name):
    schedule = instantiate(composed(f"scheduler={name}").scheduler)
    assert all(0 < schedule.factor(share / 10) <= 1 for share in range(11))


@pytest.mark.parametrize(
    "file", sorted(f for f in FILES if str(f.parent) == "experiment"), ids=lambda f: f.stem
)
def test_an_experiment_states_command_number_and_hardware(file):
    text = Path(CONFIGS / file).read_text()
    assert f"# command: genlab train experiment={file.stem}" in text
    for part in ("# expected: ", "# hardware: ", "# measured: "):
        assert part in text


@pytest.mark.parametrize("name", sorted(f.stem for f in FILES if str(f.parent) == "experiment"))
def test_an_experiments_monitor_is_measured_before_it_is_asked_for(name):
    config = check(composed(f"experiment={name}"), "train")
    monitor = str(config.callbacks["checkpoints"]["monitor"])
    if not monitor.startswith("quick/"):
        return
    data = SimpleNamespace(n_train=55_000, batch_size=config.data["batch_size"])
    quick = SimpleNamespace(every=config.callbacks["evaluation"]["every"])
    module, evaluator = SimpleNamespace(max_images=None), SimpleNamespace(data=data)
    late = too_late(config, module, evaluator, quick, "callbacks.checkpoints.monitor", monitor)
    assert list(late) == []
