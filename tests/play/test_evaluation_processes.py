"""Episodes played by processes of their own: the same as those played here, whatever happens to the processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import torch

from mario_tui.agent.network import MarioNet
from mario_tui.agent.policy import Policy
from mario_tui.agent.spec import TUTORIAL
from mario_tui.errors import EvaluationError
from mario_tui.play import background_processes
from mario_tui.play.background_processes import ATTEMPTS, NICENESS
from mario_tui.play.evaluation import evaluate
from mario_tui.play.evaluation_processes import EvaluationProcesses
from mario_tui.system.processes import start_module

ROBUST: dict[str, Any] = {"episodes": 3, "sticky": 0.25, "noops": 30}


def random_policy(seed: int = 0, **spec: Any) -> Policy:
    """One whose buttons depend on every bit of what it sees."""
    torch.manual_seed(seed)
    net = MarioNet(TUTORIAL.model_copy(update={"network": "small", **spec}))
    for parameter in net.target.parameters():
        parameter.data.zero_()  # which does not play
    return Policy(net.eval(), "1-1", 0, "made for a test")


def until(condition: Callable[[], object]) -> None:
    """However long it takes the machine."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def two() -> Iterator[EvaluationProcesses]:
    """At most two processes, one of which runs."""
    processes = EvaluationProcesses(2)
    processes.play(random_policy(), go_on=lambda: False)
    yield processes
    processes.close()


@pytest.mark.slow
def test_episodes_are_those_that_are_played_here(two: EvaluationProcesses) -> None:
    policies = random_policy(1), random_policy(2, averaged=True, head="dueling", action_set="run", show_buttons=True)
    for policy, settings in ((policies[0], ROBUST), (policies[1], {}), (policies[0], {})):
        here, there = evaluate(policy, **settings), two.evaluate(policy, **settings)
        assert there == here
        assert [one.log for one in there.per_episode] == [one.log for one in here.per_episode]
    assert len(two.pids) == 2


@pytest.mark.slow
def test_greedy_play_waits_for_no_more_than_one_episode_of_another_evaluation() -> None:
    processes = EvaluationProcesses(1)
    heard: list[str] = []

    def run(name: str, **settings: Any) -> None:
        processes.evaluate(random_policy(), on_episode=lambda _: heard.append(name), **settings)

    robust = threading.Thread(target=run, args=("robust",), kwargs=ROBUST)
    robust.start()
    until(lambda: heard)
    run("greedy")
    robust.join()
    processes.close()
    assert heard[-1] == "robust"


@pytest.mark.slow
def test_a_process_that_is_killed_costs_no_more_than_a_new_start(two: EvaluationProcesses) -> None:
    struck: list[int] = []

    def strike() -> bool:
        if not struck:
            struck.extend(two.pids)
            for pid in struck:
                os.kill(pid, signal.SIGKILL)
        return True

    assert two.play(random_policy(), go_on=strike) == evaluate(random_policy()).per_episode[0]
    assert set(two.pids) - set(struck), "another one"
    assert two.evaluate(random_policy(), **ROBUST) == evaluate(random_policy(), **ROBUST), "also by one killed idle"


@pytest.mark.slow
def test_so_does_one_that_hangs_while_it_plays_or_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_processes, "REPLY_SECONDS", 10)
    processes = EvaluationProcesses(1)
    struck: list[int] = []

    def strike() -> bool:
        if not struck:
            struck.extend(processes.pids)
            os.kill(struck[0], signal.SIGSTOP)
        return True

    assert processes.play(random_policy(), go_on=strike) == evaluate(random_policy()).per_episode[0]
    assert struck
    struck.clear()
    processes.play(random_policy(), go_on=lambda: False)
    strike()
    other = random_policy(1, network="nature")  # whose weights fill the pipe
    assert processes.play(other, go_on=lambda: True) == evaluate(other).per_episode[0]
    processes.close()
    assert not any(map(psutil.pid_exists, struck))


def test_what_no_process_can_play_is_given_up_with_one_line(
    two: EvaluationProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EvaluationError, match=r"failed: InputError: .*9-9"):
        two.evaluate(random_policy(), stage="9-9")
    assert two.evaluate(random_policy()) == evaluate(random_policy()), "the process is as good as before"

    begun: list[str] = []

    def ends_at_once(module: str, *arguments: str, **settings: Any) -> subprocess.Popen[bytes]:
        begun.append(module)
        return start_module("mario_tui.no_such_module", **settings)

    monkeypatch.setattr(background_processes, "start_module", ends_at_once)
    other = EvaluationProcesses(1)
    with pytest.raises(EvaluationError, match="ended with exit status 1") as error:
        other.evaluate(random_policy())
    assert "\n" not in str(error.value)
    assert len(begun) == ATTEMPTS
    other.close()


def test_it_is_nice_keeps_to_one_thread_and_stands_still_while_nobody_answers(two: EvaluationProcesses) -> None:
    seen: list[str] = []

    def look() -> bool:
        for process in map(psutil.Process, two.pids):

            def rests(process=process) -> bool:
                before = process.cpu_times()
                time.sleep(0.2)
                return process.cpu_times() == before and process.status() == psutil.STATUS_SLEEPING

            until(rests)  # as for a program that is suspended, whose answer does not come either
            assert process.nice() == min(19, psutil.Process().nice() + NICENESS)
            assert os.getpgid(process.pid) == process.pid, "the terminal's Ctrl+C passes it by"
            assert os.getsid(process.pid) == os.getsid(0), "in a session of its own being nice may have no effect"
            assert process.num_threads() == 1
            seen.append(process.status())
        return False

    assert two.play(random_policy(), go_on=look) is None
    assert set(seen) == {psutil.STATUS_SLEEPING}


@pytest.mark.slow
def test_closing_gives_up_what_is_played_and_leaves_no_process() -> None:
    processes = EvaluationProcesses(1)
    pids: list[int] = []
    ended: list[object] = []

    def play() -> None:
        ended.append(processes.evaluate(random_policy(), on_episode=ended.append, episodes=100, sticky=0.25))

    thread = threading.Thread(target=play)
    thread.start()
    until(lambda: ended)
    pids += processes.pids
    processes.close()
    processes.close()
    thread.join(60)
    assert not thread.is_alive()
    assert not any(map(psutil.pid_exists, pids))


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [False, True])
def test_it_ends_with_an_owner_that_is_killed(stopped: bool) -> None:
    code = """
import sys
from mario_tui.play.evaluation_processes import EvaluationProcesses
sys.path.insert(0, sys.argv[1])
from test_evaluation_processes import random_policy
processes = EvaluationProcesses(1)
def look() -> bool:
    print(*processes.pids, flush=True)
    return True
while True:
    processes.play(random_policy(), go_on=look, sticky=0.25)
"""
    owner = subprocess.Popen(
        [sys.executable, "-c", code, os.path.dirname(__file__)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    process = psutil.Process(int(owner.stdout.readline()))
    if stopped:
        os.kill(owner.pid, signal.SIGSTOP)
    owner.kill()
    owner.wait()
    until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
