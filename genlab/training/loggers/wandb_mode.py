"""Whether to log to Weights & Biases online or offline; asks no server and imports no wandb."""

import contextlib
import netrc
import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

__all__ = ["NO_KEY", "Mode", "choose_mode", "has_key"]

NO_KEY = "no key was found (`wandb login` stores one)"
"""Why a run is logged offline that nobody asked to be."""

Mode = Literal["auto", "online", "offline", "disabled"]


def choose_mode(asked: Mode, base_url: str) -> tuple[str, str]:
    """Decides how to log, and says why not online.

    Args:
        asked: The configuration's mode.
        base_url: The server.

    Returns:
        ``online``, ``offline`` or ``disabled``, and a reason.
    """
    told = os.environ.get("WANDB_MODE", "").strip().lower()
    told = {"dryrun": "offline", "run": "online", "disabled": "disabled"}.get(told, told)
    if asked == "auto" and told in ("online", "offline", "disabled"):
        asked = told  # type: ignore[assignment]
        reason = f"WANDB_MODE={told}"
    else:
        reason = f"mode={asked}"
    if asked in ("offline", "disabled"):
        return asked, reason
    if not has_key(base_url):
        return "offline", NO_KEY
    return "online", ""


def has_key(base_url: str) -> bool:
    """Whether credentials for this server are in the environment or in netrc."""
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
