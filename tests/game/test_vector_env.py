import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mario_tui.errors import EmulatorError, InputError
from mario_tui.game.emulator import MarioEmulator
from mario_tui.game.episode import EndReason, Episode
from mario_tui.game.vector_env import RESTARTS, VectorEnv, VectorStep
from mario_tui.game.worker import SharedGames, Task, serve
from traces import buttons_of

STALL_STEPS = 25
STEPS = 60
ENVS = 3
DEADLINE_SECONDS = 60.0


def new_fleet(*, envs: int = 1, workers: int = 1, **settings: Any) -> VectorEnv:
    settings = {"frame_skip": 4, "stall_steps": STALL_STEPS, "max_steps": 0} | settings
    return VectorEnv("1-1", envs=envs, workers=workers, **settings)


def buttons_of_steps() -> np.ndarray:
    """(STEPS, ENVS) uint8: game 0 runs to its death, game 1 stands still, game 2 plays a script."""
    run = np.full(STEPS, 130)
    stand = np.zeros(STEPS)
    script = np.fromiter(islice(buttons_of({"seed": 1}), STEPS), np.uint8)
    return np.stack([run, stand, script], axis=1).astype(np.uint8)


def seen(fleet: VectorEnv, step: VectorStep, env: int) -> dict[str, Any]:
    """All that a fleet shows of one game, as plain values."""
    names = set(VectorStep.__dataclass_fields__) - {"emulating_seconds", "dropped", "problem"}
    shown = {name: getattr(step, name)[env] for name in names}
    shown = {name: value.item() if isinstance(value, np.generic) else value for name, value in shown.items()}
    return shown | {"frame": fleet.frames[env].tobytes()}


def play_in_process(buttons: np.ndarray) -> list[dict[str, Any]]:
    """The same for one game of the fleet, without one: what it must show, at the start and after every step."""
    shown = []
    with MarioEmulator("1-1") as emulator:
        episode = Episode(emulator, stall_steps=STALL_STEPS)

        def show(reward: float, terminated: bool, truncated: bool, first: bool, held: int = 0) -> None:
            shown.append(
                {
                    "reward": reward,
                    "buttons": held,
                    "terminated": terminated,
                    "truncated": truncated,
                    "last": terminated or truncated,
                    "first": first,
                    "end": episode.end,
                    "x": emulator.x_position,
                    "max_x": episode.max_x,
                    "time": emulator.time,
                    "coins": emulator.coins,
                    "score": emulator.score,
                    "life": emulator.life,
                    "steps": episode.steps,
                    "status": emulator.status,
                    "frame": emulator.screen.tobytes(),
                }
            )

        show(0.0, False, False, True)
        for byte in buttons.tolist():
            if episode.end is None:
                result = episode.step(byte)
                show(result.reward, result.terminated, result.truncated, False, byte)
            else:
                episode.reset()
                show(0.0, False, False, True)
    return shown


@pytest.fixture(scope="module")
def expected() -> list[list[dict[str, Any]]]:
    """What each game must show, at the start and after every step."""
    return [play_in_process(buttons) for buttons in buttons_of_steps().T]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_fleet_is_its_episodes(workers: int, expected: list[list[dict[str, Any]]]) -> None:
    with new_fleet(envs=ENVS, workers=workers) as fleet:
        assert len(fleet.pids) == workers
        step = fleet.start()
        assert [seen(fleet, step, env) for env in range(ENVS)] == [shown[0] for shown in expected]
        for number, buttons in enumerate(buttons_of_steps(), start=1):
            fleet.send(buttons)
            step = fleet.receive()
            for env in range(ENVS):
                assert seen(fleet, step, env) == expected[env][number], f"game {env}, step {number}"


def test_the_comparison_has_ends_and_resets(expected: list[list[dict[str, Any]]]) -> None:
    ends = [{shown["end"] for shown in game} for game in expected]
    assert EndReason.DEATH in ends[0]
    assert EndReason.STALL in ends[1]
    for game in expected[:2]:
        # The next step after the last one begins an episode, and only then does one begin.
        assert [shown["last"] for shown in game[:-1]] == [shown["first"] for shown in game[1:]]


@pytest.fixture(scope="module")
def fleet() -> Iterator[VectorEnv]:
    with new_fleet(envs=2, workers=2) as fleet:
        fleet.start()
        yield fleet


def advance(fleet: VectorEnv, *buttons: int) -> VectorStep:
    fleet.send(np.array(buttons, np.uint8))
    return fleet.receive()


def test_the_arrays_of_a_step(fleet: VectorEnv) -> None:
    assert (fleet.frames.shape, fleet.frames.dtype) == ((2, 240, 256, 3), np.uint8)
    step = advance(fleet, 130, 0)
    kinds = {"reward": np.float32, "buttons": np.uint8} | dict.fromkeys(
        ("terminated", "truncated", "last", "first"), np.bool_
    )
    kinds |= dict.fromkeys(("x", "max_x", "time", "coins", "score", "life", "steps"), np.int32)
    for name, kind in kinds.items():
        array = getattr(step, name)
        assert (array.shape, array.dtype) == ((2,), kind), name
        assert array.flags.c_contiguous, name
        assert array.flags.owndata, name


def test_a_step_keeps_its_values(fleet: VectorEnv) -> None:
    before = advance(fleet, 130, 0)
    copies = before.x.copy(), before.steps.copy()
    for _ in range(5):
        after = advance(fleet, 130, 0)
    assert np.array_equal(before.x, copies[0])
    assert np.array_equal(before.steps, copies[1])
    assert not np.array_equal(after.steps, copies[1])


def test_button_logs_are_those_of_the_running_episodes(fleet: VectorEnv) -> None:
    fleet.restore({"frame_logs": [[], []]})
    assert fleet.button_logs == [[], []]
    for _ in range(STALL_STEPS - 1):
        advance(fleet, 130, 0)
    assert advance(fleet, 131, 0).end == [None, EndReason.STALL]
    assert fleet.button_logs == [[130] * 4 * (STALL_STEPS - 1) + [131] * 4, [0] * 4 * STALL_STEPS]
    assert advance(fleet, 131, 1).first.tolist() == [False, True]
    assert fleet.button_logs[1] == []
    advance(fleet, 131, 2)
    assert fleet.button_logs[1] == [2] * 4


def test_a_state_of_one_byte_per_step_can_still_be_restored(fleet: VectorEnv) -> None:
    by_step = fleet.restore({"button_logs": [[130, 131, 130], [0, 1]]})
    shown = [seen(fleet, by_step, env) for env in range(2)]
    frames = [[130] * 4 + [131] * 4 + [130] * 4, [0] * 4 + [1] * 4]
    assert fleet.button_logs == frames
    by_frame = fleet.restore({"frame_logs": frames})
    assert [seen(fleet, by_frame, env) for env in range(2)] == shown


def test_restore_brings_the_games_back(fleet: VectorEnv) -> None:
    fleet.restore({"frame_logs": [[], []]})
    for _ in range(STALL_STEPS):
        step = advance(fleet, 130, 0)
    assert step.last.tolist() == [False, True]
    there = [seen(fleet, step, env) for env in range(2)]
    logs = [list(log) for log in fleet.button_logs]
    state = fleet.state_dict()
    after = advance(fleet, 131, 0)
    there_after = [seen(fleet, after, env) for env in range(2)]

    step = fleet.restore(state)
    assert [seen(fleet, step, env) for env in range(2)] == there
    assert fleet.button_logs == logs
    after = advance(fleet, 131, 0)
    assert [seen(fleet, after, env) for env in range(2)] == there_after


def test_calls_out_of_turn(fleet: VectorEnv) -> None:
    with pytest.raises(RuntimeError, match="send"):
        fleet.receive()
    with pytest.raises(ValueError, match="2 games and buttons for 3"):
        fleet.send(np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match="2 games and logs for 1"):
        fleet.restore({"frame_logs": [[]]})
    with pytest.raises(ValueError, match="2 games and logs for 2"):
        fleet.restore({"frame_logs": [[], []], "noop_steps": [0]})
    with pytest.raises(KeyError):
        fleet.restore({})
    fleet.send(np.zeros(2, np.uint8))
    with pytest.raises(RuntimeError, match="receive"):
        fleet.send(np.zeros(2, np.uint8))
    with pytest.raises(RuntimeError, match="receive"):
        fleet.restore({"frame_logs": [[], []]})
    fleet.receive()


def other_buttons(fleet: VectorEnv) -> list[int]:
    """For each game buttons that it does not hold, so that a step tells whether the ones before stuck."""
    return [0 if log and log[-1] else 128 for log in fleet.button_logs]


def test_sticky_buttons_are_taken_up_late_about_as_often_as_asked_and_are_told() -> None:
    late: Counter[int] = Counter()
    with new_fleet(envs=4, workers=2, sticky=0.25, seed=3, stall_steps=0) as fleet:
        observed = fleet.start()
        for _ in range(100):
            ended, before = observed.last, observed.buttons
            chosen = other_buttons(fleet)
            observed = advance(fleet, *chosen)
            for env in np.flatnonzero(~ended):
                step = fleet.button_logs[env][-4:]
                late[step.count(before[env])] += 1
                assert step == [before[env]] * step.count(before[env]) + [chosen[env]] * step.count(chosen[env])
                assert step[-1] == observed.buttons[env]
    steps = late.total()
    assert steps > 350
    assert late[0] / steps == pytest.approx(0.75, abs=0.06)
    assert late[1] / steps == pytest.approx(0.75 * 0.25, abs=0.06)


def test_a_game_with_sticky_buttons_plays_what_it_says_it_held() -> None:
    with new_fleet(sticky=0.5, seed=1, stall_steps=0) as fleet, MarioEmulator("1-1") as emulator:
        fleet.start()
        episode = Episode(emulator, frame_skip=1)
        for _ in range(30):
            advance(fleet, *other_buttons(fleet))
            for byte in fleet.button_logs[0][-4:]:
                episode.step(byte)
            assert np.array_equal(fleet.frames[0], emulator.screen)


def noop_starts(*, workers: int, seed: int) -> list[tuple[int, int, int]]:
    """The episodes' starts of a fleet that stands still: tick, game and the steps of no button that it began with."""
    starts = []
    with new_fleet(envs=3, workers=workers, noops=30, seed=seed, stall_steps=9) as fleet:
        fleet.start()
        for tick in range(28):
            observed = advance(fleet, 0, 0, 0)
            for env in np.flatnonzero(observed.first):
                assert fleet.state_dict()["noop_steps"][env] == observed.steps[env]
                starts.append((tick, int(env), int(observed.steps[env])))
    return starts


def test_episodes_begin_with_no_button_by_the_seed_alone() -> None:
    starts = noop_starts(workers=1, seed=0)
    noops = {steps for _, _, steps in starts}
    assert len(starts) > 8
    assert len(noops) > 3
    assert noops <= set(range(9)), "30 frames are at most 8 steps"
    for workers in (2, 3):
        assert noop_starts(workers=workers, seed=0) == starts
    assert noop_starts(workers=1, seed=1) != starts


def test_random_games_go_on_from_a_state_in_the_middle_of_an_episode() -> None:
    settings: dict[str, Any] = {"envs": 2, "sticky": 0.3, "noops": 30, "stall_steps": 12}
    script = buttons_of_steps()[:, :2] & 0b1100_0011  # no select and no start

    def play(fleet: VectorEnv, tick: int) -> list[dict[str, Any]]:
        step = advance(fleet, *script[tick % STEPS].tolist())
        return [seen(fleet, step, env) for env in range(2)]

    with new_fleet(workers=1, seed=5, **settings) as fleet:
        fleet.start()
        tick = 0
        state: dict[str, Any] = {}
        while not (tick > 25 and all(state["noop_steps"]) and all(len(log) > 2 for log in state["frame_logs"])):
            there = play(fleet, tick)
            tick += 1
            state = fleet.state_dict()
        saved = json.dumps(state)
        whole = [play(fleet, tick + later) for later in range(25)]
    assert any(shown["first"] and shown["steps"] for tick_shown in whole for shown in tick_shown), (
        "episodes begin later on"
    )
    with new_fleet(workers=2, seed=99, **settings) as other:
        other.start()
        observed = other.restore(json.loads(saved))
        assert [seen(other, observed, env) for env in range(2)] == there
        assert [play(other, tick + later) for later in range(25)] == whole


def test_the_step_limit() -> None:
    with new_fleet(max_steps=2) as fleet:
        fleet.start()
        assert [advance(fleet, 0).end[0] for _ in range(3)] == [None, EndReason.TIME, None]


def test_numbers_that_cannot_be() -> None:
    with pytest.raises(InputError):
        VectorEnv("9-9", envs=1, workers=1, frame_skip=4, stall_steps=0, max_steps=0)
    for envs, workers in ((0, 1), (1, 0), (-1, -1)):
        with pytest.raises(InputError):
            new_fleet(envs=envs, workers=workers)


def test_more_workers_than_games_are_not_started() -> None:
    with new_fleet(envs=1, workers=5) as fleet:
        assert len(fleet.pids) == 1


def test_close_ends_the_processes_and_can_be_called_again() -> None:
    fleet = new_fleet(envs=2, workers=2)
    first_frames = fleet.start() and fleet.frames.copy()
    fleet.close()
    assert not any(is_running(pid) for pid in fleet.pids)
    fleet.close()
    assert np.array_equal(fleet.frames, first_frames), "they can still be read"
    fleet.send(np.zeros(2, np.uint8))
    with pytest.raises(EmulatorError, match="closed"):
        fleet.receive()


def test_close_before_the_games_have_started() -> None:
    fleet = new_fleet(envs=2, workers=2)
    fleet.close()
    assert not any(is_running(pid) for pid in fleet.pids)


@pytest.mark.parametrize("fault", ["frozen", "killed before send", "killed after send"])
def test_a_worker_that_hangs_or_dies_is_started_again_and_the_other_plays_on(fault: str) -> None:
    with new_fleet(envs=3, workers=2) as fleet, new_fleet(envs=3, workers=2) as whole:
        started, _ = fleet.start(), whole.start()
        assert not started.dropped.any()
        buttons = buttons_of_steps()
        for step in range(5):
            for one in (fleet, whole):
                one.send(buttons[step])
                one.receive()
        first, second = fleet.pids
        os.kill(second, signal.SIGSTOP)  # so that it cannot answer before it is killed
        if fault == "killed before send":
            os.kill(second, signal.SIGKILL)
            wait_until(lambda: not is_running(second))
        fleet.send(buttons[5])
        if fault == "killed after send":
            os.kill(second, signal.SIGKILL)
        step = fleet.receive(timeout_seconds=10.0 if fault == "frozen" else 60.0)
        what = "does not answer" if fault == "frozen" else "was killed by signal 9"
        assert step.problem == f"emulator process 2 of 2 {what}"
        assert not is_running(second)
        assert fleet.pids[0] == first
        assert fleet.pids[1] != second

        expected = advance(whole, *buttons[5])
        assert step.dropped.tolist() == step.first.tolist() == [False, True, True]
        assert step.steps.tolist() == [6, 0, 0]
        assert not step.last[1:].any()
        assert step.reward[1:].tolist() == [0, 0]
        assert seen(fleet, step, 0) == seen(whole, expected, 0), "the other worker's game plays on"
        assert [len(log) for log in fleet.button_logs] == [24, 0, 0]

        state = fleet.state_dict()
        after = advance(fleet, *buttons[6])
        assert after.problem == ""
        assert not after.dropped.any()
        assert after.steps.tolist() == [7, 1, 1]
        with new_fleet(envs=3, workers=2) as restored:
            restored.start()
            restored.restore(state)
            again = advance(restored, *buttons[6])
            assert [seen(restored, again, env) for env in range(3)] == [seen(fleet, after, env) for env in range(3)]


def test_a_worker_that_dies_again_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with new_fleet(envs=2, workers=2) as fleet:
        fleet.start()
        for _ in range(RESTARTS):
            os.kill(fleet.pids[1], signal.SIGKILL)
            assert advance(fleet, 0, 0).dropped.tolist() == [False, True]
        os.kill(fleet.pids[1], signal.SIGKILL)
        with pytest.raises(EmulatorError, match="emulator process 2 of 2 was killed by signal 9"):
            advance(fleet, 0, 0)
        assert not any(is_running(pid) for pid in fleet.pids)
    monkeypatch.setattr("mario_tui.game.vector_env.HEALTHY_ANSWERS", 2)
    with new_fleet() as fleet:
        fleet.start()
        for _ in range(RESTARTS + 2):  # with as many answers between them it may go on for ever
            os.kill(fleet.pids[0], signal.SIGKILL)
            assert advance(fleet, 0).dropped.all()
            advance(fleet, 0)


def test_a_worker_that_cannot_be_started_again_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with new_fleet() as fleet:
        fleet.start()
        monkeypatch.setattr(sys, "executable", "/bin/false")
        os.kill(fleet.pids[0], signal.SIGKILL)
        with pytest.raises(EmulatorError, match="emulator process 1 of 1 ended with exit status 1"):
            advance(fleet, 0)
        assert not any(is_running(pid) for pid in fleet.pids)


def test_interrupts_are_not_for_workers() -> None:
    with new_fleet() as fleet:
        fleet.start()
        assert os.getsid(fleet.pids[0]) != os.getsid(0)
        os.kill(fleet.pids[0], signal.SIGINT)
        assert advance(fleet, 0).steps[0] == 1


def test_a_game_that_does_not_start_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gym_super_mario_bros.py").write_text("raise RuntimeError('first line\\nsecond line')")
    monkeypatch.syspath_prepend(tmp_path)
    fleet = new_fleet()
    with pytest.raises(EmulatorError) as caught:
        fleet.start()
    assert "emulator process 1 of 1 failed: the game cannot be loaded (first line second line)" in str(caught.value)
    assert not is_running(fleet.pids[0])


def test_a_worker_that_cannot_run_at_all_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(EmulatorError, match="emulator process 1 of 1 ended with exit status 1"):
        new_fleet().start()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(EmulatorError, match="cannot be started: No such file or directory"):
        new_fleet()


class _NoFile(io.StringIO):
    def __init__(self, descriptor: int | None) -> None:
        self.descriptor = descriptor

    def fileno(self) -> int:
        if self.descriptor is None:
            raise OSError("no file")
        return self.descriptor


@pytest.mark.parametrize("descriptor", [-1, None])
def test_starting_from_a_thread_of_a_terminal_app(descriptor: int | None) -> None:
    """There sys.stderr is an object whose fileno() is -1 or fails."""
    steps: list[VectorStep] = []

    def run() -> None:
        with new_fleet() as fleet:
            fleet.start()
            steps.append(advance(fleet, 0))

    with contextlib.redirect_stderr(_NoFile(descriptor)):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert steps[0].steps.tolist() == [1]


_PARENT = """
import sys
sys.path[:] = {path!r}
import numpy as np
from mario_tui.game.vector_env import VectorEnv
fleet = VectorEnv("1-1", envs=2, workers=2, frame_skip=4, stall_steps=0, max_steps=0)
if {started}:
    fleet.start()
print(*fleet.pids, flush=True)
while True:
    if {started}:
        fleet.send(np.zeros(2, np.uint8))
        fleet.receive()
"""


@pytest.mark.parametrize("started", [True, False])
def test_nothing_is_left_when_the_program_is_killed(started: bool) -> None:
    program = _PARENT.format(path=sys.path, started=started)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(is_running(pid) for pid in pids)
        parent.kill()
    wait_until(lambda: not any(is_running(pid) for pid in pids))


def test_shared_memory_has_no_name_that_could_be_left() -> None:
    folder = Path("/dev/shm")
    before = set(folder.iterdir()) if folder.is_dir() else set()
    with new_fleet() as fleet:
        fleet.start()
        after = set(folder.iterdir()) if folder.is_dir() else set()
    assert not {path for path in after - before if "mario" in path.name or path.name.startswith(("psm_", "pym"))}


def test_workers_write_nothing_to_the_terminal() -> None:
    program = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from mario_tui.game.vector_env import VectorEnv\n"
        "with VectorEnv('1-1', envs=1, workers=1, frame_skip=4, stall_steps=0, max_steps=0) as fleet: fleet.start()\n"
    )
    done = subprocess.run([sys.executable, "-W", "always", "-c", program], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


@contextlib.contextmanager
def worker_in_a_thread(task: Task) -> Iterator[tuple[Connection, SharedGames]]:
    """What a worker process does, where a debugger and the coverage count can see it."""
    memory = SharedGames.allocate(task.envs)
    ours, theirs = Pipe()

    def work() -> None:
        with theirs:
            serve(theirs, memory)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        with ours:
            ours.send(task)
            yield ours, SharedGames(memory, task.envs)
    finally:
        thread.join()
        os.close(memory)


def test_a_worker_plays_its_share_of_the_games() -> None:
    with worker_in_a_thread(Task("1-1", 3, 1, 3, 4, 0, 2)) as (pipe, shared):
        assert pipe.recv() == ""
        assert shared.results["first"].tolist() == [False, True, True]
        assert not shared.frames[0].any()
        assert np.array_equal(shared.frames[1], shared.frames[2])
        for steps, truncated, first in ((1, False, False), (2, True, False), (0, False, True)):
            pipe.send(("step", [[0] * 4 if steps else 0] * 2))
            assert pipe.recv() == ""
            for field, value in (("steps", steps), ("truncated", truncated), ("first", first)):
                assert shared.results[field].tolist() == [False, value, value], field
        pipe.send(("restore", [(0, b"\x82" * 4), (0, b"")]))
        assert pipe.recv() == ""
        assert shared.results["steps"].tolist() == [0, 1, 0]
        assert shared.results["first"].tolist() == [False, False, True]


def test_a_worker_begins_an_episode_with_steps_of_no_button() -> None:
    with worker_in_a_thread(Task("1-1", 2, 0, 2, 4, 0, 0)) as (pipe, shared):
        assert pipe.recv() == ""
        pipe.send(("step", [3, 0]))
        assert pipe.recv() == ""
        assert shared.results["steps"].tolist() == [3, 0]
        assert shared.results["first"].tolist() == [True, True]
        began_late = shared.frames[0].copy()
        for _ in range(3):
            pipe.send(("step", [[0] * 4] * 2))
            assert pipe.recv() == ""
        assert np.array_equal(shared.frames[1], began_late)
        pipe.send(("restore", [(3, b""), (0, b"")]))
        assert pipe.recv() == ""
        assert np.array_equal(shared.frames[0], began_late)
        assert shared.results["steps"].tolist() == [3, 0]


def test_no_button_until_after_an_episodes_end_begins_another() -> None:
    with worker_in_a_thread(Task("1-1", 1, 0, 1, 4, 0, 2)) as (pipe, shared):
        assert pipe.recv() == ""
        pipe.send(("step", [3]))
        assert pipe.recv() == ""
        assert (shared.results["steps"][0], shared.results["end"][0], shared.results["first"][0]) == (1, 0, True)


def test_a_worker_says_what_went_wrong() -> None:
    with worker_in_a_thread(Task("1-1", 1, 0, 1, 4, 0, 2)) as (pipe, _):
        assert pipe.recv() == ""
        pipe.send(("restore", [(0, bytes(12))]))
        assert pipe.recv() == "the episode is over: reset it before the next step"
    with worker_in_a_thread(Task("1-1", 1, 0, 1, 4, 0, 0)) as (pipe, _):
        assert pipe.recv() == ""
        pipe.send(("dance", [0]))
        assert pipe.recv() == "KeyError: 'dance'"


def test_the_shared_memory_where_there_is_no_memfd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    memory = SharedGames.allocate(2)
    here, there = SharedGames(memory, 2), SharedGames(memory, 2)
    os.close(memory)
    here.frames[1] = 7
    here.results["x"] = 8, 9
    assert np.array_equal(there.frames, here.frames)
    assert there.results["x"].tolist() == [8, 9]


def is_running(pid: int) -> bool:
    """Whether the process is there, and no zombie that waits for its parent."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
