"""The terminal UI in a browser: a process per tab, for this machine's operator and nobody else."""

from __future__ import annotations

import hmac
import shlex
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

LOCAL = ("localhost", "127.0.0.1", "::1")
COOKIE = "segtui-token"
LEAST_TOKEN = 16

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refused(ValueError):
    """An address that is not served like that: what, and what to do."""


class Guarded(Server):  # type: ignore[misc, unused-ignore]
    """Serves who asks by the address it was started on, from a page of its own; elsewhere with the token.

    Without that any page in the operator's browser could open the socket and type into the shop.
    """

    def __init__(self, store: Path, host: str, port: int, token: str | None) -> None:
        if host not in LOCAL and (token is None or len(token) < LEAST_TOKEN):
            raise Refused(
                f"Anybody who reaches {host} could read and change the store: "
                f"serve on localhost, or give a --token of at least {LEAST_TOKEN} characters."
            )
        run = [sys.executable, "-c", "from segtui.cli import main; main()", "--store", str(store)]
        super().__init__(shlex.join(run), host=host, port=port, title=f"segtui {store.name}")
        self.token = token

    async def _make_app(self) -> web.Application:
        app: web.Application = await super()._make_app()
        app.middlewares.append(self._guard)
        return app

    async def on_startup(self, _app: web.Application) -> None:
        """Says where to look."""
        query = f"/?token={self.token}" if self.token else ""
        sys.stderr.write(f"segtui: {self.public_url}{query}   ctrl+c ends it\n")

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._own(request.headers.get("Host", "")):
            raise web.HTTPForbidden(text="segtui is served under another name.")
        origin = request.headers.get("Origin")
        if origin is not None and not self._own(urlsplit(origin).netloc):
            raise web.HTTPForbidden(text="segtui does not talk to pages of others.")
        if self.token is None:
            return await handler(request)
        given = request.query.get("token")
        if not hmac.compare_digest((given or request.cookies.get(COOKIE, "")).encode(), self.token.encode()):
            raise web.HTTPUnauthorized(text="segtui wants its token: open the address it printed.")
        if given is not None and request.path == "/":
            found = web.HTTPFound("/")
            found.set_cookie(COOKIE, self.token, httponly=True, samesite="Strict")
            raise found
        return await handler(request)

    def _own(self, netloc: str) -> bool:
        """Whether a Host or an Origin names this server."""
        told: Any = urlsplit(f"//{netloc}")
        names = LOCAL if self.host in LOCAL else (self.host,)
        return told.hostname in names and (told.port or 80) == self.port
