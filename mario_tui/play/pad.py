"""The buttons that a human holds: with key releases, or in a terminal that does not report them."""

from __future__ import annotations

import threading

from mario_tui.buttons import DOWN, LEFT, RIGHT, UP, A, B

HIGH_JUMP_FRAMES = 32
"""How long a tap holds A: half a second, for the highest jump."""
HOP_FRAMES = 8
PULSE_FRAMES = 24
"""How long a tap holds up or down."""
_REPEAT_FRAMES = 12  # a key that is held down repeats at least five times a second
_FIRST_REPEAT_FRAMES = 45  # and begins to within three quarters of a second

_OPPOSITE = {LEFT: RIGHT, RIGHT: LEFT, UP: DOWN, DOWN: UP}


class Controls:
    """The pad of one player. Keys come from one thread, and another one asks for the buttons of each frame.

    `press` and `release` are for keys whose release is known, `tap` for those of which only the press is: then a
    direction stays held until another one is tapped, up and down release it and are held for a short time, so is A, and
    B is switched on and off.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frame = 0
        self._held: dict[int, None] = {}  # in the order of being pressed
        self._until: dict[int, int] = {}  # button -> frame at which it is released by itself
        self._tapped: dict[int, int] = {}  # button -> frame of the last tap

    def press(self, button: int) -> None:
        with self._lock:
            if button not in self._held:  # a key held down, that repeats
                self._hold(button)

    def release(self, button: int) -> None:
        with self._lock:
            self._release(button)

    def release_all(self) -> None:
        with self._lock:
            self._held.clear()
            self._until.clear()
            self._tapped.clear()

    def hop(self) -> None:
        """A press of A that is known to be short."""
        with self._lock:
            self._pulse(A, HOP_FRAMES)

    def tap(self, button: int) -> None:
        """A press of a key whose release will not be known."""
        with self._lock:
            last = self._tapped.get(button)
            self._tapped[button] = self._frame
            if button == B:
                if last is not None and self._frame - last <= _FIRST_REPEAT_FRAMES:
                    return  # a key held down, that repeats
                if B in self._held:
                    self._release(B)
                else:
                    self._hold(B)
            elif button == A:
                self._pulse(A, HIGH_JUMP_FRAMES)
            else:
                for other in (LEFT, RIGHT, UP, DOWN):
                    if other != button:
                        self._release(other)
                if button in (LEFT, RIGHT):
                    self._hold(button)
                else:
                    self._pulse(button, PULSE_FRAMES)

    def next_frame(self) -> int:
        """The button byte of the frame that is to be played now."""
        with self._lock:
            for button in [button for button, frame in self._until.items() if frame <= self._frame]:
                self._release(button)
            self._frame += 1
            byte = 0
            for button in self._held:  # of two opposite directions, the one that was pressed last
                byte = byte & ~_OPPOSITE.get(button, 0) | button
            return byte

    def _pulse(self, button: int, frames: int) -> None:
        if button in self._held:  # a key held down, that repeats
            frames = min(frames, _REPEAT_FRAMES)
        self._hold(button)
        self._until[button] = max(self._until.get(button, 0), self._frame + frames)

    def _hold(self, button: int) -> None:
        self._held.pop(button, None)
        self._held[button] = None

    def _release(self, button: int) -> None:
        self._held.pop(button, None)
        self._until.pop(button, None)
