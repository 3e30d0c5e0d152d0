"""The parser of held keys, fed with what terminals send."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from textual import events
from textual.widgets import DataTable, Input

from mario_tui.tui.keyboard import KeyParser, KeyReleased, ReleasesReported
from mario_tui.tui.preferences import Preferences
from mario_tui.tui.screens.checkpoints import CheckpointsScreen
from mario_tui.tui.screens.dialogs import LineScreen
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.list import ListScreen
from mario_tui.tui.screens.recordings import RecordingsScreen
from tui.fakes import World, typical_checkpoints, until
from tui.real_kitty import eventually, keyboard, keyboard_layout, kitty


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
        ("\x1b[6;16;8t\x1b[?1;0;256S\x1b[?63;1;2;3;4;6;8;9;15;22cx", ["x"]),  # what it can show, said too late
        ("\x1b[?27ux", ["!", "x"]),
        ("\x1b[99999999999;1:3ux", ["x"]),  # no key has that number
        ("xz", ["x", "z"]),
        # with the key's place
        ("\x1b[1103::122;;1103u", ["z"]),  # Russian
        ("\x1b[1103:1071:122;2;1071u", ["Z"]),
        ("\x1b[1103::122;1:3u", ["-z"]),
        ("\x1b[1103:1071:122;2:3u", ["-z"]),
        ("\x1b[1103::122;65;1071u", ["Z"]),  # with caps lock
        ("\x1b[1103:1071:122;66;1103u", ["z"]),  # and shift
        ("\x1b[1103::122;u\x1b[1103:1071:122;2u", ["z", "Z"]),  # kitty may leave out the text
        ("\x1b[1089::99;5u", ["ctrl+c"]),
        ("\x1b[1081::113;5:1u\x1b[1081::113;5:3u", ["ctrl+q", "-q"]),
        ("\x1b[1103::122;3u", ["alt+z"]),
        ("\x1b[1093::91;;1093u", ["left_square_bracket"]),
        ("\x1b[1093:1061:91;2;1061u", ["left_curly_bracket"]),
        ("\x1b[46:44:47;;46u", ["full_stop"]),  # signs are as they are typed
        ("\x1b[55:63;2;63u", ["question_mark"]),
        ("\x1b[1632::48;;1632u", ["0"]),  # an Arabic digit
        ("\x1b[1510::109;;1510u\x1b[47::113;;47u", ["m", "q"]),  # Hebrew: / at Q
        ("\x1b[945::97;;945u\x1b[59:58:113;;59u\x1b[59:58:113;2;58u", ["a", "q", "Q"]),  # Greek: ; at Q
        ("\x1b[97::113;;97u", ["a"]),  # AZERTY
        ("\x1b[97:65:113;2;65u", ["A"]),
        ("\x1b[233:50:50;;233u", ["é"]),
        ("\x1b[44:60:119;;44u\x1b[97;;97u\x1b[39::113;;39u", ["comma", "a", "apostrophe"]),  # Dvorak
        ("\x1b[945::97;;945u\x1b[110::108;;110u\x1b[39::113;;39u", ["a", "n", "apostrophe"]),  # from Greek to Dvorak
        ("\x1b[186:170:96;;186u", ["º"]),  # Spanish
        ("\x1b[181::92;;181u\x1b[44:63:109;2;63u", ["µ", "question_mark"]),  # Belgian: the micro sign, and ? at M
        ("\x1b[116;;116u", ["t"]),
        ("\x1b[116:84;2;84u", ["T"]),
        ("\x1b[1103;;1103u", ["я"]),  # a terminal that does not tell places
        ("\x1b[99999999999::122;;99999999999ux", ["x"]),
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


def typed(text: str) -> list[str | None]:
    return [message.character for message in KeyParser(False).feed(text) if isinstance(message, events.Key)]


def test_what_a_key_types_stays() -> None:
    assert typed("\x1b[1103::122;;1103u\x1b[1103:1071:122;2;1071u\x1b[1089::99;5u") == ["я", "Я", None]
    assert typed("\x1b[945::97;;945u\x1b[59:58:113;;59u") == ["α", ";"]
    assert typed("яЯ") == ["я", "Я"]
    assert typed("\x1b[1103::122;u\x1b[1103:1071:122;2u\x1b[1103::122;65u") == ["я", "Я", "Я"]  # as kitty may tell it
    assert typed("\x1b[1103::122;3u\x1b[1103::122;9u") == [None, None]  # with alt, with super


RUSSIAN = dict(zip("йцукенгшщзфывапролдячсмить", "qwertyuiopasdfghjklzxcvbnm", strict=True))
"""A letter of the Russian keyboard -> the American one at its place."""


async def test_a_russian_keyboard_works_the_app_and_writes_russian_notes() -> None:
    world = World(typical_checkpoints())
    app = world.app()
    parser = KeyParser(False)

    def press(keys: str, modifiers: str = "") -> None:
        """As kitty reports them; `modifiers`: 5 is ctrl."""
        for key in keys:
            place = RUSSIAN.get(key.lower(), "")
            code = f"{ord(key.lower())}::{ord(place)}" if place else str(ord(key))
            text = "" if modifiers else f";{ord(key)}"
            shift = "2" if key.isupper() else ""
            for message in parser.feed(f"\x1b[{code};{modifiers or shift}{text}u"):
                assert app._driver is not None
                app._driver.process_message(message)

    async with app.run_test() as pilot:
        press("с")  # where an American keyboard has c
        await until(
            pilot,
            lambda: (
                isinstance(app.screen, CheckpointsScreen) and any(one.row_count for one in app.screen.query(DataTable))
            ),
        )
        press("т")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        press("Прыгает ")
        await until(pilot, lambda: app.screen.query_one(Input).value == "Прыгает ")
        press("г", modifiers="5")  # u
        await until(pilot, lambda: app.screen.query_one(Input).value == "")
        press("хорошо\r")
        await until(pilot, lambda: world.checkpoints[0].note == "хорошо")
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen))
        screen: Any = app.screen
        while not screen.selected.several:
            await pilot.press("down")
        press("П")  # G: the whole run side by side
        await until(pilot, lambda: world.played == [("grid", screen.selected.run.run)])
        press("й")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen._loaded)


async def test_a_settings_file_can_name_letters_of_any_script() -> None:
    """For terminals that do not tell the places of keys."""
    world = World()
    world.user_preferences = Preferences(keys={"app.checkpoints": "c,с", "app.recordings": "v,М"})
    app: Any = world.app()

    def shows(screen: type[ListScreen[Any]]) -> bool:
        return isinstance(app.screen, screen) and app.screen._loaded

    async with app.run_test() as pilot:
        assert not app._notifications
        for letter, screen in (("с", CheckpointsScreen), ("М", RecordingsScreen)):
            for message in KeyParser(False).feed(letter):
                assert app._driver is not None
                app._driver.process_message(message)
            await until(pilot, partial(shows, screen))


REAL_APP = """
    import sys
    from pathlib import Path
    from textual.app import App
    from mario_tui.tui.terminal import TerminalDriver

    class Real(App):
        def __init__(self):
            super().__init__(driver_class=TerminalDriver)

        def tell(self, text, name="keys"):
            with (Path(__file__).parent / name).open("a", encoding="utf-8") as file:
                file.write(text + "\\n")

        def on_mount(self):
            self._driver.report_releases(True)

        def on_key(self, event):
            self.tell(event.key)
            if event.is_printable:
                self.tell(event.character, "typed")
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
        """Without the repeats of a key that is held down, of which there are more on a slow machine."""
        found: list[str] = []
        down: set[str] = set()
        for line in keys.read_text().split() if keys.exists() else []:
            if line.startswith("-"):
                down.discard(line[1:])
            elif line in down:
                continue
            else:
                down.add(line)
            found.append(line)
        return found

    def press(*commands: str) -> None:
        keyboard(virtual_display, *commands)

    with kitty(virtual_display, tmp_path, REAL_APP):
        assert eventually(lambda: told() == ["!"])
        sofar = ["!"]
        for command, key in (
            ("keydown Right", "right"),
            ("keydown x", "x"),
            ("keyup x", "-x"),
            ("keydown space", "space"),
            ("keyup Right", "-right"),
            ("keyup space", "-space"),
        ):  # one by one: on a busy machine a press may be told of after its release
            press(command)
            sofar.append(key)
            assert eventually(lambda: told() == sofar), told()
        press("key o")
        assert eventually(lambda: "o" in told()[7:])
        press("key x")  # kitty may read that it should tell no more when this one is let go already
        assert eventually(lambda: "x" in told()[7:])
        press("key q")
        assert eventually((tmp_path / "code").exists)
        assert [key for key in told()[7:] if key not in ("-o", "-x")] == ["o", "x", "q"]
        assert (tmp_path / "code").read_text() == "0\n"


def test_a_real_kitty_with_a_russian_keyboard_has_the_keys_of_the_app(virtual_display: str, tmp_path: Path) -> None:
    keys, typed = tmp_path / "keys", tmp_path / "typed"

    def told(path: Path) -> list[str]:
        return path.read_text(encoding="utf-8").split() if path.exists() else []

    with keyboard_layout(virtual_display, "ru"), kitty(virtual_display, tmp_path, REAL_APP):
        assert eventually(lambda: told(keys) == ["!"])
        keyboard(virtual_display, "key 52", "key 53", "keydown 50", "key 28", "keyup 50")  # z, x, shift+t
        assert eventually(lambda: told(keys)[-1:] == ["-left_shift"]), told(keys)
        # on a busy machine a key that is let go at once may be told of after its release
        assert sorted(key for key in told(keys) if "shift" not in key) == sorted(["!", "z", "-z", "x", "-x", "T", "-t"])
        assert told(typed) == ["я", "ч", "Е"]
        keyboard(virtual_display, "keydown 37", "key 54", "keyup 37")  # ctrl+c
        assert eventually(lambda: "ctrl+c" in told(keys))
        keyboard(virtual_display, "key 24")  # q
        assert eventually((tmp_path / "code").exists)
