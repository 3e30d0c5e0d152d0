"""Our emulator against traces of gym-super-mario-bros 7.4.0, on whichever generation runs the tests."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest

from mario_tui.game.emulator import Emulator, open_emulator
from mario_tui.rewards import REWARD_VERSIONS
from traces import GOLDEN, Trace, buttons_of

TRACES = {path.stem: json.loads(path.read_text()) for path in sorted(GOLDEN.glob("*.json"))}


def play(emulator: Emulator, buttons: Iterable[int]) -> dict[str, Any]:
    emulator.reset()
    trace = Trace()
    for byte in buttons:
        reward = emulator.frame(byte)
        trace.add(reward, emulator.x_position, emulator.ram, emulator.screen)
        if emulator.done:
            break
    last = {"x": emulator.x_position, "status": emulator.status}
    last |= {name: getattr(emulator, name) for name in ("time", "life", "coins", "score")}
    return trace.summary(last, "clear" if emulator.flag_get else "death" if emulator.dead else None)


@pytest.mark.parametrize("name", TRACES)
def test_every_frame_is_that_of_7_4_0(name: str) -> None:
    with open_emulator(TRACES[name]["stage"]) as emulator:
        for episode in TRACES[name]["episodes"]:
            assert episode == episode | play(emulator, buttons_of(episode))


def test_the_rewards_version_is_that_of_the_traces() -> None:
    """The traces hold a checksum of every frame's reward: another reward is another version, with other traces."""
    assert {trace["made_with"]["gym-super-mario-bros"] for trace in TRACES.values()} == {REWARD_VERSIONS["tutorial"]}


def test_the_traces_show_what_they_are_for() -> None:
    """Six stages at least, ends of every kind, a flag, an axe, and a change of area within an episode."""
    episodes = [episode for trace in TRACES.values() for episode in trace["episodes"]]
    assert len({trace["stage"] for trace in TRACES.values()}) >= 6
    assert {episode["end"] for episode in episodes} == {None, "death", "clear"}
    assert TRACES["1-1-clear"]["episodes"][0]["end"] == TRACES["1-4-clear"]["episodes"][0]["end"] == "clear"
    x = [checkpoint[0] for checkpoint in TRACES["1-1-pipe"]["episodes"][0]["checkpoints"]]
    assert any(after < before - 500 for before, after in pairwise(x))
