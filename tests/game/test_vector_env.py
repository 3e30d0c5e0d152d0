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
import psutil
import pytest

from mario_tui.errors import EmulatorError, InputError
from mario_tui.game.emulator import open_emulator, place
from mario_tui.game.episode import EndReason, Episode
from mario_tui.game.starts import Start
from mario_tui.game.vector_env import RESTARTS, VectorEnv, VectorStep
from mario_tui.game.worker import Command, SharedGames, Task, serve
from mario_tui.grey_frames import grey_frame
from traces import buttons_of

STALL_STEPS = 25
STEPS = 60
ENVS = 3
DEADLINE_SECONDS = 60.0


def new_vector_env(*, envs: int = 1, workers: int = 1, **settings: Any) -> VectorEnv:
    settings = {"frame_skip": 4, "stall_steps": STALL_STEPS, "max_steps": 0} | settings
    return VectorEnv("1-1", envs=envs, workers=workers, **settings)


def buttons_of_steps() -> np.ndarray:
    """(STEPS, ENVS) uint8: game 0 runs to its death, game 1 stands still, game 2 plays a script."""
    run = np.full(STEPS, 130)
    stand = np.zeros(STEPS)
    script = np.fromiter(islice(buttons_of({"seed": 1}), STEPS), np.uint8)
    return np.stack([run, stand, script], axis=1).astype(np.uint8)


def seen(vector_env: VectorEnv, step: VectorStep, env: int) -> dict[str, Any]:
    """All that a vector_env shows of one game, as plain values."""
    names = set(VectorStep.__dataclass_fields__) - {"emulating_seconds", "dropped", "problem", "lead_in", "practice"}
    shown = {name: getattr(step, name)[env] for name in names}
    shown["place"] = tuple(shown["place"].tolist())
    shown = {name: value.item() if isinstance(value, np.generic) else value for name, value in shown.items()}
    frame, observation = vector_env.frames[env], vector_env.observations[env]
    return shown | {"frame": frame.tobytes(), "observation": observation.tobytes()}


def play_in_process(buttons: np.ndarray) -> list[dict[str, Any]]:
    """The same for one game of the vector_env, without one: what it must show, at the start and after every step."""
    shown = []
    with open_emulator("1-1") as emulator:
        episode = Episode(emulator, stall_steps=STALL_STEPS)

        def show(reward: float, terminated: bool, first: bool, pressed: int = 0) -> None:
            shown.append(
                {
                    "reward": reward,
                    "buttons": pressed,
                    "terminated": terminated,
                    "last": episode.end is not None,
                    "first": first,
                    "end": episode.end,
                    "max_x": episode.max_x,
                    "place": place(emulator),
                    "progress": float(np.float32(episode.progress)),
                    "frame": emulator.screen.tobytes(),
                    "observation": grey_frame(emulator.screen).tobytes(),
                }
            )

        show(0.0, False, True)
        for byte in buttons.tolist():
            if episode.end is None:
                result = episode.step(byte)
                show(result.reward, result.terminated, False, byte)
            else:
                episode.reset()
                show(0.0, False, True)
    return shown


@pytest.fixture(scope="module")
def expected() -> list[list[dict[str, Any]]]:
    """What each game must show, at the start and after every step."""
    return [play_in_process(buttons) for buttons in buttons_of_steps().T]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_vectorised_environment_is_its_episodes(workers: int, expected: list[list[dict[str, Any]]]) -> None:
    with new_vector_env(envs=ENVS, workers=workers) as vector_env:
        assert len(vector_env.pids) == workers
        step = vector_env.start()
        assert [seen(vector_env, step, env) for env in range(ENVS)] == [shown[0] for shown in expected]
        for number, buttons in enumerate(buttons_of_steps(), start=1):
            vector_env.send(buttons)
            step = vector_env.receive()
            for env in range(ENVS):
                assert seen(vector_env, step, env) == expected[env][number], f"game {env}, step {number}"


def test_the_comparison_has_ends_and_resets(expected: list[list[dict[str, Any]]]) -> None:
    ends = [{shown["end"] for shown in game} for game in expected]
    assert EndReason.DEATH in ends[0]
    assert EndReason.STALL in ends[1]
    for game in expected[:2]:
        # The next step after the last one begins an episode, and only then does one begin.
        assert [shown["last"] for shown in game[:-1]] == [shown["first"] for shown in game[1:]]


@pytest.fixture(scope="module")
def vector_env() -> Iterator[VectorEnv]:
    with new_vector_env(envs=2, workers=2) as vector_env:
        vector_env.start()
        yield vector_env


def advance(vector_env: VectorEnv, *buttons: int) -> VectorStep:
    vector_env.send(np.array(buttons, np.uint8))
    return vector_env.receive()


def test_the_arrays_of_a_step(vector_env: VectorEnv) -> None:
    assert (vector_env.frames.shape, vector_env.frames.dtype) == ((2, 240, 256, 3), np.uint8)
    assert (vector_env.observations.shape, vector_env.observations.dtype) == ((2, 84, 84), np.uint8)
    step = advance(vector_env, 130, 0)
    kinds = {"reward": np.float32, "buttons": np.uint8} | dict.fromkeys(("terminated", "last", "first"), np.bool_)
    kinds["max_x"] = np.int32
    for name, kind in kinds.items():
        array = getattr(step, name)
        assert (array.shape, array.dtype) == ((2,), kind), name
        assert array.flags.c_contiguous, name
        assert array.flags.owndata, name


def test_only_the_games_that_are_shown_have_pictures_made(vector_env: VectorEnv) -> None:
    def is_true(env: int) -> bool:
        return np.array_equal(grey_frame(vector_env.frames[env]), vector_env.observations[env])

    vector_env.restore({"frame_logs": [[], []]})
    vector_env.show(1)
    assert vector_env.shown == 2, "until the next step"
    for _ in range(3):
        advance(vector_env, 130, 130)
        assert (vector_env.shown, is_true(0), is_true(1)) == (1, True, False)
    vector_env.show(0)
    assert is_true(0)
    advance(vector_env, 130, 130)
    assert (vector_env.shown, is_true(0), is_true(1)) == (0, False, False)
    vector_env.show(16)
    advance(vector_env, 130, 130)
    assert (vector_env.shown, is_true(0), is_true(1)) == (2, True, True)


def test_a_step_keeps_its_values(vector_env: VectorEnv) -> None:
    before = advance(vector_env, 130, 0)
    copies = before.max_x.copy(), before.reward.copy()
    for _ in range(5):
        after = advance(vector_env, 130, 0)
    assert np.array_equal(before.max_x, copies[0])
    assert np.array_equal(before.reward, copies[1])
    assert not np.array_equal(after.max_x, copies[0])


def test_button_logs_are_those_of_the_running_episodes(vector_env: VectorEnv) -> None:
    vector_env.restore({"frame_logs": [[], []]})
    assert vector_env.button_logs == [[], []]
    for _ in range(STALL_STEPS - 1):
        advance(vector_env, 130, 0)
    assert advance(vector_env, 131, 0).end == [None, EndReason.STALL]
    assert vector_env.button_logs == [[130] * 4 * (STALL_STEPS - 1) + [131] * 4, [0] * 4 * STALL_STEPS]
    assert advance(vector_env, 131, 1).first.tolist() == [False, True]
    assert vector_env.button_logs[1] == []
    advance(vector_env, 131, 2)
    assert vector_env.button_logs[1] == [2] * 4


def test_restore_brings_the_games_back(vector_env: VectorEnv) -> None:
    vector_env.restore({"frame_logs": [[], []]})
    for _ in range(STALL_STEPS):
        step = advance(vector_env, 130, 0)
    assert step.last.tolist() == [False, True]
    there = [seen(vector_env, step, env) for env in range(2)]
    logs = [list(log) for log in vector_env.button_logs]
    state = vector_env.state_dict()
    after = advance(vector_env, 131, 0)
    there_after = [seen(vector_env, after, env) for env in range(2)]

    step = vector_env.restore(state)
    assert [seen(vector_env, step, env) for env in range(2)] == there
    assert vector_env.button_logs == logs
    after = advance(vector_env, 131, 0)
    assert [seen(vector_env, after, env) for env in range(2)] == there_after


def test_calls_out_of_turn(vector_env: VectorEnv) -> None:
    with pytest.raises(RuntimeError, match="send"):
        vector_env.receive()
    with pytest.raises(ValueError, match="2 games and buttons for 3"):
        vector_env.send(np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match="2 games and logs for 1"):
        vector_env.restore({"frame_logs": [[]]})
    with pytest.raises(ValueError, match="2 games and logs for 2"):
        vector_env.restore({"frame_logs": [[], []], "noop_steps": [0]})
    with pytest.raises(KeyError):
        vector_env.restore({})
    vector_env.send(np.zeros(2, np.uint8))
    with pytest.raises(RuntimeError, match="receive"):
        vector_env.send(np.zeros(2, np.uint8))
    with pytest.raises(RuntimeError, match="receive"):
        vector_env.restore({"frame_logs": [[], []]})
    vector_env.receive()


def other_buttons(vector_env: VectorEnv) -> list[int]:
    """For each game buttons that it does not hold, so that a step tells whether the ones before stuck."""
    return [0 if log and log[-1] else 128 for log in vector_env.button_logs]


@pytest.mark.slow
def test_sticky_buttons_are_taken_up_late_about_as_often_as_asked_and_are_told() -> None:
    late: Counter[int] = Counter()
    with new_vector_env(envs=4, workers=2, sticky=0.25, seed=3, stall_steps=0) as vector_env:
        observed = vector_env.start()
        for _ in range(100):
            ended, before = observed.last, observed.buttons
            chosen = other_buttons(vector_env)
            observed = advance(vector_env, *chosen)
            for env in np.flatnonzero(~ended):
                step = vector_env.button_logs[env][-4:]
                late[step.count(before[env])] += 1
                assert step == [before[env]] * step.count(before[env]) + [chosen[env]] * step.count(chosen[env])
                assert step[-1] == observed.buttons[env]
    steps = late.total()
    assert steps > 350
    assert late[0] / steps == pytest.approx(0.75, abs=0.06)
    assert late[1] / steps == pytest.approx(0.75 * 0.25, abs=0.06)


def test_a_game_with_sticky_buttons_plays_what_it_says_it_held() -> None:
    with new_vector_env(sticky=0.5, seed=1, stall_steps=0) as vector_env, open_emulator("1-1") as emulator:
        vector_env.start()
        episode = Episode(emulator, frame_skip=1)
        for _ in range(30):
            advance(vector_env, *other_buttons(vector_env))
            for byte in vector_env.button_logs[0][-4:]:
                episode.step(byte)
            assert np.array_equal(vector_env.frames[0], emulator.screen)


def noop_starts(*, workers: int, seed: int) -> list[tuple[int, int, int]]:
    """Of games that stand still, the starts of their episodes: tick, game, and its steps of no button."""
    starts = []
    with new_vector_env(envs=3, workers=workers, noops=30, seed=seed, stall_steps=9) as vector_env:
        vector_env.start()
        for tick in range(28):
            observed = advance(vector_env, 0, 0, 0)
            for env in np.flatnonzero(observed.first):
                starts.append((tick, int(env), vector_env.state_dict()["noop_steps"][env]))
    return starts


@pytest.mark.slow
def test_episodes_begin_with_no_button_by_the_seed_alone() -> None:
    starts = noop_starts(workers=1, seed=0)
    noops = {steps for _, _, steps in starts}
    assert len(starts) > 8
    assert len(noops) > 3
    assert noops <= set(range(9)), "30 frames are at most 8 steps"
    for workers in (2, 3):
        assert noop_starts(workers=workers, seed=0) == starts
    assert noop_starts(workers=1, seed=1) != starts


@pytest.mark.slow
def test_random_games_go_on_from_a_state_in_the_middle_of_an_episode() -> None:
    settings: dict[str, Any] = {"envs": 2, "sticky": 0.3, "noops": 30, "stall_steps": 12}
    script = buttons_of_steps()[:, :2] & 0b1100_0011  # no select and no start

    def play(vector_env: VectorEnv, tick: int) -> list[dict[str, Any]]:
        step = advance(vector_env, *script[tick % STEPS].tolist())
        return [seen(vector_env, step, env) for env in range(2)]

    with new_vector_env(workers=1, seed=5, **settings) as vector_env:
        vector_env.start()
        tick = 0
        state: dict[str, Any] = {}
        while not (tick > 25 and all(state["noop_steps"]) and all(len(log) > 2 for log in state["frame_logs"])):
            there = play(vector_env, tick)
            tick += 1
            state = vector_env.state_dict()
        saved = json.dumps(state)
        whole = [play(vector_env, tick + later) for later in range(25)]
    assert any(shown["first"] for tick_shown in whole for shown in tick_shown), "episodes begin later on"
    with new_vector_env(workers=2, seed=99, **settings) as other:
        other.start()
        observed = other.restore(json.loads(saved))
        assert [seen(other, observed, env) for env in range(2)] == there
        assert [play(other, tick + later) for later in range(25)] == whole


def test_the_step_limit() -> None:
    with new_vector_env(max_steps=2) as vector_env:
        vector_env.start()
        assert [advance(vector_env, 0).end[0] for _ in range(3)] == [None, EndReason.TIME, None]


def test_numbers_that_cannot_be() -> None:
    with pytest.raises(InputError):
        VectorEnv("9-9", envs=1, workers=1, frame_skip=4, stall_steps=0, max_steps=0)
    for envs, workers in ((0, 1), (1, 0), (-1, -1)):
        with pytest.raises(InputError):
            new_vector_env(envs=envs, workers=workers)


def test_more_workers_than_games_are_not_started() -> None:
    with new_vector_env(envs=1, workers=5) as vector_env:
        assert len(vector_env.pids) == 1


def test_close_ends_the_processes_and_can_be_called_again() -> None:
    vector_env = new_vector_env(envs=2, workers=2)
    vector_env.start()
    first_frames = vector_env.frames.copy()
    vector_env.close()
    assert not any(is_running(pid) for pid in vector_env.pids)
    vector_env.close()
    assert np.array_equal(vector_env.frames, first_frames), "they can still be read"
    vector_env.send(np.zeros(2, np.uint8))
    with pytest.raises(EmulatorError, match="closed"):
        vector_env.receive()


def test_close_before_the_games_have_started() -> None:
    vector_env = new_vector_env(envs=2, workers=2)
    vector_env.close()
    assert not any(is_running(pid) for pid in vector_env.pids)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["frozen", "killed before send", "killed after send"])
def test_a_worker_that_hangs_or_dies_is_started_again_and_the_other_plays_on(fault: str) -> None:
    with new_vector_env(envs=3, workers=2) as vector_env, new_vector_env(envs=3, workers=2) as whole:
        started, _ = vector_env.start(), whole.start()
        assert not started.dropped.any()
        buttons = buttons_of_steps()
        for number in range(5):
            for one in (vector_env, whole):
                one.send(buttons[number])
                one.receive()
        first, second = vector_env.pids
        os.kill(second, signal.SIGSTOP)  # so that it cannot answer before it is killed
        if fault == "killed before send":
            os.kill(second, signal.SIGKILL)
            wait_until(lambda: not is_running(second))
        vector_env.send(buttons[5])
        if fault == "killed after send":
            os.kill(second, signal.SIGKILL)
        step = vector_env.receive(timeout_seconds=4.0 if fault == "frozen" else 60.0)
        what = "does not answer" if fault == "frozen" else "was killed by signal 9"
        assert step.problem == f"emulator process 2 of 2 {what}"
        assert not is_running(second)
        assert vector_env.pids[0] == first
        assert vector_env.pids[1] != second

        expected = advance(whole, *buttons[5])
        assert step.dropped.tolist() == step.first.tolist() == [False, True, True]
        assert not step.last[1:].any()
        assert step.reward[1:].tolist() == [0, 0]
        assert seen(vector_env, step, 0) == seen(whole, expected, 0), "the other worker's game plays on"
        assert [len(log) for log in vector_env.button_logs] == [24, 0, 0]

        state = vector_env.state_dict()
        after = advance(vector_env, *buttons[6])
        assert after.problem == ""
        assert not after.dropped.any()
        assert [len(log) for log in vector_env.button_logs] == [28, 4, 4]
        with new_vector_env(envs=3, workers=2) as restored:
            restored.start()
            restored.restore(state)
            again = advance(restored, *buttons[6])
            assert [seen(restored, again, env) for env in range(3)] == [
                seen(vector_env, after, env) for env in range(3)
            ]


STOPPED = """
import numpy as np
from mario_tui.game.vector_env import VectorEnv
with VectorEnv("1-1", envs=1, workers=1, frame_skip=4, stall_steps=0, max_steps=0) as env:
    env.start()
    print(env.pids[0], flush=True)
    input()
    env.send(np.zeros(1, dtype=np.uint8))
    print("sent", flush=True)
    print(repr(env.receive(timeout_seconds=6.0).problem))
"""


@pytest.mark.slow
def test_time_in_which_the_program_was_stopped_with_its_workers_is_not_counted() -> None:
    """After `fg`, or where a batch system suspends a whole job, no worker is taken for one that hangs."""
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdin is not None
        worker = int(program.stdout.readline())
        os.kill(worker, signal.SIGSTOP)
        program.stdin.write("\n")
        program.stdin.flush()
        assert program.stdout.readline() == "sent\n"
        os.kill(program.pid, signal.SIGSTOP)
        time.sleep(8)  # longer than a worker is waited for
        os.kill(program.pid, signal.SIGCONT)
        time.sleep(0.5)  # so that it would have given up
        os.kill(worker, signal.SIGCONT)
        assert program.stdout.read() == "''\n"


@pytest.mark.slow
def test_a_worker_that_dies_again_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with new_vector_env(envs=2, workers=2) as vector_env:
        vector_env.start()
        for _ in range(RESTARTS):
            os.kill(vector_env.pids[1], signal.SIGKILL)
            assert advance(vector_env, 0, 0).dropped.tolist() == [False, True]
        os.kill(vector_env.pids[1], signal.SIGKILL)
        with pytest.raises(EmulatorError, match="emulator process 2 of 2 was killed by signal 9"):
            advance(vector_env, 0, 0)
        assert not any(is_running(pid) for pid in vector_env.pids)
    monkeypatch.setattr("mario_tui.game.vector_env.HEALTHY_ANSWERS", 2)
    with new_vector_env() as vector_env:
        vector_env.start()
        for _ in range(RESTARTS + 2):  # with as many answers between them it may go on for ever
            os.kill(vector_env.pids[0], signal.SIGKILL)
            assert advance(vector_env, 0).dropped.all()
            advance(vector_env, 0)


def test_a_worker_that_cannot_be_started_again_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with new_vector_env() as vector_env:
        vector_env.start()
        monkeypatch.setattr(sys, "executable", "/bin/false")
        os.kill(vector_env.pids[0], signal.SIGKILL)
        with pytest.raises(EmulatorError, match="emulator process 1 of 1 ended with exit status 1"):
            advance(vector_env, 0)
        assert not any(is_running(pid) for pid in vector_env.pids)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"])
def test_signals_to_all_processes_of_a_job_are_not_for_workers(name: str) -> None:
    with new_vector_env() as vector_env:
        os.kill(vector_env.pids[0], getattr(signal, name))  # before it does anything
        vector_env.start()
        assert os.getpgid(vector_env.pids[0]) == vector_env.pids[0], "the terminal's Ctrl+C passes it by"
        assert os.getsid(vector_env.pids[0]) == os.getsid(0), "or the scheduler may prefer workers to the learner"
        os.kill(vector_env.pids[0], getattr(signal, name))
        advance(vector_env, 0)
        assert vector_env.button_logs == [[0] * 4]


def test_a_game_that_does_not_start_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gym_super_mario_bros.py").write_text("raise RuntimeError('first line\\nsecond line')")
    monkeypatch.syspath_prepend(tmp_path)
    vector_env = new_vector_env()
    with pytest.raises(EmulatorError) as caught:
        vector_env.start()
    assert "emulator process 1 of 1 failed: the game cannot be loaded (first line second line)" in str(caught.value)
    assert not is_running(vector_env.pids[0])


def test_a_worker_that_cannot_run_at_all_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(EmulatorError, match="emulator process 1 of 1 ended with exit status 1"):
        new_vector_env().start()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(EmulatorError, match="cannot be started: No such file or directory"):
        new_vector_env()


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
    logs: list[list[int]] = []

    def run() -> None:
        with new_vector_env() as vector_env:
            vector_env.start()
            advance(vector_env, 0)
            logs.append(vector_env.button_logs[0])

    with contextlib.redirect_stderr(_NoFile(descriptor)):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert logs == [[0] * 4]


_PARENT = """
import sys
sys.path[:] = {path!r}
import numpy as np
from mario_tui.game.vector_env import VectorEnv
vector_env = VectorEnv("1-1", envs=2, workers=2, frame_skip=4, stall_steps=0, max_steps=0)
if {started}:
    vector_env.start()
print(*vector_env.pids, flush=True)
while True:
    if {started}:
        vector_env.send(np.zeros(2, np.uint8))
        vector_env.receive()
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
    with new_vector_env() as vector_env:
        vector_env.start()
        after = set(folder.iterdir()) if folder.is_dir() else set()
    assert not {path for path in after - before if "mario" in path.name or path.name.startswith(("psm_", "pym"))}


def test_workers_write_nothing_to_the_terminal() -> None:
    program = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from mario_tui.game.vector_env import VectorEnv\n"
        "with VectorEnv('1-1', envs=1, workers=1, frame_skip=4, stall_steps=0, max_steps=0) as games: games.start()\n"
    )
    done = subprocess.run([sys.executable, "-W", "always", "-c", program], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


@contextlib.contextmanager
def worker_in_a_thread(task: Task) -> Iterator[tuple[Connection, SharedGames]]:
    """What a worker process does, where a debugger and the coverage count can see it."""
    memory = SharedGames.allocate(task.envs)
    shared = SharedGames(memory, task.envs)
    shared.shown[:] = True
    ours, theirs = Pipe()

    def work() -> None:
        with theirs:
            serve(theirs, memory, task)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        with ours:
            assert ours.recv() == ""
            yield ours, shared
    finally:
        thread.join()
        os.close(memory)


def run(pipe: Connection, *commands: Command) -> str:
    pipe.send(commands)
    return pipe.recv()


def test_a_worker_plays_its_share_of_the_games() -> None:
    with worker_in_a_thread(Task("1-1", 3, 1, 3, 4, 0, 2)) as (pipe, shared):
        assert shared.results["first"].tolist() == [False, True, True]
        assert not shared.frames[0].any()
        assert np.array_equal(shared.frames[1], shared.frames[2])
        step: Command = ("step", [130] * 4)
        for command, last, first in (
            (step, False, False),
            (step, True, False),
            (("reset", (Start(), ())), False, True),
        ):
            assert run(pipe, command, command) == ""
            for field, value in (("last", last), ("first", first)):
                assert shared.results[field].tolist() == [False, value, value], field
        start = shared.frames[1].copy()
        assert run(pipe, ("restore", (Start(), b"\x82" * 4)), ("restore", (Start(), b""))) == ""
        assert shared.results["first"].tolist() == [False, False, True]
        assert not np.array_equal(shared.frames[1], start)
        assert np.array_equal(shared.frames[2], start)


def test_a_worker_begins_an_episode_with_steps_of_no_button() -> None:
    with worker_in_a_thread(Task("1-1", 2, 0, 2, 4, 0, 0)) as (pipe, shared):
        assert run(pipe, ("reset", (Start(15), ())), ("reset", (Start(), ()))) == ""
        assert shared.results["first"].tolist() == [True, True]
        began_late = shared.frames[0].copy()
        assert not np.array_equal(shared.frames[1], began_late), "the clock is not the same"
        for _ in range(15):
            assert run(pipe, ("step", [0] * 4), ("step", [0] * 4)) == ""
        assert np.array_equal(shared.frames[1], began_late)
        assert run(pipe, ("restore", (Start(15), b"")), ("restore", (Start(), b""))) == ""
        assert np.array_equal(shared.frames[0], began_late)


def test_no_button_until_after_an_episodes_end_begins_another() -> None:
    with worker_in_a_thread(Task("1-1", 1, 0, 1, 4, 0, 2)) as (pipe, shared):
        assert run(pipe, ("reset", (Start(3), ()))) == ""
        assert (shared.results["end"][0], shared.results["last"][0], shared.results["first"][0]) == (0, False, True)
        assert run(pipe, ("step", [0] * 4)) == ""
        assert shared.results["last"][0], "two steps to an episode: one of them was the third without a button"


def test_a_worker_says_what_went_wrong() -> None:
    with worker_in_a_thread(Task("1-1", 1, 0, 1, 4, 0, 2)) as (pipe, _):
        assert run(pipe, ("restore", (Start(), bytes(12)))) == "the episode is over: reset it before the next step"
    with worker_in_a_thread(Task("1-1", 1, 0, 1, 4, 0, 0)) as (pipe, _):
        assert run(pipe, ("dance", 0)) == "KeyError: 'dance'"


def test_the_shared_memory_where_there_is_no_memfd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    memory = SharedGames.allocate(2)
    here, there = SharedGames(memory, 2), SharedGames(memory, 2)
    os.close(memory)
    here.frames[1] = 7
    here.results["max_x"] = 8, 9
    assert np.array_equal(there.frames, here.frames)
    assert there.results["max_x"].tolist() == [8, 9]


def is_running(pid: int) -> bool:
    """Whether the process is there, and no zombie that waits for its parent."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
