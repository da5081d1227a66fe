"""Allow-list of everything that a config may name and Hydra may call.

A ``_target_`` is a function call written in YAML, and torch.load is a callable too. So nothing is
allowed by the prefix of a library: of ours, the public classes of some packages; of others, exact
names; of the user's own, the modules that were named on the command line (``trust=[mine]``),
because a config that comes from elsewhere could otherwise vouch for itself.
"""

import ast
import sys
from collections.abc import Sequence

from genlab.config.source import Definition, load, locate
from genlab.errors import ConfigError, nearest

__all__ = ["OPTIMIZER_RANGES", "PACKAGES", "THIRD_PARTY", "TRUSTED_NEVER", "check_trust", "refusal"]

PACKAGES = ("data", "metrics", "modalities", "models", "nn", "tasks", "training")
"""The packages of genlab whose public classes a config may name."""

OPTIMIZERS = (
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "ASGD",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
)
SCHEDULERS = (
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "StepLR",
)
CALLBACKS = (
    "DeviceStatsMonitor",
    "EarlyStopping",
    "LearningRateMonitor",
    "ModelCheckpoint",
    "ModelSummary",
    "RichModelSummary",
    "RichProgressBar",
    "TQDMProgressBar",
    "ThroughputMonitor",
    "Timer",
)
LOGGERS = ("CSVLogger", "MLFlowLogger", "TensorBoardLogger", "WandbLogger")
PROFILERS = ("AdvancedProfiler", "PassThroughProfiler", "PyTorchProfiler", "SimpleProfiler")

THIRD_PARTY = frozenset(
    [
        *(f"torch.optim.{name}" for name in OPTIMIZERS),
        *(f"torch.optim.lr_scheduler.{name}" for name in SCHEDULERS),
        *(f"pytorch_lightning.callbacks.{name}" for name in CALLBACKS),
        *(f"pytorch_lightning.loggers.{name}" for name in LOGGERS),
        *(f"pytorch_lightning.profilers.{name}" for name in PROFILERS),
    ]
)
"""The classes of other libraries that a config may name, by their exact public names."""

OPTIMIZER_RANGES = {
    "lr": "PositiveFloat",
    "eps": "PositiveFloat",
    "weight_decay": "NonNegativeFloat",
    "momentum": "NonNegativeFloat",
    "betas": "tuple[Fraction, Fraction]",
    "alpha": "Probability",
    "rho": "Probability",
}
"""Narrower annotations, as in `genlab.ranges`, for what torch's optimizers declare as numbers."""

TRUSTED_NEVER = frozenset(sys.stdlib_module_names) | {
    "genlab",
    "hydra",
    "hydra_plugins",
    "lightning_fabric",
    "numpy",
    "omegaconf",
    "pytorch_lightning",
    "safetensors",
    "scipy",
    "sympy",
    "torch",
    "torchvision",
    "trackio",
    "wandb",
    "yaml",
}
"""Libraries are not trusted as a whole: most have a function that runs or overwrites something."""


def check_trust(trust: Sequence[str]) -> None:
    """Refuses to trust what is no module of the user's.

    Raises:
        ConfigError: A name is not a module's, or a library's.
    """
    for name in trust:
        if not all(part.isidentifier() for part in str(name).split(".")):
            raise ConfigError(f"trust={name}: a module's name is needed, such as mine or mine.nets")
        if name.partition(".")[0] in TRUSTED_NEVER:
            raise ConfigError(f"trust={name}: only modules of your own can be trusted")


def refusal(target: object, trust: Sequence[str] = ()) -> str | None:
    """Reason why a config may not name this target, or None if it may.

    Args:
        target: The value of a ``_target_``.
        trust: The modules that the user has named.

    Example:
        >>> refusal("torch.optim.Adam")
        >>> refusal("genlab.models.base.torch.hub.load")
        'no class of genlab'
        >>> refusal("torch.optim.Adan")
        "not among the allowed classes of torch.optim; did you mean 'Adam'?"
    """
    if not isinstance(target, str) or not all(part.isidentifier() for part in target.split(".")):
        return "a dotted path package.module.Class is needed"
    module, _, name = target.rpartition(".")
    top = target.partition(".")[0]
    if target in THIRD_PARTY:
        return None if locate(target) else f"not found: is {top} installed, and has it this class?"
    if top == "genlab":
        return of_genlab(module, name)
    if any(module == name or module.startswith(f"{name}.") for name in trust):
        return of_user(module, name, trust)
    if siblings := [t.rpartition(".")[2] for t in THIRD_PARTY if t.rpartition(".")[0] == module]:
        return f"not among the allowed classes of {module}{nearest(name, siblings)}"
    if top in TRUSTED_NEVER:
        return "not among the classes that a config may name"
    return (
        f"{module or target} is no module of genlab's; if you know its code, "
        f"add trust=[{top}] to the command line"
    )


def of_genlab(module: str, name: str) -> str | None:
    """Reason against this class of genlab's."""
    if module.split(".")[1:2] and module.split(".")[1] not in PACKAGES:
        return f"only classes of genlab.{{{','.join(PACKAGES)}}} may be named"
    found = load(module)
    if found is None:
        return "no class of genlab"
    public = found.exports or []
    definition = found.lookup(name)
    if name not in public or definition is None or not of_package(definition, "genlab"):
        return f"no public class of {module}{nearest(name, public)}"
    if not isinstance(definition.node, ast.ClassDef):
        return "not a class"
    return None


def of_user(module: str, name: str, trust: Sequence[str]) -> str | None:
    """Reason against this class or function of a module that the user trusts."""
    found = load(module)
    if found is None:
        return f"there is no module {module} in reach (a syntax error in it counts, too)"
    definition = found.lookup(name)
    if definition is None or not any(of_package(definition, trusted) for trusted in trust):
        return f"{module} defines no {name}{nearest(name, found.names)}"
    if not isinstance(definition.node, ast.ClassDef | ast.FunctionDef):
        return "neither a class nor a function"
    return None


def of_package(definition: Definition, package: str) -> bool:
    """True if the definition stands in the package itself: no alias leads out of it."""
    return f"{definition.module.name}.".startswith(f"{package}.")
