"""genlab dashboard: all runs of a run root in the browser, live, without an account."""

import os
import sys
import time
import webbrowser
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from genlab.commands.parser import Parser
from genlab.config.saved import load_config
from genlab.errors import ConfigError, GenlabError
from genlab.runs.directory import Run, list_runs
from genlab.system.patching import environment
from genlab.system.secrets import redact
from genlab.system.terminal import notice
from genlab.training.loggers import store
from genlab.training.loggers.context import Context

__all__ = ["Dashboard", "fill", "run", "serve"]

HOST = "127.0.0.1"
ORDER = "val/*,train/loss,train/*,test/*,quick/*"
"""What comes first on the page."""

POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "frame-ancestors 'none'; form-action 'self'"
)
"""What a page may load: from this server and nowhere else."""


def run(argv: Sequence[str]) -> int:
    """Shows the dashboard until Ctrl-C.

    Raises:
        ConfigError: There are no runs, or the port is taken.
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
    runs = named_runs(root)
    imported = fill(root, runs)
    if imported:
        print(f"imported {imported} of {count(runs)} from their own directories")
    dashboard = serve(root, args.port)
    try:
        print(f"{count(runs)} under {root}: {dashboard.url}  (Ctrl-C ends it)", flush=True)
        if not args.no_browser and sys.stdout.isatty():
            webbrowser.open(dashboard.url)
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        dashboard.close()
    return 0


def count(runs: dict[str, Run]) -> str:
    """How many they are."""
    return f"{len(runs)} run" if len(runs) == 1 else f"{len(runs)} runs"


def named_runs(root: Path) -> dict[str, Run]:
    """The runs below a root that have logged something, by their names in the dashboard.

    Raises:
        ConfigError: There is none.
    """
    if not root.is_dir():
        raise ConfigError(f"{root}: there is no such directory of runs")
    found = list_runs(root)
    if not found:
        raise ConfigError(f"{root}: there is no run yet; genlab train model=vae data=mnist is one")
    runs = {Context(r, root).name: r for r in found if r.metrics_file.exists()}
    if not runs:
        raise ConfigError(f"{root}: no run has logged anything yet")
    return runs


def fill(root: Path, runs: dict[str, Run]) -> int:
    """Imports into the store what it lacks of these runs.

    Returns:
        Of how many runs it lacked something.
    """
    lacking = store.missing(root, store.PROJECT, runs)
    for name, after in lacking.items():
        config = config_of(runs[name])
        store.import_run(
            root,
            store.PROJECT,
            runs[name],
            name,
            config=config,
            group=config.get("group"),
            after=after,
        )
    return len(lacking)


def config_of(run: Run) -> dict[str, Any]:
    """A run's configuration without secrets; empty, and a line says so, where it is damaged."""
    from omegaconf import OmegaConf

    if not run.config_file.exists():
        return {}
    try:
        content = OmegaConf.to_container(load_config(run.config_file), resolve=True)
    except (GenlabError, ValueError) as error:
        notice(f"genlab: warning: {run.config_file}: {error}; shown without configuration")
        return {}
    plain: dict[str, Any] = redact(content) if isinstance(content, dict) else {}
    return plain


@dataclass(frozen=True)
class Dashboard:
    """A dashboard that listens.

    Args:
        url: What to open in a browser; what is opened so can only be read.
        server: The server, in a thread of its own.
    """

    url: str
    server: Any

    def close(self) -> None:
        """Ends the server."""
        self.server.should_exit = True
        self.server.thread.join(timeout=5)


def serve(root: Path, port: int | None = None) -> Dashboard:
    """Starts the dashboard of a run root, for this machine's own browsers only.

    Requests under another host name are refused, so that no web page can reach it through a name
    that it lets point here.

    Args:
        root: Where the runs lie.
        port: Where to listen; the first free port from 7860 if None.

    Raises:
        ConfigError: The port is taken.
    """
    os.environ.setdefault("TRACKIO_PLOT_ORDER", ORDER)
    store.bind(root)
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from trackio.launch import launch_trackio_dashboard
    from trackio.server import build_starlette_app_only

    with store.local(), environment(NO_PROXY=f"{HOST},localhost", no_proxy=f"{HOST},localhost"):
        app, _ = build_starlette_app_only(mcp_server=False)
        app.add_middleware(ReadOnlyPages)
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
        try:
            url, _, _, server = launch_trackio_dashboard(
                app, server_name=HOST, server_port=port, share=False, quiet=True
            )
        except OSError:
            raise ConfigError(f"--port {port}: is taken; leave it out for a free one") from None
    return Dashboard(f"{str(url).rstrip('/')}/?project={store.PROJECT}", server)


LONGEST = 2048
"""Bytes of a query; a path in it that no file can have would end in an error of the server's."""


class ReadOnlyPages:
    """Middleware that tells the browser to load nothing from elsewhere (`POLICY`), and refuses
    queries that can name no file."""

    def __init__(self, app: Callable[..., Awaitable[None]]):
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hands on a request, and adds the header to its response."""
        query = scope.get("query_string", b"")
        if scope["type"] == "http" and (
            len(query) > LONGEST or "\0" in unquote(unquote(query.decode("latin-1")))
        ):
            await send({"type": "http.response.start", "status": 400, "headers": []})
            await send({"type": "http.response.body", "body": b"no such file"})
            return

        async def add(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"content-security-policy", POLICY.encode()),
                ]
            await send(message)

        await self.app(scope, receive, add)
