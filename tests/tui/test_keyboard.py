"""The parser of held keys, fed with what terminals send."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from textual import events

from mario_tui.tui.keyboard import KeyParser, KeyReleased, ReleasesReported
from tui.real_kitty import eventually, keyboard, kitty


def parsed(text: str, parser: KeyParser | None = None) -> list[str]:
    """What the parser makes of it: `x`, `-x` for a release, `!` for releases being reported."""
    found = []
    for message in (parser or KeyParser(False)).feed(text):
        if isinstance(message, KeyReleased):
            found.append(f"-{message.key}")
        elif isinstance(message, ReleasesReported):
            found.append("!")
        elif isinstance(message, events.Key):
            found.append(message.key)
    return found


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("\x1b[120;1:1;120u", ["x"]),  # pressed
        ("\x1b[120;1:2;120u", ["x"]),  # repeated
        ("\x1b[120;1:3u", ["-x"]),
        ("\x1b[120;;120u", ["x"]),
        ("\x1b[120;1:3u\x1b[122;1:1;122u", ["-x", "z"]),
        ("\x1b[C", ["right"]),
        ("\x1b[1;1:1C", ["right"]),
        ("\x1b[1;1:2C", ["right"]),
        ("\x1b[1;1:3C", ["-right"]),
        ("\x1b[1;1:3D\x1b[1;1:3A\x1b[1;1:3B", ["-left", "-up", "-down"]),
        ("\x1b[1;2:3C", ["-right"]),  # with shift
        ("\x1b[120;2:1;88u", ["X"]),
        ("\x1b[120:88;2:3u", ["-x"]),  # with the other key's number
        ("\x1b[97;5:1u", ["ctrl+a"]),
        ("\x1b[97;5:3u", ["-a"]),
        ("\x1b[32;1:3u", ["-space"]),
        ("\x1b[43;1:3u", ["-plus"]),
        ("\x1b[27;1:1u", ["escape"]),
        ("\x1b[27;1:3u", ["-escape"]),
        ("\x1b[3;1:3~", ["-delete"]),
        ("\x1b[57441;2:3u", ["-left_shift"]),
        ("\x1b[?27u", ["!"]),  # the answer of a terminal that reports releases
        ("\x1b[?25u", []),  # and of one that does not
        ("\x1b[?27ux", ["!", "x"]),
        ("\x1b[99999999999;1:3ux", ["x"]),  # no key has that number
        ("xz", ["x", "z"]),
    ],
)
def test_what_terminals_send(text: str, keys: list[str]) -> None:
    assert parsed(text) == keys
    parser = KeyParser(False)  # also byte by byte
    assert [key for character in text for key in parsed(character, parser)] == keys


@given(st.text(alphabet="\x1b[;:?0123456789u~ABCDMtx<O", min_size=1, max_size=40))
def test_no_input_stops_it(text: str) -> None:
    assume("\x1b[200~" not in text)  # what is pasted is no keys
    parser = KeyParser(False)
    parsed(text, parser)
    assert parsed("\x1b[120;1:3u", parser)[-1:] == ["-x"]


REAL_APP = """
    import sys
    from pathlib import Path
    from textual.app import App
    from mario_tui.tui.terminal import TerminalDriver

    class Real(App):
        def __init__(self):
            super().__init__(driver_class=TerminalDriver)

        def tell(self, text):
            with (Path(__file__).parent / "keys").open("a") as file:
                file.write(text + "\\n")

        def on_mount(self):
            self._driver.report_releases(True)

        def on_key(self, event):
            self.tell(event.key)
            if event.key == "o":
                self._driver.report_releases(False)
            if event.key == "q":
                self.exit()

        def on_key_released(self, event):
            self.tell("-" + event.key)

        def on_releases_reported(self):
            self.tell("!")

    Real().run()
"""


def test_a_real_kitty_tells_of_releases_until_it_is_told_not_to(virtual_display: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys"

    def told() -> list[str]:
        """Without the repeats of a key that is held down."""
        lines = keys.read_text().split() if keys.exists() else []
        return [line for number, line in enumerate(lines) if number == 0 or line != lines[number - 1]]

    def press(*commands: str) -> None:
        keyboard(virtual_display, *commands)

    with kitty(virtual_display, tmp_path, REAL_APP):
        assert eventually(lambda: told() == ["!"])
        press("keydown Right", "keydown x", "keyup x", "keydown space", "keyup Right", "keyup space")
        held = ["right", "x", "-x", "space", "-right", "-space"]
        assert eventually(lambda: told() == ["!", *held])
        press("key o", "key x", "key q")
        assert eventually((tmp_path / "code").exists)
        assert [key for key in told()[7:] if key != "-o"] == ["o", "x", "q"]
        assert (tmp_path / "code").read_text() == "0\n"
