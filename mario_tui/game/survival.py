"""Whether Mario can still survive from a place in an episode: an exhaustive search, without chance, of what can follow.

The game is deterministic, so a state of it is either lost, whatever is pressed, or it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from mario_tui.game.episode import EndReason, Episode, EpisodeSnapshot

MARGIN_STEPS = 40
"""Another way on must still be alive so many steps after the death, lest it only dies a little later."""
MAX_PLAYED = 4_000
"""Steps that a search plays before it gives up: some 15 seconds of one processor core."""

_FLOAT_STATE = 0x001D  # in the NES's RAM; 0 where Mario neither jumps nor falls


@dataclass(frozen=True, slots=True)
class Goal:
    """What surviving means: a clear, or Mario is alive after `step` steps of the episode and has been at `x` pixels.

    Who only stands still in front of a hazard has not survived it. With `stands_from` he also has who was at `x` and
    stands on something, so many steps after the episode's start or later: he does not fall into a pit then.
    """

    step: int
    x: int
    stands_from: int | None = None


class SurvivalSearch:
    """Searches the ways on from places in an episode, depth first, each step with any of the actions.

    The action before is tried first, as buttons are mostly held for several steps. A state that was searched is known
    from then on, so that searches of neighbouring places cost little.

    Args:
        episode: is moved about; its limits (`stall_steps`, `max_steps`) hold.
        actions: button bytes.
        goal: the same for all places.
        max_played: after so many steps a search gives up.
        on_step: called before each step that is played.

    Attributes:
        played: steps so far, of all searches.
    """

    def __init__(
        self,
        episode: Episode,
        actions: Sequence[int],
        goal: Goal,
        *,
        max_played: int = MAX_PLAYED,
        on_step: Callable[[], object] = lambda: None,
    ) -> None:
        self._episode = episode
        self._actions = tuple(actions)
        self._goal = goal
        self._max_played = max_played
        self._on_step = on_step
        self._known: dict[tuple[int, bool, bytes], bool] = {}
        self.played = 0

    def survives(self, place: EpisodeSnapshot) -> bool | None:
        """Whether there is a way on from this place that reaches the goal; None if it was not found out."""
        self._episode.restore(place)
        return self._search()

    def survives_step(self, place: EpisodeSnapshot, frame_buttons: Sequence[int]) -> bool | None:
        """The same for the place where a step with these buttons, a byte for each frame, leads."""
        self._episode.restore(place)
        self._play(frame_buttons)
        return self._search()

    def play(self, place: EpisodeSnapshot, frame_buttons: Sequence[int]) -> EpisodeSnapshot:
        """Where a step with these buttons leads from a place."""
        self._episode.restore(place)
        self._play(frame_buttons)
        return self._episode.snapshot()

    def _play(self, buttons: int | Sequence[int]) -> None:
        self._on_step()
        self.played += 1
        self._episode.step(buttons)

    def _search(self) -> bool | None:
        episode, known = self._episode, self._known
        last = self.played + self._max_played
        open_nodes: list[_Node] = []
        verdict = self._verdict()
        if verdict is None:
            open_nodes.append(self._node())
        while open_nodes:
            node = open_nodes[-1]
            if not node.untried:
                known[node.key] = False
                open_nodes.pop()
                verdict = False
                continue
            if self.played >= last:
                return None
            if verdict is not None:  # otherwise the episode is there
                episode.restore(node.place)
            self._play(node.untried.pop())
            verdict = self._verdict()
            if verdict:
                known.update((each.key, True) for each in open_nodes)
                return True
            if verdict is None:
                open_nodes.append(self._node())
        return verdict

    def _verdict(self) -> bool | None:
        """Of the state that the episode is in now, as far as one sees; None while it has to be searched."""
        episode = self._episode
        if episode.end is not None:
            return episode.end is EndReason.CLEAR
        goal = self._goal
        if episode.steps >= goal.step:
            return episode.max_x >= goal.x
        is_past = goal.stands_from is not None and episode.steps >= goal.stands_from and episode.max_x >= goal.x
        if is_past and episode.emulator.ram[_FLOAT_STATE] == 0:
            return True
        return self._known.get(self._key())

    def _key(self) -> tuple[int, bool, bytes]:
        episode = self._episode
        return episode.steps, episode.max_x >= self._goal.x, episode.emulator.ram.tobytes()

    def _node(self) -> _Node:
        before = self._episode.buttons[-1] if self._episode.buttons else 0
        untried = sorted(self._actions, key=lambda action: action == before)  # the last one is tried first
        return _Node(self._episode.snapshot(), self._key(), untried)


@dataclass(slots=True)
class _Node:
    place: EpisodeSnapshot
    key: tuple[int, bool, bytes]
    untried: list[int]


def places_along(episode: Episode, buttons: Sequence[int], steps: Collection[int]) -> Iterator[EpisodeSnapshot]:
    """Plays the buttons, a byte for each frame, from the start on; yields the places after these numbers of steps.

    The episode is at each while it is yielded.
    """
    episode.reset()
    if 0 in steps:
        yield episode.snapshot()
    while episode.steps < max(steps):
        episode.step(buttons[episode.frames : episode.frames + episode.frame_skip])
        if episode.steps in steps:
            yield episode.snapshot()
