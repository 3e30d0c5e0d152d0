"""A worker process of the vectorised environment: it plays some of its games, one command for each at a time.

Frames and results go through shared memory; commands, and the answer that they are done, go through a pipe.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mario_tui.errors import MarioTuiError
from mario_tui.game.emulator import SCREEN_SHAPE, open_emulator, place
from mario_tui.game.episode import EndReason, Episode, StepResult
from mario_tui.game.starts import Snapshots, Start, Trail
from mario_tui.grey_frames import FRAME_SHAPE, grey_frame
from mario_tui.rewards import Reward
from mario_tui.system.processes import end_with_parent, go_to_background

ENDS: tuple[EndReason | None, ...] = (None, *EndReason)
"""What the number in a result's field `end` stands for."""

RESULT = np.dtype(
    [
        ("reward", np.float32),
        ("terminated", np.bool_),
        ("last", np.bool_),
        ("first", np.bool_),
        ("end", np.uint8),
        ("max_x", np.int32),
        ("place", np.int16, (3,)),
        ("progress", np.float32),
        ("seconds", np.float32),
    ]
)
"""What a command brought in one game; see VectorStep. `seconds`: how long it took."""


@dataclass(frozen=True, slots=True)
class Task:
    """The games that one worker plays: those numbered `first_env` to `last_env - 1` of `envs`.

    `snapshots`: how many it keeps of places that episodes may begin at.
    """

    stage: str
    envs: int
    first_env: int
    last_env: int
    frame_skip: int
    stall_steps: int
    max_steps: int
    snapshots: int = 0
    reward: Reward = "tutorial"


class SharedGames:
    """The memory that the vectorised environment shares with its workers; without a name, so none of it is left behind.

    frames: (envs, 240, 256, 3) uint8, of the games that are shown.
    observations: (envs, 84, 84) uint8, see `grey_frame`.
    results: (envs,) RESULT.
    shown: (envs,) bool, whether a game's worker should write its frames; False in new memory.
    """

    def __init__(self, descriptor: int, envs: int) -> None:
        """Maps the memory behind a descriptor from `allocate`; the descriptor may be closed afterwards."""
        layout = self._layout(envs)
        memory = np.frombuffer(mmap.mmap(descriptor, layout.itemsize), layout)
        self.frames: NDArray[np.uint8] = memory["frames"][0]
        self.observations: NDArray[np.uint8] = memory["observations"][0]
        self.results: NDArray[np.void] = memory["results"][0]
        self.shown: NDArray[np.bool_] = memory["shown"][0]

    @classmethod
    def allocate(cls, envs: int) -> int:
        """A new descriptor of memory for this many games; raises OSError if no memory is left."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("mario-tui-games")
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.truncate(descriptor, cls._layout(envs).itemsize)
        return descriptor

    @staticmethod
    def _layout(envs: int) -> np.dtype[np.void]:
        return np.dtype(
            [
                ("frames", np.uint8, (envs, *SCREEN_SHAPE)),
                ("observations", np.uint8, (envs, *FRAME_SHAPE)),
                ("results", RESULT, (envs,)),
                ("shown", np.bool_, (envs,)),
            ]
        )


Command = tuple[str, Any]
"""What one game does next: the name of a method of Game, and its argument."""


class Game:
    """One game: its episode, and its places in the shared memory; the snapshots are those of its process."""

    def __init__(self, task: Task, shared: SharedGames, env: int, snapshots: Snapshots) -> None:
        self._episode = Episode(
            open_emulator(task.stage),
            frame_skip=task.frame_skip,
            stall_steps=task.stall_steps,
            max_steps=task.max_steps,
            ends_off_course=True,
            reward=task.reward,
        )
        self._shared, self._env, self._snapshots = shared, env, snapshots
        self._trail = Trail(self._episode) if task.snapshots and self._episode.emulator.has_snapshots() else None
        self._unseen = np.empty(SCREEN_SHAPE, np.uint8)  # the picture that becomes the observation alone
        self._began = time.perf_counter()
        self._publish(None)

    def run(self, command: Command) -> None:
        """Executes a command; its results are in the shared memory afterwards. KeyError for an unknown one."""
        self._began = time.perf_counter()
        name, argument = command
        _COMMANDS[name](self, argument)

    def step(self, buttons: Sequence[int]) -> None:
        """Plays one step with these buttons, a byte for each of its frames."""
        self._publish(self._play(buttons))

    def _play(self, buttons: Sequence[int]) -> StepResult:
        result = self._episode.step(buttons)
        if self._trail:
            self._trail.add()
        return result

    def reset(self, starts: tuple[Start, Sequence[Start]]) -> None:
        """Begins an episode, the first of these, and keeps snapshots of the others, where the one before passed."""
        start, passed = starts
        for one in passed:
            step = len(one.log) // self._episode.frame_skip
            if self._trail and (snapshot := self._trail.at(step)):
                self._snapshots.keep(one, snapshot)
        self._begin(start)
        self._publish(None)

    def _begin(self, start: Start) -> None:
        self._snapshots.begin(self._episode, start)
        if self._trail:
            self._trail.begin()

    def restore(self, episode: tuple[Start, bytes]) -> None:
        """Brings the game to where it was after the frames of this log, in the episode that began so."""
        start, button_log = episode
        self._begin(start)
        result = None
        skip = self._episode.frame_skip
        for frame in range(0, len(button_log), skip):
            result = self._play(button_log[frame : frame + skip])
        self._publish(result)

    def _publish(self, result: StepResult | None) -> None:
        episode, shared, env = self._episode, self._shared, self._env
        screen = shared.frames[env] if shared.shown[env] else self._unseen
        episode.emulator.copy_screen(screen)
        grey_frame(screen, out=shared.observations[env])
        shared.results[env] = (
            result.reward if result else 0,
            result.terminated if result else False,
            result is not None and result.end is not None,
            result is None,
            ENDS.index(episode.end),
            episode.max_x,
            place(episode.emulator),
            episode.progress,
            time.perf_counter() - self._began,
        )


_COMMANDS: dict[str, Callable[[Game, Any], None]] = {"step": Game.step, "reset": Game.reset, "restore": Game.restore}


def serve(commands: Connection, descriptor: int, task: Task) -> None:
    """Plays the games of a task until the other end of the pipe is closed.

    Sends "" once the games are at their start. Then receives a list of commands, one for each game, executes them,
    sends "", and so on. Where anything fails, it sends one line that says why, and returns.
    """
    try:
        shared = SharedGames(descriptor, task.envs)
        snapshots = Snapshots(task.snapshots)
        games = [Game(task, shared, env, snapshots) for env in range(task.first_env, task.last_env)]
        while True:
            commands.send("")
            for game, command in zip(games, commands.recv(), strict=True):
                game.run(command)
    except (EOFError, ConnectionError):
        return
    except MarioTuiError as error:
        commands.send(str(error))
    except Exception as error:
        commands.send(" ".join(f"{type(error).__name__}: {error}".split()))


def command_line(commands: int, memory: int, task: Task) -> str:
    """The argument that the process is started with: the two descriptors that it inherits, and the task."""
    return json.dumps({"commands": commands, "memory": memory, "task": asdict(task)})


def main() -> None:
    """What the process runs; see vector_env.py, which starts it."""
    arguments = json.loads(sys.argv[1])
    end_with_parent(signal.SIGKILL)
    go_to_background(0)  # as nice as the learner, whose session it shares
    with Connection(arguments["commands"]) as commands:
        serve(commands, arguments["memory"], Task(**arguments["task"]))


if __name__ == "__main__":
    main()
