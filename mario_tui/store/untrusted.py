"""Files of unknown origin, read safely: they may be damaged, endless, or made to confuse a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mario_tui.errors import DamagedError

MAX_JSON_BYTES = 16 * 2**20


def read_json(path: Path) -> Any:
    """The content of a JSON file; raises DamagedError, which names it, if it is missing or damaged."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise DamagedError(f"{path} is damaged: too large")
        if not path.is_file():  # reading a pipe may wait for ever, reading a device may never end
            raise DamagedError(f"{path} is damaged: it is no file")
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DamagedError(f"{path} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedError(f"{path} is damaged: {one_line_error(error)}") from None


def one_line_error(error: BaseException) -> str:
    """The message of an error that an untrusted file caused, as one short line."""
    return sanitize(f"{type(error).__name__}: {error}", 200)


def sanitize(text: object, most: int = 100) -> str:
    """Untrusted text as one line of at most `most` characters, without any that would control a terminal."""
    line = " ".join(str(text).split())[:most]
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def finite_number(value: object) -> float | None:
    """A number that was read from an untrusted file; None if it is of another kind, not finite, or absurdly large."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e18:  # which NaN is not
        return None
    return float(value)
