"""Held keys in a terminal, where it speaks the kitty keyboard protocol: https://sw.kovidgoyal.net/kitty/keyboard-protocol/

Textual asks for that protocol itself, with every key as an escape sequence, but does not use the type of an event
(press, repeat, release), and its parser fails on a sequence with one. So the screen that needs it asks for it, and it
is taken out here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import cast

from textual import events
from textual._xterm_parser import XTermParser
from textual.keys import Keys
from textual.message import Message

ASK_FOR_RELEASES = "\x1b[=2;2u\x1b[?u"
"""Sets the flag "report event types", and asks which flags are set: no answer, no such protocol."""
NO_MORE_RELEASES = "\x1b[=2;3u"

_REPORT_EVENT_TYPES = 2
_RELEASE = "3"
_FLAGS = re.compile(r"\x1b\[\?(\d+)u")
_TYPED_KEY = re.compile(r"(\x1b\[\d+)(?::\d*)*(;\d*):(\d)((?:;[\d:]*)?[u~A-HPQRS])")


class KeyReleased(Message):
    """A key was released; `key` is its name as in `events.Key`, without modifiers."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
        self.character = None  # the parser looks


class ReleasesReported(Message):
    """From now on the terminal reports key releases."""

    key = ""


class KeyParser(XTermParser):
    """Textual's parser, for sequences with event types, too."""

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        if match := _FLAGS.fullmatch(sequence):
            reported = int(match[1]) & _REPORT_EVENT_TYPES
            return cast(Iterable[events.Key], [ReleasesReported()] if reported else [events.Key(Keys.Ignore, sequence)])
        match = _TYPED_KEY.fullmatch(sequence)
        try:
            keys = list(super()._sequence_to_key_events("".join(match.group(1, 2, 4)) if match else sequence, alt))
        except (ValueError, OverflowError):  # no key has such a number
            return [events.Key(Keys.Ignore, sequence)]
        if match and match[3] == _RELEASE:
            return cast(Iterable[events.Key], [KeyReleased(key.key.rpartition("+")[2]) for key in keys])
        return keys
