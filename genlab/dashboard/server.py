"""Server of the dashboard: trackio's page, for the browsers of this machine only."""

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from genlab.dashboard.store import PROJECT, Store
from genlab.errors import ConfigError, GenlabError
from genlab.system.patching import environment

__all__ = ["HOST", "Dashboard", "serve"]

HOST = "127.0.0.1"

POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "frame-ancestors 'none'; form-action 'self'"
)
"""What a page may load: from this server and nowhere else."""

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ssl_cert_file", "ssl_cert_dir")

HERE = {
    **{name: None for lower in PROXIES for name in (lower, lower.upper())},
    **dict.fromkeys(("NO_PROXY", "no_proxy"), f"{HOST},localhost"),
}
"""Variables while the server starts: it asks itself whether it answers, and no proxy."""

LONGEST = 2048
"""Bytes of a query; a path in it that no file can have would end in an error of the server's."""


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


def serve(store: Store, port: int | None = None) -> Dashboard:
    """Starts the page of a store, for this machine's own browsers only.

    Requests under another host name are refused, so that no web page can reach it through a name
    that it lets point here.

    Args:
        store: What to show.
        port: Where to listen; the first free port from 7860 if None, any free one if 0.

    Raises:
        ConfigError: The port is taken, or there is no such port.
        GenlabError: The server does not start.
    """
    if port is not None and not 0 <= port < 1 << 16:
        raise ConfigError(f"--port {port}: a number from 1 to 65535 is needed, or 0 for a free one")
    if port == 0:
        port = free_port()
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    with environment(**HERE):
        app, _ = store.trackio.build_starlette_app_only(mcp_server=False)
        app.add_middleware(ReadOnlyPages)
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
        try:
            url, _, _, server = store.trackio.launch_trackio_dashboard(
                app, server_name=HOST, server_port=port, share=False, quiet=True
            )
        except OSError as error:
            if port is None:
                raise ConfigError(
                    f"no port from 7860 is free ({error}); name one: --port"
                ) from None
            raise ConfigError(f"--port {port}: is taken; leave it out for a free one") from None
        except RuntimeError as error:
            raise GenlabError(f"the dashboard's own server does not answer ({error})") from None
    return Dashboard(f"{str(url).rstrip('/')}/?project={PROJECT}", server)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


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
