"""Plays the episode of an action log again, step by step, and checks it by its checksums."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mario_tui.game.action_log import CHECKSUMS, ActionLog
from mario_tui.game.emulator import Emulator, open_emulator
from mario_tui.game.episode import EndReason, Episode
from mario_tui.game.step import EpisodeStep, StepPlayer


def play_log(log: ActionLog, *, frame_skip: int | None = None, all_frames: bool = True) -> Iterator[EpisodeStep]:
    """The steps of a log's episode, from the first frame (step 0) until the log or the episode ends.

    Args:
        log: one that begins with a reset.
        frame_skip: frames in a step; those of the log by default. Frames at the end of the log that make no whole step
            are left out, unless the episode ends in them.
        all_frames: whether the steps have every frame and the checksums.
    """
    with open_emulator(log.stage) as emulator:
        yield from play_log_in(emulator, log, frame_skip=frame_skip, all_frames=all_frames)


def play_log_in(
    emulator: Emulator, log: ActionLog, *, frame_skip: int | None = None, all_frames: bool = True
) -> Iterator[EpisodeStep]:
    """As `play_log`, in this emulator: of the log's stage, or with the stage before it cleared where the log goes on.

    Raises EmulatorError where it cannot go on.
    """
    skip = frame_skip or log.frame_skip
    player = StepPlayer(Episode(emulator, frame_skip=skip, goes_on=log.goes_on), all_frames=all_frames)
    last = player.start()
    yield last
    for start in range(0, log.frames, skip):
        if last.end is not None:
            return
        buttons = [log.buttons[frame // log.frame_skip] for frame in range(start, min(start + skip, log.frames))]
        step = player.play(buttons + [buttons[-1]] * (skip - len(buttons)))
        if step.frame_count - last.frame_count > len(buttons):
            return
        last = step
        yield step


class LogsInTurn:
    """Plays logs one after the other, each to its end before the next; a context manager that closes the game."""

    def __init__(self) -> None:
        self._emulator: Emulator | None = None

    def play(self, log: ActionLog, *, frame_skip: int | None = None) -> Iterator[EpisodeStep]:
        """See `play_log`; a log that goes on begins where the one before it ended."""
        if self._emulator is None or log.goes_on is None:
            self.close()
            self._emulator = open_emulator(log.stage)
        yield from play_log_in(self._emulator, log, frame_skip=frame_skip)

    def close(self) -> None:
        if self._emulator is not None:
            self._emulator.close()
            self._emulator = None

    def __enter__(self) -> LogsInTurn:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """How an episode went.

    frames: emulator frames played.
    ram_crc32: zlib.crc32 chained over the 2,048 bytes of RAM after every frame.
    screen_crc32: the same over every (240, 256, 3) picture.
    max_x: farthest x position, pixels.
    reward: summed over all frames.
    cleared: whether the stage was.
    end: why the episode ended; None where the log stops before that.
    """

    frames: int
    ram_crc32: int
    screen_crc32: int
    max_x: int
    reward: float
    cleared: bool
    end: EndReason | None

    @classmethod
    def after(cls, last: EpisodeStep) -> ReplayResult:
        """The result of an episode whose last step this is, of one played with all its frames."""
        return cls(
            frames=last.frame_count,
            ram_crc32=last.ram_crc32,
            screen_crc32=last.screen_crc32,
            max_x=last.max_x,
            reward=last.total_reward,
            cleared=last.end is EndReason.CLEAR,
            end=last.end,
        )

    def differs_from(self, log: ActionLog) -> bool:
        """Whether the log has a checksum that is not this one."""
        return any(getattr(log, name) not in (None, getattr(self, name)) for name in CHECKSUMS)


def summary(steps: Iterable[EpisodeStep]) -> ReplayResult:
    """The result of an episode, of all its steps from the first frame on; raises ValueError without any."""
    newest = deque(steps, maxlen=1)
    if not newest:
        raise ValueError("an episode without steps has no result")
    return ReplayResult.after(newest[0])


def replay(log: ActionLog) -> ReplayResult:
    """Plays a log from the start of its stage until the log or the episode ends."""
    return summary(play_log(log))


def replay_all(logs: Sequence[ActionLog]) -> list[ReplayResult]:
    """Plays logs one after the other; see `LogsInTurn`."""
    with LogsInTurn() as game:
        return [summary(game.play(log)) for log in logs]
