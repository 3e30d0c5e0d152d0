"""Makes the README's moving picture: the app in a real kitty on a virtual display, driven by keys.

    MARIO_TUI_HOME=FOLDER python docs/make_film.py RUN

RUN is a run in FOLDER/checkpoints with several checkpoints and some hundred kept episodes: it is continued, an episode
is chosen on its map and played again, and then the agent is watched beside its younger selves. Needs Xvfb, kitty,
xdotool and ffmpeg.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

FILM = Path(__file__).parent / "images" / "film.gif"
SIZE = (1040, 600)
DISPLAY = ":77"
FRAMES_PER_SECOND = 8
COLOURS = 96


@contextlib.contextmanager
def running(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that is ended with SIGTERM."""
    process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def grabbed(video: Path) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """Films the display meanwhile."""
    width, height = SIZE
    size, rate = f"{width}x{height}", str(FRAMES_PER_SECOND)
    source = ["-f", "x11grab", "-framerate", rate, "-video_size", size, "-i", DISPLAY]
    return running("ffmpeg", "-y", "-loglevel", "error", *source, "-c:v", "ffv1", str(video))


def key(*names: str, pause: float) -> None:
    for name in names:
        subprocess.run(["xdotool", "key", name], env={**os.environ, "DISPLAY": DISPLAY}, check=True)
        time.sleep(pause)


def main(run: str) -> None:
    width, height = SIZE
    options = {
        "remember_window_size": "no",
        "initial_window_width": str(width),
        "initial_window_height": str(height),
        "font_size": "9.0",
        "window_padding_width": "0",
        "cursor_blink_interval": "0",
        "confirm_os_window_close": "0",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    parts = [FILM.with_suffix(f".{number}.mkv") for number in (1, 2)]
    with (
        running("Xvfb", DISPLAY, "-screen", "0", f"{width}x{height}x24", "-noreset"),
        running(
            "kitty", "--config", "NONE", *words, sys.executable, "-m", "mario_tui",
            DISPLAY=DISPLAY, LIBGL_ALWAYS_SOFTWARE="1",
        ),
    ):  # fmt: skip
        time.sleep(8)
        key("c", pause=2)
        key("slash", pause=0.5)
        subprocess.run(["xdotool", "type", run], env={**os.environ, "DISPLAY": DISPLAY}, check=True)
        key("Return", pause=1)
        key("c", pause=40)  # goes on training
        with grabbed(parts[0]):
            time.sleep(5)
            key("M", pause=2.5)
            key("Left", "Left", pause=1)
            key("Return", pause=5)  # the chosen episode is played again
        key("Escape", "Escape", pause=1)
        key("w", pause=5)
        key("g", pause=40)  # ghosts are made
        key("a", pause=2)
        with grabbed(parts[1]):
            time.sleep(7)
        key("ctrl+q", pause=6)
    join = f"concat=n={len(parts)},"
    palette = (
        f"{join}split[a][b];[a]palettegen=max_colors={COLOURS}[p];[b][p]paletteuse=dither=none:diff_mode=rectangle"
    )
    inputs = [word for part in parts for word in ("-i", part)]
    convert = ["ffmpeg", "-y", "-loglevel", "error", *inputs, "-filter_complex", palette, "-loop", "0", FILM]
    subprocess.run(convert, check=True)
    for part in parts:
        part.unlink()
    print(f"{FILM}: {FILM.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1])
