"""The server of the app in a browser: textual-serve's, with a page that works at whatever address it is opened.

textual-serve writes one address, fixed when it starts, into the page. Behind a forwarded port (`ssh -L`, Docker), under
another name of the machine or behind a reverse proxy the browser has another one. Here the page has none: what it loads
is relative to it, and it connects to where it came from.
"""

from __future__ import annotations

import asyncio
import logging
import re
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from mario_tui.system import signals

_PLACEHOLDER = "http://address.invalid"  # what textual-serve takes for its address, and what is replaced

# The browser's address, with ws: or wss: for http: or https:. Browsers before 2024 take no relative one here.
_CONNECT_TO_ORIGIN = """\
<script>
  document.getElementById("terminal").dataset.sessionWebsocketUrl =
    new URL("ws", window.location.href.split(/[?#]/)[0]).href.replace(/^http/, "ws");
</script>
</body>"""

_REMOTE_FONT = re.compile(r"<link\b[^>]*\bhref=\"https://[^>]*>")
_FONT = """\
<style>
  @font-face { font-family: "Roboto Mono"; src: url("./static/fonts/RobotoMono-VariableFont_wght.ttf"); }
</style>"""


class WebServer(Server):
    """Serves a command's app.

    Args: as for textual-serve's Server. public_url: an address that a reverse proxy serves it at, if it hides that;
        it is only needed to tell its pages from those of other sites.

    Attributes:
        told: the number of the signal that ended it, if one did.
    """

    def __init__(self, command: str, *, host: str, port: int, title: str, public_url: str | None = None) -> None:
        super().__init__(command, host=host, port=port, title=title, public_url=_PLACEHOLDER)
        self.told: int | None = None
        self._known_hosts = {urlsplit(public_url).netloc.lower()} if public_url else set()

    def initialize_logging(self) -> None:
        logging.basicConfig(level=logging.WARNING, format="mario-tui: %(message)s")

    async def on_startup(self, app: web.Application) -> None:
        """Says nothing, as `serve` has said where it is; takes signals in the place of textual-serve's own handlers."""
        loop = asyncio.get_running_loop()

        def end(number: int, _: object) -> None:
            self.told = self.told or number
            loop.call_soon_threadsafe(self.request_exit)

        signals.take_from_loop(loop, signals.ENDINGS, end)

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page, without an address, and with the font from here: other machines are not asked for anything."""
        response = await super().handle_index(request)
        assert isinstance(response, web.Response)
        assert response.text is not None
        text = response.text.replace(f"{_PLACEHOLDER}/", "./").replace("</body>", _CONNECT_TO_ORIGIN)
        response.text = _REMOTE_FONT.sub(_FONT, text)
        return response

    async def handle_websocket(self, request: web.Request) -> web.StreamResponse:
        """The app. A browser lets the page of any site connect to this machine, so that of another one is refused."""
        origin = request.headers.get("Origin")
        asked_for = {request.headers[name].lower() for name in ("Host", "X-Forwarded-Host") if name in request.headers}
        if origin is not None and urlsplit(origin).netloc.lower() not in asked_for | self._known_hosts:
            logging.getLogger(__name__).warning(
                "a page of %s was refused; if that is how you reach the app: mario-tui serve --url %s", origin, origin
            )
            raise web.HTTPForbidden(text="this page is of another site than the app")
        return await super().handle_websocket(request)
