"""`serve`: the app in a browser."""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import shlex
import socket
import sys
from urllib.parse import urlsplit

from mario_tui.errors import InputError
from mario_tui.system import installation

ANY_ADDRESS = ("0.0.0.0", "::", "")


def serve(arguments: argparse.Namespace) -> int:
    """Serves the app until Ctrl+C; every browser window gets an app of its own, which ends, and saves, with it."""
    try:
        from mario_tui.tui.web_server import WebServer
    except ImportError:
        raise InputError(f"serving needs the extra 'web': {installation.with_extra('web')}") from None
    host, port, url = arguments.host.strip("[]"), arguments.port, arguments.url
    if not 0 < port < 65536:
        raise InputError(f"port {port} cannot be used: it should be 1 to 65535")
    if url is not None and not (urlsplit(url).scheme in ("http", "https") and urlsplit(url).hostname):
        raise InputError(f"--url {url!r} is no address: write it as in http://my-machine:8000")
    _check_port_is_free(host, port)
    addresses = [url] if url else _addresses(host, port)
    print(f"mario-tui: open {' or '.join(addresses)} in a browser; Ctrl+C ends it", flush=True)
    if not _is_loopback(host):
        print(
            f"mario-tui: whoever reaches port {port} of this machine can use the app and its files, without a password",
            file=sys.stderr,
        )
    command = shlex.join([sys.executable, "-m", "mario_tui"])
    server = WebServer(command, host=host, port=port, title="mario-tui", public_url=url)
    server.serve()
    sys.unraisablehook = lambda _: None  # asyncio complains of a connection that was just being made
    return 128 + server.told if server.told is not None else 0


def _addresses(host: str, port: int) -> list[str]:
    """What to type into a browser: on this machine, and on another one where it can be reached from there."""
    name = f"[{host}]" if ":" in host else host
    names = ["localhost", socket.gethostname()] if host in ANY_ADDRESS else [name]
    return [f"http://{name}:{port}" for name in names]


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _check_port_is_free(host: str, port: int) -> None:
    """Raises InputError where the server could not listen, at one of the host's addresses at least."""

    async def listen() -> None:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, host or None, port)
        server.close()

    try:
        asyncio.run(listen())
    except OSError as error:
        if isinstance(error, socket.gaierror):
            reason = error.strerror
        else:  # asyncio's own words are a paragraph
            known = error.errno not in (None, errno.EADDRNOTAVAIL)
            reason = os.strerror(error.errno or 0) if known else "this machine has no such address"
        raise InputError(f"{host}:{port} cannot be served ({reason}): choose another --port or --host") from None
