"""Command lines as people type them: whole runs with some keys changed, and all other commands.

Drawn by Hypothesis. A key is any leaf of the composed config, a value any that its kind allows, or
one that is wrong in a way that people's are.
"""

from functools import cache

from hypothesis import strategies as st
from omegaconf import OmegaConf

from genlab.config.folders import config_dir
from genlab.config.overrides import groups, options
from genlab.launch.compose import compose

from .tiny import TINY

__all__ = ["after", "new_runs"]

SMALL = [word for word in TINY if not word.startswith(("model=", "model.", "metrics", "closing"))]
SMALL += ["metrics.n_samples=16", "closing.n_samples=16", "metrics.metrics=[frechet]"]
SMALL += ["closing.likelihood_images=16"]

MODELS = {
    "vae_mlp": ("model.hidden=8", "model.latent=2"),
    "gan_mlp": ("model.hidden=8", "model.latent=2"),
    "flow_mlp": ("model.top_width=8", "model.top_steps=2"),
    "pixelcnn_tiny": ("model.width=8", "model.blocks=1"),
    "ae": ("model.network=mlp", "model.hidden=8", "model.latent=2"),
    "vq_vae": ("model.width=8",),
}

FORBIDDEN = (
    "root",
    "name",
    "run",
    "init_from",
    "trust",
    "group",
    "trainer.threads",
    "data._target_",
    "trainer.devices",
    "metrics.extractors",
    "trainer.strategy",
)
"""Keys that the test itself sets, or that are tested elsewhere: more devices start processes."""

LARGE = ("hidden", "width", "depth", "blocks", "latent", "size", "steps", "max_images", "epochs")
LARGE += ("max_time", "n", "n_samples", "limit", "n_train", "n_test", "samples", "codes", "seeds")
LARGE += ("likelihood_samples", "heads", "components", "layers", "levels", "accumulate", "chunk")
"""Ends of keys whose value costs time or memory: they get small ones."""

WRONG = ["null", "", "-1", "0", "1e400", "nan", "inf", "true", "abc", "[]", "{}", "[1,2]", "é", "~"]
WRONG += ["${seed}", "${nope}", "???", "'", "0.5", "1e-320", "2 epochs", "0 epochs", "1 epoch"]

NUMBERS = ["0", "1", "2", "3", "5", "7", "16", "31", "64"]
SHARES = ["0", "1", "0.5", "0.01", "0.999", "2", "1e-9", "-0.5"]


@cache
def leaves(model: str) -> dict[str, object]:
    """The values of a run's config by their dotted paths."""
    content = OmegaConf.to_container(compose("train", [f"model={model}", "data=synthetic"])[0])

    def walk(node, prefix=""):
        for key, value in node.items():
            if isinstance(value, dict):
                yield from walk(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value

    found = dict(walk(content))
    return {k: v for k, v in found.items() if k not in FORBIDDEN and k[-1] != "_"}


@cache
def choices() -> dict[str, list[str]]:
    """The groups and the names in them; those of data that must be downloaded are left out."""
    folders = [config_dir()]
    known = {group: options(folders, group) for group in groups(folders)}
    known["trainer"].remove("ddp")  # whose processes end this one when they fail
    left_out = ("model", "data", "metrics", "experiment", "debug", "sweep", "task", "logger")
    return {g: names for g, names in known.items() if "hydra" not in g and g not in left_out}


def of_its_kind(key, value):
    """Values of the kind that a key has: most of them are right, so that runs get far."""
    if isinstance(value, bool):
        return ["true", "false"]
    if isinstance(value, int) or value is None:
        return NUMBERS
    if isinstance(value, float):
        return ["0.5", "0.01", "0.9", "1", "1e-9"]
    if isinstance(value, str) and "epoch" in value:
        return ["1 epoch", "0.5 epochs", "16", "33", "64"]
    return ["auto", str(value).replace(" ", "")]


@st.composite
def changed(draw, model):
    """An override of one key."""
    key, value = draw(st.sampled_from(sorted(leaves(model).items(), key=lambda item: item[0])))
    last = key.rpartition(".")[2]
    if draw(st.integers(0, 3)):
        return f"{key}={draw(st.sampled_from(of_its_kind(key, value)))}"
    pool = NUMBERS if last in LARGE else [*NUMBERS, *SHARES]
    if last in LARGE and draw(st.booleans()):
        return f"{key}={draw(st.sampled_from(pool))}"
    return f"{key}={draw(st.sampled_from([*pool, *WRONG]))}"


@st.composite
def new_runs(draw):
    """The words behind ``genlab train`` of a new run."""
    model = draw(st.sampled_from(sorted(MODELS)))
    words = {w.partition("=")[0]: w for w in (*SMALL, f"model={model}", *MODELS[model])}
    for _ in range(draw(st.integers(0, 2))):
        group = draw(st.sampled_from(sorted(choices())))
        words[group] = f"{group}={draw(st.sampled_from(choices()[group]))}"
    for _ in range(draw(st.integers(1, 4))):
        word = draw(changed(model))
        words[word.partition("=")[0]] = word
    if draw(st.integers(0, 19)) == 0:
        section = draw(st.sampled_from(["callbacks", "ema", "logger", "metrics", "model.latent"]))
        words = {k: w for k, w in words.items() if not k.startswith(section)}
        words["~"] = f"~{section}"
    flags = draw(st.sampled_from([[]] * 12 + [["--cfg", "job"], ["-m"], ["--info", "config"]]))
    return [*words.values(), *flags]


@st.composite
def after(draw):
    """The words of a command about a finished run that is called r."""
    values = st.sampled_from([*NUMBERS, *SHARES, *WRONG])
    keys = {
        "sample": "n seed label temperature keep gif frames checkpoint weights device batch show "
        "sampling.temperature sampling.x task",
        "evaluate": "split seed seeds checkpoint weights metrics.n_samples metrics metrics.metrics "
        "metrics.batch metrics.extractors data.limit",
        "reconstruct": "n split seed checkpoint weights out show",
        "train": "trainer.max_images trainer.epochs trainer.max_time guard.action trainer.chunk "
        "trainer.validate_every callbacks.evaluation.every seed trainer.precision logger callbacks "
        "data.workers trainer.log_every",
        "export": "checkpoint weights out",
    }
    names = {
        "task": ["sample", "interpolate", "walk", "complete"],
        "metrics": ["quick", "none"],
        "metrics.metrics": ["[modes]", "[vendi]", "[frechet,manifold]", "[likelihood]", "vendi"],
        "metrics.extractors": ["pixels", "digits", "plane", "auto", "[pixels,pixels]"],
        "split": ["train", "val", "test"],
        "checkpoint": ["last", "best"],
        "weights": ["ema", "raw"],
        "logger": ["csv", "none"],
        "guard.action": ["stop", "rollback"],
        "trainer.precision": ["bf16-mixed", "64-true"],
        "gif": ["true"],
        "show": ["true"],
        "out": ["x.png", "x.npz", "x", "x.gif", "x.txt", "/proc/x.png", ".", "a/b/c.png"],
        "trainer.max_images": ["65", "96", "128"],
    }
    command = draw(st.sampled_from(sorted(keys)))
    words = {"run": "run=r"}
    for _ in range(draw(st.integers(0, 3))):
        key = draw(st.sampled_from(keys[command].split()))
        given = st.sampled_from(names[key]) if key in names else values
        words[key] = f"{key}={draw(st.one_of(given, given, values))}"
    if command == "evaluate" and "metrics.n_samples" not in words:
        words["metrics.n_samples"] = "metrics.n_samples=16"
    return [command, *words.values()]
