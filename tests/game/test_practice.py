"""Episodes of practice: which places they begin at, and that they are the same with snapshots and without."""

import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import EndReason, Episode
from mario_tui.game.practice import Place, Practice
from mario_tui.game.starts import SNAPSHOT_EVERY, Snapshots, Start
from mario_tui.game.vector_env import VectorEnv, VectorStep
from mario_tui.game.worker import Game, SharedGames, Task

LEAD_IN = 3


def practice(*games: int, **settings: Any) -> Practice:
    usual: dict[str, Any] = {
        "source": "deaths", "share": 1.0, "most": 20, "nearest": 8, "farthest": 40, "length": 60, "lead_in": LEAD_IN,
        "frame_skip": 4, "stall_steps": 0, "seed": 0,
    }  # fmt: skip
    return Practice(games or (0,), **(usual | settings))


def a_log(steps: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).integers(128, 132, 4 * steps, dtype=np.uint8).tobytes()


@pytest.mark.parametrize(("end", "failed"), [(EndReason.DEATH, 250), (EndReason.STALL, 200)])
def test_places_are_before_the_death_or_the_last_step_that_got_farther(end: EndReason, failed: int) -> None:
    known, back = practice(most=1000, stall_steps=50), []
    for number in range(1000):
        more = number % SNAPSHOT_EVERY
        log = a_log(250 + more)
        (start,) = known.add(end, 2, log)
        back.append(failed + more - len(start.log) // 4 - LEAD_IN)
        assert (start.noop_steps, start.log) == (2, log[: len(start.log)])
        assert len(start.log) // 4 % SNAPSHOT_EVERY == 0
    assert back == [place.to_end for place in known.places["deaths"]]
    assert min(back) == 8
    assert max(back) == 40 + SNAPSHOT_EVERY - 1, "rounded to where there are snapshots"


def test_places_of_a_clear_are_all_along_its_way() -> None:
    known, log = practice(source="clears", most=500), a_log(250)
    assert known.add(EndReason.DEATH, 0, log) == []
    for _ in range(30):
        assert len(known.add(EndReason.CLEAR, 0, log)) > 8
    steps = np.array([len(place.log) // 4 for place in known.places["clears"]])
    counts = np.histogram(steps, bins=5, range=(0, 250))[0]
    assert counts.min() > 0.7 * counts.mean()
    assert {place.to_end for place in known.places["clears"]} == {0}


def test_an_episode_that_ended_early_or_by_a_limit_has_no_place() -> None:
    known = practice()
    assert known.add(EndReason.DEATH, 0, a_log(15)) == []
    assert known.add(EndReason.TIME, 0, a_log(200)) == []
    assert known.draw(0) is None
    assert known.add(EndReason.DEATH, 0, a_log(200))
    assert known.draw(0) is not None


def test_what_is_drawn_leads_to_the_place_and_ends_late_enough() -> None:
    known, log = practice(length=20), a_log(100)
    (start,) = known.add(EndReason.DEATH, 0, log)
    drawn = known.draw(0)
    assert drawn is not None
    assert drawn[0] == start
    assert drawn[1] == log[len(start.log) : len(start.log) + 4 * LEAD_IN]
    at = len(start.log) // 4 + LEAD_IN
    assert start.steps - LEAD_IN == 100 - at + 40
    assert practice(length=99).add(EndReason.DEATH, 0, log)[0].steps == 99 + LEAD_IN


def test_a_share_of_the_episodes_of_those_that_practise_and_all_places_alike() -> None:
    known = practice(1, 3, share=0.25, most=5, source="both")
    for seed in range(9):
        known.add(EndReason.DEATH, 0, a_log(100, seed))
    known.add(EndReason.CLEAR, 0, a_log(100))
    assert {kind: len(places) for kind, places in known.places.items()} == {"deaths": 5, "clears": 5}
    assert [known.draw(game) for game in (0, 2, 4)] == [None] * 3
    drawn = [known.draw(3) for _ in range(4000)]
    starts = [one[0] for one in drawn if one is not None]
    assert len(starts) == pytest.approx(1000, abs=100)
    deaths = {known._start(place)[0] for place in known.places["deaths"]}
    assert len(deaths) == 5
    assert sum(start in deaths for start in starts) == pytest.approx(500, abs=80)
    assert min(sum(start == one for start in starts) for one in deaths) > 50


def test_places_go_on_where_they_were_saved() -> None:
    whole, resumed = practice(seed=1), practice(seed=2)
    for seed in range(25):
        whole.add(EndReason.DEATH, seed, a_log(120, seed))
    text = json.dumps(whole.state_dict())
    resumed.load_state_dict(json.loads(text))
    assert resumed.places == whole.places
    assert [resumed.draw(0) for _ in range(9)] == [whole.draw(0) for _ in range(9)]
    others = practice(source="clears")
    others.load_state_dict(json.loads(text))
    assert others.draw(0) is None


@pytest.mark.parametrize(
    "place",
    [[0, "0", 3], [-1, Place(0, a_log(9), 0).as_json()[1], 3], [0, Place(0, a_log(9)[:-1], 0).as_json()[1], 3],
     [0, Place(0, a_log(3), 0).as_json()[1], 3], [0, Place(0, bytes(200_000), 0).as_json()[1], 3], [0, "", 3], 5],
)  # fmt: skip
def test_damaged_places_are_refused(place: Any) -> None:
    state = practice().state_dict()
    state["places"]["deaths"] = [place]
    with pytest.raises((TypeError, ValueError)):
        practice().load_state_dict(state)


def test_the_oldest_snapshots_make_way() -> None:
    kept = Snapshots(2)
    starts = [Start(0, bytes([number] * 4)) for number in range(3)]
    for start in starts:
        kept.keep(start, start)  # type: ignore[arg-type]
    assert [kept.find(start) for start in starts] == [None, *starts[1:]]
    assert kept.find(Start(0, starts[1].log, steps=9)) == starts[1], "how long it goes on is no matter"


# With the game: 3-3, where running at random ends after some 30 steps.


def games(snapshots: int, **settings: Any) -> VectorEnv:
    env = VectorEnv(
        "3-3", envs=2, workers=1, frame_skip=4, stall_steps=20, max_steps=0, sticky=0.25, noops=8, snapshots=snapshots
    )
    env.set_practice(practice(1, **{"nearest": 4, "farthest": 20, "length": 12, "stall_steps": 20, **settings}))
    return env


def shown(env: VectorEnv, step: VectorStep) -> dict[str, Any]:
    names = ("reward", "terminated", "last", "first", "lead_in", "practice", "buttons", "max_x")
    values = {name: getattr(step, name).tolist() for name in names}
    return {**values, "end": step.end, "seen": env.observations.tobytes(), "logs": list(map(list, env.button_logs))}


def pressed(seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    while True:
        yield rng.choice(np.array([130, 131], np.uint8), 2)


def test_episodes_of_practice_are_the_same_with_snapshots_and_without_and_in_games_that_go_on() -> None:
    """Among 150 steps each of two games, one of which practises; saved, and restored, at several steps of practice."""
    with games(50) as env, games(0) as plain, games(50) as later:
        steps = [shown(env, env.start())]
        plain.start()
        later.start()
        states: list[tuple[int, str]] = []
        for number, buttons in zip(range(1, 150), pressed(0), strict=False):
            env.send(buttons)
            plain.send(buttons)
            steps.append(shown(env, env.receive()))
            assert steps[-1] == shown(plain, plain.receive())
            if steps[-1]["practice"][1] and len(states) < 6:
                states.append((number, json.dumps(env.state_dict())))

        begun = [number for number, step in enumerate(steps) if step["first"][1] and step["practice"][1]]
        assert len(begun) > 2
        compared = 0
        for number in begun:
            step = steps[number]
            for source in (one for one in steps[:number] if one["logs"][0] == step["logs"][1]):
                compared += 1
                seen = [np.frombuffer(one["seen"], np.uint8).reshape(2, -1) for one in (source, step)]
                assert np.array_equal(seen[0][0], seen[1][1]), "it sees what the other game saw"
            leads = [one["lead_in"][1] for one in steps[number : number + LEAD_IN + 1]]
            assert leads == [True] * LEAD_IN + [False]
            assert step["buttons"][1] == step["logs"][1][-1] != 0
        assert compared
        ends = [
            (number, step["end"][1]) for number, step in enumerate(steps) if step["practice"][1] and step["last"][1]
        ]
        assert ends
        assert not any(step["practice"][0] for step in steps)

        assert [number - begun[0] for number, _ in states] == list(range(6)), "amid the lead-in, and after it"
        for number, state in states:
            restored = shown(later, later.restore(json.loads(state)))
            assert restored == steps[number]
        for at, buttons in zip(range(1, 150), pressed(0), strict=False):
            if at > number:
                later.send(buttons)
                assert shown(later, later.receive()) == steps[at]


def test_a_place_that_was_passed_costs_no_frame() -> None:
    descriptor = SharedGames.allocate(1)
    snapshots = Snapshots(5)
    game = Game(Task("3-3", 1, 0, 1, 4, 0, 0, snapshots=5), SharedGames(descriptor, 1), 0, snapshots)
    os.close(descriptor)
    episode = game._episode
    if not episode.emulator.has_snapshots():
        pytest.skip("this emulator has no snapshots")
    for _ in range(20):
        game.step([130] * 4)
    passed = [Start(0, bytes([130] * 4 * step), 9) for step in (8, 9, 16)]
    game.reset((Start(), passed))
    assert [snapshots.find(start) is not None for start in passed] == [True, False, True]
    played: list[int] = []
    frame = episode.emulator.frame
    episode.emulator.frame = lambda buttons: played.append(buttons) or frame(buttons)  # type: ignore[method-assign]
    game.reset((passed[2], ()))
    assert episode.steps == 16
    assert played == []
    game.reset((passed[1], ()))
    assert len(played) == 36
    game.reset((passed[1], ()))
    assert len(played) == 36, "a place that was played to is known from then on"


def test_the_log_of_an_episode_of_practice_is_that_of_its_whole_way() -> None:
    with games(50) as env:
        env.start()
        for buttons in pressed(1):
            env.send(buttons)
            step = env.receive()
            if step.practice[1] and step.last[1]:
                break
        log, seen = env.action_log(1), env.observations[1].copy()
    again = VectorEnv("3-3", envs=1, workers=1, frame_skip=4, stall_steps=0, max_steps=0)
    with again:
        again.start()
        again.restore({"frame_logs": [[byte for byte in log.buttons for _ in range(log.frame_skip)]]})
        assert np.array_equal(again.observations[0], seen)


def test_a_state_of_practice_that_cannot_be_is_refused() -> None:
    with games(0) as env:
        env.start()
        for start in ({"frames": 3}, {"frames": 0}, {"frames": 12}, {"steps": 0}, {"lead_in": [1]}):
            whole = {"frames": 4, "steps": 9, "lead_in": [130] * 4, **start}
            with pytest.raises(ValueError, match="out of range"):
                env.restore({"frame_logs": [[], [130] * 8], "starts": [None, whole]})
        with pytest.raises(ValueError, match="zip"):
            env.restore({"frame_logs": [[], []], "starts": [None]})


def test_an_episode_is_cut_and_may_stall_anew() -> None:
    with open_emulator("1-1") as emulator:
        episode = Episode(emulator, stall_steps=10)
        for _ in range(8):
            episode.step(0)
        episode.cut_after(9)
        for _ in range(8):
            assert episode.step(0).end is None, "it would have stalled at the tenth step"
        result = episode.step(0)
        assert (result.end, result.terminated, result.truncated) == (EndReason.TIME, False, True)
        episode.reset()
        for _ in range(9):
            episode.step(0)
        assert episode.step(0).end is EndReason.STALL
