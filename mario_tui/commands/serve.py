"""`serve`: the app in a browser."""

from __future__ import annotations

import argparse
import shlex
import socket
import sys

from mario_tui.errors import InputError


def serve(arguments: argparse.Namespace) -> int:
    """Serves the app until Ctrl+C; every browser window gets an app of its own, which ends, and saves, with it."""
    try:
        from textual_serve.server import Server
    except ImportError:
        raise InputError("serving needs the extra 'web': pip install 'mario-tui[web]'") from None
    if not 0 < arguments.port < 65536:
        raise InputError(f"port {arguments.port} cannot be used: it should be 1 to 65535")
    try:
        with socket.create_server((arguments.host, arguments.port)):
            pass
    except OSError as error:
        raise InputError(
            f"{arguments.host}:{arguments.port} cannot be served ({error.strerror or error}): choose another --port"
        ) from None
    command = shlex.join([sys.executable, "-m", "mario_tui"])
    name = socket.gethostname() if arguments.host in ("0.0.0.0", "::") else arguments.host
    url = arguments.url or f"http://{name}:{arguments.port}"
    Server(command, host=arguments.host, port=arguments.port, title="mario-tui", public_url=url).serve()
    return 0
