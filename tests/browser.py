"""A page as a browser makes it, if there is one on this machine."""

import json
import re
import shutil
import subprocess

import pytest

__all__ = ["CHROMIUM", "browse", "needs_chromium"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium")


def browse(address, folder):
    """Opens a page in a browser without a window.

    Args:
        address: Its URL.
        folder: Where the browser may keep its own files.

    Returns:
        The page without its scripts, the lines it complained of, and the URLs it asked for.
    """
    net = folder / "net.json"
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--enable-logging=stderr",
            f"--user-data-dir={folder / 'profile'}",
            f"--log-net-log={net}",
            "--window-size=1600,1300",
            "--virtual-time-budget=15000",
            "--dump-dom",
            address,
        ],
        capture_output=True,
        text=True,
        timeout=300,  # a busy machine
    )
    dom = re.sub(r"<script.*?</script>", "", done.stdout, flags=re.DOTALL)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    events = [event.get("params", {}) for event in json.loads(net.read_text())["events"]]
    # The browser's own requests (updates) have no page that began them; that of a file is "null".
    asked = {
        event["url"]
        for event in events
        if "://" in event.get("url", "")
        and str(event.get("initiator", "None")) not in ("None", "not an origin")
    }
    return dom, said, asked
