"""Makes the README's pictures from a real run: the app itself, its real screens, a real training.

    MARIO_TUI_HOME=FOLDER python docs/make_pictures.py RUN

RUN is a run in FOLDER/checkpoints with some hundred episodes that are kept; it is continued for as long as the picture
takes. The folder should have another run, for the comparison, and a recording. Needs a Chromium to turn the app's SVG
screenshots into PNG.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing import resource_tracker
from pathlib import Path

from textual.pilot import Pilot

from mario_tui.store import named
from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.screens.compare import CompareScreen
from mario_tui.tui.screens.map import MapScreen

IMAGES = Path(__file__).parent / "images"
SIZE = (150, 46)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def save_png(svg: str, path: Path) -> None:
    """Draws an SVG with a browser, in its own size."""
    width, height = svg.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(f"<meta charset='utf-8'><body style='margin:0;background:#111'>{svg}</body>")
        for browser in BROWSERS:
            try:
                subprocess.run(
                    [
                        browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                        "--disable-background-networking", "--no-first-run", f"--user-data-dir={folder}/profile",
                        f"--window-size={round(float(width))},{round(float(height))}",
                        f"--screenshot={path}", page.as_uri(),
                    ],
                    check=True, capture_output=True,
                )  # fmt: skip
            except FileNotFoundError:
                continue
            break
        else:
            raise SystemExit(f"no browser found: install one of {', '.join(BROWSERS)}")
    from PIL import Image

    Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(path, optimize=True)


async def until(pilot: Pilot, condition: Callable[[], object]) -> None:
    for _ in range(1200):
        if condition():
            return
        await pilot.pause(0.1)
    raise SystemExit(f"the app did not get where the picture is taken: {pilot.app.snapshot}")  # type: ignore[attr-defined]


async def main(run: str) -> None:
    resource_tracker.ensure_running()  # as run_app does
    IMAGES.mkdir(parents=True, exist_ok=True)
    checkpoint = named.find_checkpoint(run)
    app = MarioTuiApp()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(2)

        def take(name: str) -> None:
            save_png(app.export_screenshot(title="mario-tui"), IMAGES / f"{name}.png")

        await pilot.press("b")
        await pilot.pause(3)
        take("board")
        await pilot.press("q", "c")
        await pilot.pause(2)
        await pilot.press("down", "right")
        await pilot.pause(1)
        take("checkpoints")
        app.push_screen(MapScreen(checkpoint.parent))
        await pilot.pause(4)
        await pilot.press("left", "left")
        await pilot.pause(3)
        take("map")
        await pilot.press("q")
        runs = [summary.path for summary in app.services.catalog().runs]
        app.push_screen(CompareScreen(tuple(runs[:2])))
        await pilot.pause(2)
        await pilot.press("x", *["left"] * 12)
        await pilot.pause(1)
        take("compare")
        await pilot.press("x", "q", "v")
        await pilot.pause(2)
        take("recordings")
        app.continue_training(checkpoint)
        await until(pilot, lambda: app.snapshot and app.snapshot.steps_per_second and app.snapshot.frame is not None)
        step = app.snapshot.step if app.snapshot else 0
        await until(pilot, lambda: app.snapshot and app.snapshot.step > step + 300)
        take("train")
        await pilot.press("h")
        await pilot.pause(2)
        take("home")
        await pilot.press("w")
        await pilot.pause(6)
        await pilot.press("s")
        await pilot.pause(2)
        take("watch")
        await pilot.press("h", "p")
        await pilot.pause(6)
        await pilot.press("minus", "minus", "right", "x")  # slowly: a test's keys take their time
        await pilot.pause(0.5)
        take("play")
        app.leaving.leave(0)
        await until(pilot, lambda: app.session is not None and not app.session.alive)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
