"""The parser of held keys, fed with what terminals send."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from textual import events

from mario_tui.tui.keyboard import KeyParser, KeyReleased, ReleasesReported


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
