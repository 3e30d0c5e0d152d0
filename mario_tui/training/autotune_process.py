"""Measures how fast a training is with several combinations of threads, processes and games, in a process of its own.

They take turns, so that what else the machine does meanwhile slows all of them. A line of JSON a round and combination
comes out on standard output; the process ends when standard input does.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mario_tui import paths
from mario_tui.config import TrainingConfig, make_config
from mario_tui.errors import MarioTuiError, TrainingError
from mario_tui.system.processes import start_module
from mario_tui.training.autotune import Setup, worth_trying

if TYPE_CHECKING:
    from mario_tui.training.trainer import Trainer

MEASURED_SECONDS = 4.0
START_SECONDS = 120.0
"""For PyTorch, a GPU's first test, the games and the first updates, before the first round."""
LEAST_ROUNDS = 3
_ROUND_SECONDS = 1.2
_LEAST_SLICE_SECONDS = 0.15
_END_SECONDS = 5.0
_LOOK_SECONDS = 0.1
_WARM_UP_UPDATES = 3
_WARM_UP_TICKS = 2  # after another combination's turn: threads start, and steps of games may be under way already


def measured(
    config: TrainingConfig,
    setups: Sequence[Setup],
    *,
    seconds: float = MEASURED_SECONDS,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[Setup, list[float]]:
    """Steps/s of each combination in each round; empty if it was cancelled or could not be measured.

    Args:
        seconds: how long it measures, besides the start; a little more for slow machines.
    """
    request = {"config": config.model_dump(), "setups": [asdict(setup) for setup in setups], "seconds": seconds}
    speeds: dict[Setup, list[float]] = {setup: [] for setup in setups}
    try:
        process = start_module(
            "mario_tui.training.autotune_process", stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
    except OSError:
        return {}
    try:
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.write(json.dumps(request).encode() + b"\n")
        for line in _lines(process, time.monotonic() + START_SECONDS + 3 * seconds, cancelled):
            answer = json.loads(line)
            speeds[setups[answer["setup"]]].append(answer["steps_per_second"])
    except ValueError:  # half a line of a process that was killed
        pass
    finally:
        _end(process)
    whole = len(speeds[setups[0]]) >= LEAST_ROUNDS
    return {setup: own for setup, own in speeds.items() if own} if whole and not cancelled() else {}


def _lines(process: subprocess.Popen[bytes], until: float, cancelled: Callable[[], bool]) -> Iterator[bytes]:
    """What the process prints, up to its end, to that time, or to a cancellation."""
    assert process.stdout is not None
    begun = b""
    while time.monotonic() < until and not cancelled():
        if not select.select([process.stdout], [], [], _LOOK_SECONDS)[0]:
            continue
        if not (read := os.read(process.stdout.fileno(), 65536)):
            return
        *whole, begun = (begun + read).split(b"\n")
        yield from whole


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process, and with it the games that it plays."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _Running:
    """A training with a number of games and processes, which goes on when it is told to."""

    def __init__(self, config: TrainingConfig, setup: Setup, cancelled: Callable[[], bool]) -> None:
        from mario_tui.training.restore import open_trainer

        config = config.replace(envs=setup.games, workers=setup.processes, threads=setup.threads)
        self.trainer: Trainer = open_trainer(config)
        self._events = self.trainer.run()
        self._cancelled = cancelled

    def warm_up(self) -> None:
        """Starts the games, and goes on until the agent learns."""
        while self.trainer.agent.updates < _WARM_UP_UPDATES:
            self._tick()

    def steps_per_second(self, threads: int, seconds: float) -> float:
        """In so many seconds, with so many threads of PyTorch."""
        import torch

        torch.set_num_threads(threads)
        for _ in range(_WARM_UP_TICKS):
            self._tick()
        began, first = time.perf_counter(), self.trainer.step
        while time.perf_counter() < began + seconds or self.trainer.step == first:
            self._tick()
        return (self.trainer.step - first) / (time.perf_counter() - began)

    def _tick(self) -> None:
        from mario_tui.training.events import Paused, Stepped

        if self._cancelled():
            raise TrainingError("cancelled")
        for event in self._events:
            if isinstance(event, Paused):  # for a reason of its own: what would be measured is no training
                raise TrainingError(event.reason)
            if isinstance(event, Stepped):
                return

    def close(self) -> None:
        self._events.close()


def rounds(
    config: TrainingConfig, setups: Sequence[Setup], seconds: float, cancelled: Callable[[], bool] = lambda: False
) -> Generator[tuple[Setup, float], None, None]:
    """A combination and its steps/s, one after the other, until the time is over; those far behind are left out.

    Raises TrainingError if it was cancelled, or if a training pauses by itself.
    """
    speeds: dict[Setup, list[float]] = {setup: [] for setup in setups}
    with ExitStack() as open_trainings:
        running: dict[tuple[int, int], _Running] = {}
        for setup in setups:
            if (where := (setup.games, setup.processes)) not in running:
                running[where] = open_trainings.enter_context(closing(_Running(_short(config), setup, cancelled)))
        for one in running.values():
            one.warm_up()
        for setup in setups:  # the first time is slower: code is made for its number of threads
            running[setup.games, setup.processes].steps_per_second(setup.threads, 0)
        began, tried, number = time.monotonic(), list(setups), 0
        while number < LEAST_ROUNDS or time.monotonic() < began + seconds:
            slice_seconds = max(_LEAST_SLICE_SECONDS, _ROUND_SECONDS / len(tried))
            for setup in tried[:: -1 if number % 2 else 1]:  # there and back, so that none is always the first
                speed = running[setup.games, setup.processes].steps_per_second(setup.threads, slice_seconds)
                speeds[setup].append(speed)
                yield setup, speed
            number += 1
            tried = worth_trying(speeds)


def _short(config: TrainingConfig) -> TrainingConfig:
    """The settings of a training that learns at once, saves nothing and needs little memory."""
    return config.replace(
        burn_in=max(64, config.batch_size),
        replay_size=min(config.replay_size, 8_000),
        exploration_rate=config.exploration_rate_min,  # as later on: random actions need no network
        exploration_schedule="",
        save_every=0,
        eval_every=0,
        until_clear=False,
        steps=0,
        episodes=0,
        record=False,
        tensorboard=False,
        init_from="",
        demonstrations="",
        corrections=0.0,
    )


def main() -> None:
    """What the process runs."""
    from mario_tui.agent.devices import resolve_device

    def owner_has_gone() -> bool:
        return bool(select.select([sys.stdin], [], [], 0)[0])  # its end

    request = json.loads(sys.stdin.buffer.readline())
    config, setups = make_config(**request["config"]), [Setup(**one) for one in request["setups"]]
    logs = paths.logs_dir()
    with suppress(MarioTuiError, OSError), tempfile.TemporaryDirectory(prefix="mario-tui-autotune-") as folder:
        if resolve_device(config.device).type != "cpu":  # a GPU is tested at its first start, and that is kept there
            logs.mkdir(parents=True, exist_ok=True)
            Path(folder, "logs").symlink_to(logs)
        os.environ["MARIO_TUI_HOME"] = folder
        with closing(rounds(config, setups, request["seconds"], owner_has_gone)) as measuring:
            for setup, speed in measuring:
                print(json.dumps({"setup": setups.index(setup), "steps_per_second": speed}), flush=True)


if __name__ == "__main__":
    main()
