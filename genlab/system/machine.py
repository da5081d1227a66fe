"""Machine and versions of a run, so that a number can be traced to them."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import genlab

__all__ = ["environment", "git_commit", "versions"]

PACKAGES = (
    "torch",
    "torchvision",
    "pytorch-lightning",
    "hydra-core",
    "omegaconf",
    "wandb",
    "numpy",
    "torch-fidelity",
)


def environment() -> dict[str, Any]:
    """Versions, devices and the code's commit; no host name, no user, no environment variables."""
    import torch

    return {
        "genlab": genlab.__version__,
        "commit": git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions(),
        "cpu_cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def versions() -> dict[str, str]:
    """Installed versions of the packages that a result depends on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_commit() -> str | None:
    """The commit of the checkout that genlab runs from, None for an installed package."""
    root = Path(genlab.__file__).parent.parent
    if not (root / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return shown.stdout.strip() or None
