"""The app in a browser: over its websocket, and in a real headless Chromium."""

import asyncio
import base64
import io
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil
import pyte
import pytest
import warm
from PIL import Image

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
RED = (232, 82, 63)  # of the program's name at the top of every screen


@pytest.fixture
def server(home: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The address of a server, and its process."""
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "mario_tui", "serve", "--port", str(port)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while True:
        with suppress(OSError), socket.create_connection(("localhost", port)):
            break
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    yield f"localhost:{port}", psutil.Process(process.pid)
    process.terminate()
    process.wait(60)


async def until(condition: Callable[[], Awaitable[object]], what: str) -> None:
    deadline = time.monotonic() + 90
    while not await condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.1)


async def test_keys_go_to_the_app_and_its_screen_comes_back_and_it_ends_with_the_browser(
    server: tuple[str, psutil.Process],
) -> None:
    address, process = server
    screen = pyte.Screen(100, 30)
    stream = pyte.ByteStream(screen)

    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"http://{address}/ws?width=100&height=30") as connection:

            async def shows(text: str) -> bool:
                with suppress(asyncio.TimeoutError):
                    message = await connection.receive(timeout=0.5)
                    if message.type is aiohttp.WSMsgType.BINARY:
                        stream.feed(re.sub(rb"\x1b\[[<>=?][0-9;]*[a-z$]+", b"", message.data))
                return text in "\n".join(screen.display)

            await until(lambda: shows("No run yet"), "Home")
            assert process.children(recursive=True)
            await connection.send_json(["stdin", "t"])
            await until(lambda: shows("F5"), "the settings")

        async def ended() -> bool:
            return not process.children(recursive=True)

        await until(ended, "the end of the app")


@asynccontextmanager
async def forwarded(address: str, prefix: str = "", certificate: Path | None = None) -> AsyncIterator[str]:
    """Another port of this machine that leads to a server, as `ssh -L`, Docker and reverse proxies make one.

    Args:
        address: of the server, host:port.
        prefix: a path that the browser asks for, and that the server does not see.
        certificate: for https.

    Yields the address to open, at a machine elsewhere.example.
    """
    host, _, port = address.partition(":")

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, what: bytes) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(65536):
                writer.write(data.replace(what, b"GET "))
                await writer.drain()
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(host, port)
        await asyncio.gather(
            copy(reader, to_server, f"GET {prefix}".encode()),
            copy(from_server, writer, b"GET "),
            return_exceptions=True,
        )

    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await asyncio.start_server(forward, "localhost", 0, family=socket.AF_INET, ssl=context)
    yield f"{'https' if certificate else 'http'}://localhost:{server.sockets[0].getsockname()[1]}{prefix}/"
    server.close()


async def test_the_page_names_no_address_and_what_it_loads_is_there(server: tuple[str, psutil.Process]) -> None:
    async with forwarded(server[0], "/some/where") as elsewhere, aiohttp.ClientSession() as session:
        address = elsewhere.replace("elsewhere.example", "localhost")
        async with session.get(address, headers={"Host": "another.example"}) as response:
            page = await response.text()
        loaded = re.findall(r"(?:href=|src=|url\()\"([^\"]*)\"", page)
        assert len(loaded) >= 3
        for url in loaded:
            assert url.startswith("./static/"), "neither an address nor a machine that is not ours"
            async with session.get(f"{address}{url}") as response:
                assert response.status == 200


async def test_a_page_of_another_site_cannot_use_the_app(server: tuple[str, psutil.Process]) -> None:
    address, process = server
    async with aiohttp.ClientSession() as session:
        for origin in ("http://another.example", "null", f"http://{address}1"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"http://{address}/ws", headers={"Origin": origin})
            assert refused.value.status == 403
        assert not process.children()
        for headers in (
            {"Origin": f"https://{address}"},
            {"Origin": "https://My.Example", "Host": "my.example"},
            {"Origin": "https://my.example", "X-Forwarded-Host": "my.example"},
        ):
            async with session.ws_connect(f"http://{address}/ws", headers=headers):
                pass


class Browser:
    """A headless Chromium, steered by its debugging protocol."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self._connection = connection
        self._calls = 0

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._calls += 1
        await self._connection.send_json({"id": self._calls, "method": method, "params": parameters})
        while True:
            answer = (await self._connection.receive(timeout=60)).json()
            if answer.get("id") == self._calls:
                result: dict[str, Any] = answer.get("result", {})  # none while a page is being left for another
                return result

    async def picture(self) -> np.ndarray:
        data = (await self.call("Page.captureScreenshot")).get("data")
        if data is None:
            return np.zeros((1, 1, 3), np.uint8)
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))

    async def click(self) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=640, y=500, button="left", clickCount=1)

    async def press(self, key: str) -> None:
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=key, key=key)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key)


@pytest.mark.parametrize(("prefix", "secure"), [("", False), ("/my/mario", True)])
async def test_it_is_drawn_in_a_browser_and_takes_its_keys_at_another_address(
    server: tuple[str, psutil.Process], tmp_path: Path, prefix: str, secure: bool
) -> None:
    name = next(filter(shutil.which, BROWSERS), None)
    if name is None:
        pytest.skip(f"no browser is installed: {' and '.join(BROWSERS)} were looked for")
    certificate = None
    if secure:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed: no certificate for https")
        certificate = tmp_path / "certificate.pem"
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
                "-keyout", certificate, "-out", tmp_path / "public.pem",
            ],
            check=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        certificate.write_text(certificate.read_text() + (tmp_path / "public.pem").read_text())
    chromium = subprocess.Popen(
        [
            name, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0",
            f"--host-resolver-rules=MAP elsewhere.example 127.0.0.1, MAP {server[0]} ~NOTFOUND",
            "--ignore-certificate-errors", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,800",
            "about:blank",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert chromium.stderr is not None
        found = next(filter(None, (re.search(r"ws://(127\.0\.0\.1:\d+)/", line) for line in chromium.stderr)))
        async with forwarded(server[0], prefix, certificate) as address, aiohttp.ClientSession() as session:
            async with session.get(f"http://{found[1]}/json") as pages:
                page = next(page for page in await pages.json() if page["type"] == "page")
            async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as connection:
                browser = Browser(connection)
                await browser.call("Page.enable")
                await browser.call("Page.navigate", url=address)

                async def drawn() -> bool:
                    return bool((np.abs(await browser.picture() - np.array(RED)).max(axis=2) < 30).any())

                await until(drawn, "the first screen")
                await browser.click()
                before = await browser.picture()

                async def changed() -> bool:
                    await browser.press("t")
                    return bool((await browser.picture() != before).mean() > 0.05)

                await until(changed, "the settings")
    finally:
        chromium.terminate()
        chromium.wait(30)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--port", "0"), "port 0"),
        (("--host", "203.0.113.1"), "203.0.113.1:8000 cannot be served (this machine has no such address)"),
        (("--host", "no-such-machine.invalid"), "no-such-machine.invalid:8000 cannot be served ("),
        (("--url", "my-machine"), "--url 'my-machine' is no address"),
        ((), "cannot be served (Address already in use): choose another --port"),
    ],
)
def test_where_nothing_can_be_served_is_one_line(arguments: tuple[str, ...], says: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = ("--port", str(taken.getsockname()[1]))
        result = warm.run(
            [sys.executable, "-m", "mario_tui", "serve", *(arguments or port)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert result.returncode == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "shown", "warned"),
    [
        ((), "http://localhost:{port} ", False),
        (("--host", "127.0.0.1"), "http://127.0.0.1:{port} ", False),
        (("--host", "0.0.0.0"), "http://localhost:{port} or http://{name}:{port} ", True),
        (("--host", "127.0.0.1", "--url", "https://my.example/mario/"), "https://my.example/mario/ ", False),
    ],
)
def test_it_says_where_it_is_and_warns_where_others_reach_it(
    arguments: tuple[str, ...], shown: str, warned: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = warm.Popen(
        [sys.executable, "-m", "mario_tui", "serve", "--port", str(port), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    first = process.stdout.readline()
    deadline = time.monotonic() + 60
    while True:  # a signal before it serves would end it with a traceback of its own
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    rest, errors = process.communicate(timeout=60)
    assert f"open {shown.format(port=port, name=socket.gethostname())}in a browser" in first
    assert not rest
    assert ("without a password" in errors) == warned
    assert len(errors.splitlines()) == int(warned)
