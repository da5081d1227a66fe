"""genlab dashboard: all runs of a run root in the browser, live, without an account."""

import sys
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from genlab.commands.parser import Parser
from genlab.dashboard.follow import Follower
from genlab.dashboard.server import serve
from genlab.dashboard.store import open_store
from genlab.errors import ConfigError
from genlab.runs.directory import list_runs
from genlab.system.signals import unwinding
from genlab.system.terminal import notice

__all__ = ["run"]

OLD_STORE = ".trackio"
"""Where training once wrote for the dashboard, below the run root."""


def run(argv: Sequence[str]) -> int:
    """Shows the dashboard until Ctrl-C.

    Raises:
        ConfigError: There are no runs, or the port is taken.
        StorageError: There is no room for temporary files.
    """
    parser = Parser(
        prog="genlab dashboard",
        description="Curves, pictures and configurations of all runs, live, on this machine only.",
    )
    parser.add_argument("root", nargs="?", default="runs", help="where the runs lie (runs)")
    parser.add_argument("--port", type=int, help="port to listen on (the first free from 7860)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    args = parser.parse_args(argv)
    root = Path(args.root)
    runs = count_runs(root)
    if (root / OLD_STORE).is_dir():
        notice(f"genlab: {root / OLD_STORE} is not used any more and can be deleted")
    with unwinding(), open_store() as store:
        dashboard = serve(store, args.port)
        try:
            print(f"{runs} under {root}: {dashboard.url}  (Ctrl-C ends it)", flush=True)
            if not args.no_browser and sys.stdout.isatty():
                with suppress(webbrowser.Error):  # the address stands in the terminal
                    webbrowser.open(dashboard.url)
            Follower(root, store).follow()
        except KeyboardInterrupt:
            return 0
        finally:
            dashboard.close()


def count_runs(root: Path) -> str:
    """Number of runs below a root.

    Raises:
        ConfigError: There is none.
    """
    if not root.is_dir():
        raise ConfigError(f"{root}: there is no such directory of runs")
    found = len(list_runs(root))
    if not found:
        raise ConfigError(f"{root}: there is no run yet; genlab train model=vae data=mnist is one")
    return f"{found} run" if found == 1 else f"{found} runs"
