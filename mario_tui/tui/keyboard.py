"""Keys as a terminal tells them that speaks the kitty keyboard protocol: https://sw.kovidgoyal.net/kitty/keyboard-protocol/

Textual asks for that protocol itself, with every key as an escape sequence and the text that it types. Two things more
can be had, with which its parser fails, so they are taken out here:

- the type of an event (press, repeat, release), for keys that are held; the screen that needs it asks for it.
- the key at the same place of an American keyboard. A layout without Latin letters, such as the Russian or the Greek
  one, has none of the app's keys, so there a key goes by its place, as in games. Where the key has a Latin letter, it
  goes by that, wherever AZERTY or Dvorak have it. What a key types is as the user typed it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import cast

from textual import events
from textual._xterm_parser import XTermParser
from textual.keys import Keys
from textual.message import Message

ASK_FOR_PLACES = "\x1b[=4;2u"
"""Sets the flag "report alternate keys"."""
ASK_FOR_RELEASES = "\x1b[=2;2u\x1b[?u"
"""Sets the flag "report event types", and asks which flags are set: no answer, no such protocol."""
NO_MORE_RELEASES = "\x1b[=2;3u"

_REPORT_EVENT_TYPES = 2
_RELEASE = "3"
_FLAGS = re.compile(r"\x1b\[\?(\d+)u")
_LATE_ANSWER = re.compile(r"\x1b\[\?[0-9;]*[cS]|\x1b\[6;\d+;\d+t")
"""What the terminal says when it is asked what it can show (graphics.py), if its line is slow."""
_EXTENDED_KEY = re.compile(
    r"\x1b\[(?P<code>\d+)(?::(?P<shifted>\d*))?(?::(?P<base>\d*))?"
    r"(?:;(?P<modifiers>\d*)(?::(?P<type>\d+))?(?:;(?P<text>[\d:]*))?)?(?P<end>[u~A-HPQRS])"
)
_SHIFT, _CAPS_LOCK, _NUM_LOCK = 1, 64, 128
_NO_MODIFIERS = _SHIFT | _CAPS_LOCK | _NUM_LOCK
"""With no others a key types text."""
_SHIFTED = str.maketrans("`1234567890-=[]\\;',./", '~!@#$%^&*()_+{}|:"<>?')
"""What an American keyboard has above its keys without a letter."""


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
    """Textual's parser, for sequences with event types and places, too."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._layout_is_latin = True
        """As far as the last letter told."""

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        if _LATE_ANSWER.fullmatch(sequence):
            return [events.Key(Keys.Ignore, sequence)]
        if match := _FLAGS.fullmatch(sequence):
            reported = int(match[1]) & _REPORT_EVENT_TYPES
            return cast(Iterable[events.Key], [ReleasesReported()] if reported else [events.Key(Keys.Ignore, sequence)])
        match = _EXTENDED_KEY.fullmatch(sequence)
        if match is None or ":" not in sequence:
            return super()._sequence_to_key_events(sequence, alt)
        try:
            keys = self._keys_by_letter_or_place(match)
        except (ValueError, OverflowError):  # no key has such a number
            return [events.Key(Keys.Ignore, sequence)]
        if match["type"] == _RELEASE:
            return cast(Iterable[events.Key], [KeyReleased(key.key.rpartition("+")[2]) for key in keys])
        return keys

    def _keys_by_letter_or_place(self, match: re.Match[str]) -> list[events.Key]:
        code, modifiers, text = match["code"], match["modifiers"] or "", match["text"] or ""
        place = chr(int(match["base"])) if match["base"] and match["end"] == "u" else ""
        if not place or not self._goes_by_place(chr(int(code)), place):
            return list(super()._sequence_to_key_events(_sequence(code, modifiers, text, match["end"])))
        bits = int(modifiers or 1) - 1
        shift, upper = bool(bits & _SHIFT), bool(bits & _SHIFT) != bool(bits & _CAPS_LOCK)
        typed = "".join(chr(int(part)) for part in text.split(":") if part)
        if not typed and not bits & ~_NO_MODIFIERS and match["type"] != _RELEASE:  # kitty has no text for some keys
            typed = chr(int(match["shifted"] or code)).upper() if upper else chr(int(code))
        there = (
            (place.upper() if upper else place) if place.isalpha() else place.translate(_SHIFTED) if shift else place
        )
        types = str(ord(there)) if typed else ""
        (key,) = super()._sequence_to_key_events(_sequence(str(ord(place)), modifiers, types, "u"))
        return [events.Key(key.key, typed or key.character)]

    def _goes_by_place(self, letter: str, place: str) -> bool:
        """Whether a key has no Latin letter; `place`: the American key there.

        Signs are as they are typed, but where a layout without Latin letters has one in the place of a letter, as the
        Greek one has `;` at Q.
        """
        if letter.isalpha():
            self._layout_is_latin = not _is_foreign(letter)
        return _is_foreign(letter) or (not letter.isalpha() and place.isalpha() and not self._layout_is_latin)


def _sequence(code: str, modifiers: str, text: str, end: str) -> str:
    """As Textual's parser reads it."""
    return f"\x1b[{code};{modifiers}" + (f";{text}" if text else "") + end


def _is_foreign(character: str) -> bool:
    """Whether it is a letter, a mark or a digit of a script other than the Latin one."""
    if character == "\u00b5":  # the micro sign of Latin keyboards, not the Greek letter
        return False
    simple = unicodedata.normalize("NFKD", character)[0]  # e.g. of º, which Spanish keyboards have
    name = unicodedata.name(simple, "LATIN")
    return unicodedata.category(simple)[0] in "LMN" and not simple.isascii() and not name.startswith(("LATIN", "COMB"))
