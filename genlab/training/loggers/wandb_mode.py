"""Mode of Weights & Biases, online or offline: chosen without a server and without wandb."""

import contextlib
import netrc
import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

__all__ = ["NO_KEY", "Mode", "choose_mode", "has_key"]

NO_KEY = "no key was found (`wandb login` stores one)"
"""The reason of a run that is logged offline without being asked to."""

Mode = Literal["auto", "online", "offline", "disabled"]


def choose_mode(asked: Mode, base_url: str) -> tuple[str, str]:
    """The mode to log in, and why it is not online.

    Args:
        asked: The configuration's mode; the variable WANDB_MODE stands in for ``auto``.
        base_url: The server.

    Returns:
        ``online``, ``offline`` or ``disabled``, and a reason.
    """
    variable = os.environ.get("WANDB_MODE", "").strip().lower()
    variable = {"dryrun": "offline", "run": "online"}.get(variable, variable)
    mode, reason = str(asked), f"mode={asked}"
    if asked == "auto" and variable in ("online", "offline", "disabled"):
        mode, reason = variable, f"WANDB_MODE={variable}"
    if mode in ("offline", "disabled"):
        return mode, reason
    if not has_key(base_url):
        return "offline", NO_KEY
    return "online", ""


def has_key(base_url: str) -> bool:
    """True if credentials for this server are in the environment or in netrc."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(base_url).netloc
    # Keys for W&B's own cloud were stored under this name before the cloud moved.
    hosts = [host] if os.environ.get("WANDB_BASE_URL") else [host, "api.wandb.ai"]
    named = os.environ.get("NETRC")
    files = [Path(named)] if named else [Path("~/.netrc"), Path("~/_netrc")]
    for file in files:
        with contextlib.suppress(OSError, netrc.NetrcParseError):  # as good as no file
            entries = netrc.netrc(file.expanduser())
            if any(found[2] for name in hosts if (found := entries.authenticators(name))):
                return True
    return False
