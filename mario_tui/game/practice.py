"""Practice: episodes that begin at places where others were, shortly before these failed, or on the way of a clear.

An agent that reaches a place in one of ten episodes has a tenth of the practice there. Episodes that begin near it make
up for that (Salimans and Chen 2018, Learning Montezuma's Revenge from a Single Demonstration; Florensa et al. 2017,
Reverse Curriculum Generation for Reinforcement Learning).
"""

from __future__ import annotations

import base64
import zlib
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mario_tui.game.episode import EndReason
from mario_tui.game.starts import SNAPSHOT_EVERY, Start

Source = Literal["deaths", "clears", "both"]

_BEYOND = 40
"""Steps that an episode has at least after the one in which the other failed."""
_PLACES_OF_A_CLEAR = 16
_MOST_FRAMES = 100_000
_MOST_NOOPS = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """Where an episode of practice begins: the buttons that lead there, as those of `Start`.

    Attributes:
        to_end: steps from there to where the other episode failed; 0 if it did not.
    """

    noop_steps: int
    log: bytes
    to_end: int

    def as_json(self) -> list[Any]:
        return [self.noop_steps, base64.b85encode(zlib.compress(self.log)).decode(), self.to_end]

    @classmethod
    def from_json(cls, content: Any, frame_skip: int) -> Place:
        """Of what `as_json` gave; raises ValueError or TypeError for anything else."""
        noop_steps, text, to_end = content
        unpacked = zlib.decompressobj()
        try:
            log = unpacked.decompress(base64.b85decode(text), _MOST_FRAMES)
        except zlib.error as error:
            raise ValueError(f"a place of practice is damaged: {error}") from None
        numbers = type(noop_steps) is int and type(to_end) is int
        if not numbers or not (0 <= noop_steps <= _MOST_NOOPS and 0 <= to_end <= _MOST_FRAMES):
            raise ValueError("a place of practice has numbers that are out of range")
        if not unpacked.eof or not log or len(log) % frame_skip:
            raise ValueError("a place of practice has no buttons of whole steps")
        return cls(noop_steps, log, to_end)


class Practice:
    """Which places there are for some games, and which of them their next episodes begin at.

    Args:
        games: the numbers of those that practise.
        source: whether places are of episodes that failed, by death or stall, of those that cleared the stage, or of
            both, half and half.
        share: of their episodes, those of practice; the others begin at the start of the stage.
        most: how many places of each kind are known; older ones make way.
        nearest, farthest: how many steps before the death a place is: at random between them. Where an episode stalled,
            before the last step that got it farther.
        length: steps after which an episode is cut, unless it would end less than 40 steps after the death.
        lead_in: steps before the place, played as they were, so that the first observation is a true one.
        frame_skip, stall_steps: of the games.
        seed: of what is drawn.
    """

    def __init__(
        self,
        games: Collection[int],
        *,
        source: Source,
        share: float,
        most: int,
        nearest: int,
        farthest: int,
        length: int,
        lead_in: int,
        frame_skip: int,
        stall_steps: int,
        seed: int,
    ) -> None:
        self._games, self._share = games, share
        self._nearest, self._farthest, self._length = nearest, farthest, length
        self._lead_in, self._frame_skip, self._stall_steps = lead_in, frame_skip, stall_steps
        kinds = ("deaths", "clears") if source == "both" else (source,)
        self.places: dict[str, deque[Place]] = {kind: deque(maxlen=most) for kind in kinds}
        self._rng = np.random.Generator(np.random.PCG64(seed))

    def add(self, end: EndReason, noop_steps: int, log: bytes) -> list[Start]:
        """Takes places from an episode that ended so, of which these are the buttons; returns where they begin."""
        steps = len(log) // self._frame_skip
        kind = "clears" if end is EndReason.CLEAR else "deaths"
        if kind not in self.places or end is EndReason.TIME:
            return []
        failed = steps - (self._stall_steps if end is EndReason.STALL else 0)
        if end is EndReason.CLEAR:
            begins = self._rng.integers(steps, size=_PLACES_OF_A_CLEAR).tolist()
        else:
            begins = [failed - int(self._rng.integers(self._nearest, self._farthest + 1))]
        starts = []
        for step in begins:
            whole = (step - self._lead_in) // SNAPSHOT_EVERY * SNAPSHOT_EVERY  # where snapshots are
            if whole <= 0:
                continue
            at = whole + self._lead_in
            place = Place(noop_steps, log[: at * self._frame_skip], 0 if end is EndReason.CLEAR else failed - at)
            self.places[kind].append(place)
            starts.append(self._start(place)[0])
        return starts

    def draw(self, game: int) -> tuple[Start, bytes] | None:
        """Where the next episode of a game begins, and the buttons of the steps that lead in, a byte for each frame.

        None for the start of the stage.
        """
        known = [places for places in self.places.values() if places]
        if game not in self._games or not known or self._rng.random() >= self._share:
            return None
        places = known[int(self._rng.integers(len(known)))]
        return self._start(places[int(self._rng.integers(len(places)))])

    def _start(self, place: Place) -> tuple[Start, bytes]:
        lead_in = self._lead_in * self._frame_skip
        before = len(place.log) - lead_in
        length = max(self._length, place.to_end + _BEYOND) + self._lead_in
        return Start(place.noop_steps, place.log[:before], length), place.log[before:]

    def state_dict(self) -> dict[str, Any]:
        """Lists and numbers for `load_state_dict`."""
        places = {kind: [place.as_json() for place in places] for kind, places in self.places.items()}
        return {"places": places, "rng": self._rng.bit_generator.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from a `state_dict`; places of a kind that is no longer drawn are left out.

        Raises KeyError, TypeError or ValueError for anything else.
        """
        for kind, places in self.places.items():
            known = state["places"].get(kind, [])
            loaded = [Place.from_json(place, self._frame_skip) for place in known[-(places.maxlen or 0) :]]
            if any(len(place.log) <= self._lead_in * self._frame_skip for place in loaded):
                raise ValueError("a place of practice is before the first step")
            places.clear()
            places.extend(loaded)
        self._rng.bit_generator.state = state["rng"]
