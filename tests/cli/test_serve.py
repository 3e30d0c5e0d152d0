"""The app in a browser: over its websocket, and in a real headless Chromium."""

import asyncio
import base64
import io
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil
import pyte
import pytest
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


async def test_it_is_drawn_in_a_browser_and_takes_its_keys(server: tuple[str, psutil.Process], tmp_path: Path) -> None:
    name = next(filter(shutil.which, BROWSERS), None)
    if name is None:
        pytest.skip(f"no browser is installed: {' and '.join(BROWSERS)} were looked for")
    address, _ = server
    chromium = subprocess.Popen(
        [
            name, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0",
            f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,800", "about:blank",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert chromium.stderr is not None
        found = next(filter(None, (re.search(r"ws://(127\.0\.0\.1:\d+)/", line) for line in chromium.stderr)))
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{found[1]}/json") as pages:
                page = next(page for page in await pages.json() if page["type"] == "page")
            async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as connection:
                browser = Browser(connection)
                await browser.call("Page.enable")
                await browser.call("Page.navigate", url=f"http://{address}/")

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
    ("arguments", "says"), [(("--port", "0"), "port 0"), (("--host", "203.0.113.1"), "cannot be served")]
)
def test_where_nothing_can_be_served_is_one_line(arguments: tuple[str, ...], says: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mario_tui", "serve", *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
