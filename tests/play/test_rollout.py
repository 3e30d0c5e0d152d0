"""Rollouts and evaluations on the real game."""

import itertools
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mario_tui.agent.network import MarioNet
from mario_tui.agent.policy import Policy
from mario_tui.agent.preprocess import FrameStacks, preprocess
from mario_tui.agent.spec import TUTORIAL
from mario_tui.buttons import ACTION_SETS
from mario_tui.errors import CheckpointError, InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.episode import Episode, StepResult
from mario_tui.game.replaying import replay
from mario_tui.game.vector_env import VectorEnv
from mario_tui.play import evaluation
from mario_tui.play.agent_player import AgentPlayer
from mario_tui.play.evaluation import EpisodeResult, Evaluation, evaluate
from mario_tui.play.ghost_picture import draw_ghosts, ghosts_at
from mario_tui.play.ghost_trail import GhostTrail, follow
from mario_tui.play.rollout import rollout
from mario_tui.store import catalog, checkpoint


def make_policy(action: int = 0, *, stage: str = "1-1", **spec: Any) -> Policy:
    """A policy that prefers one action everywhere, by its last layer's bias."""
    torch.manual_seed(0)
    net = MarioNet(TUTORIAL.model_copy(update=spec))
    with torch.no_grad():
        net.online[9].bias.zero_()
        net.online[9].bias[action] = 100
    return Policy(net.eval(), stage, 0, "made for a test")


def test_moments_tell_one_episode_from_first_frame_to_end() -> None:
    moments = list(rollout(make_policy(), all_frames=True))
    first, last = moments[0], moments[-1]
    assert (first.step, first.frames, first.action, first.q_values) == (0, (), None, ())
    assert [moment.step for moment in moments] == list(range(len(moments)))
    assert [moment.end is not None for moment in moments] == [False] * (len(moments) - 1) + [True]
    assert last.end == "death", "walking right on 1-1 meets the first goomba"
    assert last.total_reward == sum(moment.reward for moment in moments)
    assert last.max_x == max(moment.x for moment in moments)
    for moment in moments[1:]:
        assert moment.action == 0
        assert moment.buttons == ACTION_SETS["tutorial"][0]
        assert len(moment.q_values) == 2
        assert moment.q_values[0] > moment.q_values[1]
        assert 1 <= len(moment.frames) <= 4
        assert moment.frames[-1] is moment.frame or np.array_equal(moment.frames[-1], moment.frame)
    assert not np.shares_memory(moments[1].frame, moments[2].frame)


def test_the_state_is_the_last_four_frames() -> None:
    moments = list(itertools.islice(rollout(make_policy()), 8))
    frames = [preprocess(moment.frame[None])[0].numpy() for moment in moments]
    assert np.array_equal(moments[0].stack, np.stack([frames[0]] * 4))
    assert np.array_equal(moments[2].stack, np.stack([frames[0], frames[0], frames[1], frames[2]]))
    assert np.array_equal(moments[7].stack, np.stack(frames[4:8]))


def test_a_policy_that_sees_the_buttons_gets_frames_that_show_the_ones_pressed(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = make_policy(show_buttons=True)
    turn = itertools.cycle([(1.0, 0.0), (0.0, 1.0)])
    monkeypatch.setattr(Policy, "q_values", lambda self, stack: next(turn))
    moments = list(itertools.islice(rollout(policy), 7))
    assert [moment.buttons for moment in moments] == [0, 128, 129, 128, 129, 128, 129]
    frames = [
        preprocess(moment.frame[None], buttons=np.array([moment.buttons], dtype=np.uint8))[0].numpy()
        for moment in moments
    ]
    assert np.array_equal(moments[0].stack, np.stack([frames[0]] * 4))
    assert np.array_equal(moments[2].stack, np.stack([frames[0], frames[0], frames[1], frames[2]]))
    assert np.array_equal(moments[6].stack, np.stack(frames[3:7]))


@pytest.mark.parametrize("show_buttons", [False, True])
def test_a_rollout_sees_what_the_agent_saw_in_training(show_buttons: bool) -> None:
    moments = list(itertools.islice(rollout(make_policy(1, show_buttons=show_buttons)), 12))
    stacks = FrameStacks(1)
    with VectorEnv("1-1", envs=1, workers=1, frame_skip=4, stall_steps=0, max_steps=0) as vector_env:
        observed = vector_env.start()
        for moment in moments:
            seen = preprocess(vector_env.frames, buttons=observed.buttons if show_buttons else None)
            assert np.array_equal(stacks.push(seen, observed.first)[0].numpy(), moment.stack), moment.step
            vector_env.send(np.array([ACTION_SETS["tutorial"][1]], dtype=np.uint8))
            observed = vector_env.receive()


@pytest.mark.slow
def test_greedy_rollouts_are_all_the_same_and_their_action_log_replays() -> None:
    runs = [[moment.buttons for moment in rollout(make_policy(1))][1:] for _ in range(2)]
    assert runs[0] == runs[1]
    last = list(rollout(make_policy(1)))[-1]
    result = replay(ActionLog("1-1", 4, tuple(runs[0])))
    assert (result.max_x, result.reward, result.end) == (last.max_x, last.total_reward, last.end)


def test_a_policy_that_is_stuck_is_cut() -> None:
    moments = list(rollout(make_policy(0, action_set="right_only"), stall_steps=10))
    assert moments[-1].end == "stall"
    assert moments[-1].step == 10


@pytest.mark.slow
def test_seeds_decide_noops_sticky_actions_and_epsilon() -> None:
    def actions(seed: int, **chances: Any) -> list:
        return [moment.action for moment in itertools.islice(rollout(make_policy(), seed=seed, **chances), 1, 60)]

    starts = {seed: actions(seed, noops=30).index(0) for seed in range(8)}
    assert len(set(starts.values())) > 2
    assert max(starts.values()) <= 8, "30 frames are at most 8 steps"
    assert actions(1, epsilon=0.5) == actions(1, epsilon=0.5)
    assert actions(1, epsilon=0.5) != actions(2, epsilon=0.5)
    assert 10 < actions(3, epsilon=1.0).count(1) < 50


def test_sticky_buttons_are_taken_up_late(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = make_policy()
    turn = itertools.cycle([(1.0, 0.0), (0.0, 1.0)])  # wants 0, 1, 0, 1, ...
    monkeypatch.setattr(Policy, "q_values", lambda self, stack: next(turn))
    steps: list[Sequence[int]] = []
    step = Episode.step

    def spy(episode: Episode, buttons: Sequence[int], *arguments: Any) -> StepResult:
        steps.append(buttons)
        return step(episode, buttons, *arguments)

    monkeypatch.setattr(Episode, "step", spy)
    moments = list(itertools.islice(rollout(policy, sticky=0.8, seed=1), 1, 60))
    assert [moment.action for moment in moments] == [number % 2 for number in range(len(moments))]
    assert [moment.buttons for moment in moments] == [held[-1] for held in steps], "what is held at the end"
    held_before, lates = 0, set()
    for moment, held in zip(moments, steps, strict=True):
        assert moment.action is not None
        chosen = ACTION_SETS["tutorial"][moment.action]
        late = next((frame for frame, byte in enumerate(held) if byte == chosen), 4)
        assert list(held) == [held_before] * late + [chosen] * (4 - late)
        lates.add(late)
        held_before = held[-1]
    assert lates == {0, 1, 2, 3, 4}


@pytest.mark.slow
def test_a_policy_that_always_jumps_right_clears_nothing_but_gets_on() -> None:
    results: list[EpisodeResult] = []
    outcome = evaluate(make_policy(1), episodes=3, sticky=0.25, noops=30, seed=5, on_episode=results.append)
    assert tuple(results) == outcome.per_episode
    assert [result.seed for result in results] == [5, 6, 7]
    assert outcome.episodes == 3
    assert outcome.max_x == max(result.max_x for result in results) > 200
    assert set(outcome.as_json()) == {
        "episodes", "clears", "clear_rate", "mean_reward", "mean_x", "max_x", "per_episode",
    }  # fmt: skip


@pytest.mark.slow
def test_episodes_played_at_the_same_time_are_the_same() -> None:
    chances: dict[str, Any] = {"episodes": 4, "sticky": 0.25, "noops": 30}
    heard: list[int] = []
    at_once = evaluate(make_policy(1), **chances, threads=3, on_episode=lambda result: heard.append(result.seed))
    assert at_once == evaluate(make_policy(1), **chances)
    assert heard == [0, 1, 2, 3]


def test_deterministic_play_is_played_once_and_counted_as_often_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    played = []
    monkeypatch.setattr(
        evaluation, "rollout", lambda *args, **kwargs: played.append(kwargs) or rollout(*args, **kwargs)
    )
    outcome = evaluate(make_policy(), episodes=5)
    assert outcome.episodes == 5
    assert len({replace(result, seed=0) for result in outcome.per_episode}) == 1
    assert len(played) == 1


def test_evaluation_counts_clears() -> None:
    def result(cleared: bool) -> EpisodeResult:
        return EpisodeResult(0, 100.0, 10, 3161 if cleared else 500, "clear" if cleared else "death", cleared)

    outcome = Evaluation((result(True), result(False), result(True), result(True)))
    assert (outcome.clears, outcome.clear_rate, outcome.max_x) == (3, 0.75, 3161)


@pytest.mark.parametrize(("threads", "most", "played"), [(1, 1, 4), (3, 1, 4), (1, 0, 2), (2, 4, 8), (1, None, 8)])
def test_an_evaluation_ends_with_the_failure_that_is_one_too_many(threads: int, most: int | None, played: int) -> None:
    """The same episodes count, however many are played at the same time."""

    def play(policy: Policy, *, seed: int, **_: Any) -> EpisodeResult:
        cleared = seed % 2 == 0
        return EpisodeResult(seed, 0.0, 9, 300, "clear" if cleared else "death", cleared)

    outcome = evaluate(make_policy(), episodes=8, sticky=0.25, threads=threads, most_failures=most, play=play)
    assert [one.seed for one in outcome.per_episode] == list(range(played))


@pytest.mark.parametrize(
    "arguments", [{"episodes": 0}, {"sticky": 1.5}, {"sticky": -0.1}, {"noops": -1}, {"seed": -1}, {"stage": "9-9"}]
)
def test_bad_arguments_are_named(arguments: dict) -> None:
    with pytest.raises(InputError, match=next(iter(arguments))):
        evaluate(make_policy(), **arguments)


def test_results_are_noted_beside_the_checkpoint_and_move_best(home: Path) -> None:
    run = home / "checkpoints" / "noted"
    header = {"stage": "1-1", "agent": {}, "reward": "7.4.0", "config": {}}
    one, other = (checkpoint.write(run, step, {}, header) for step in (10, 20))
    (run / "config.toml").touch()
    policy = make_policy()

    def outcome(clears: int, episodes: int) -> Evaluation:
        ends = ["clear"] * clears + ["death"] * (episodes - clears)
        return Evaluation(tuple(EpisodeResult(0, 0.0, 1, 300, end, end == "clear") for end in ends))

    robust: dict[str, Any] = {"sticky": evaluation.ROBUST_STICKY, "noops": evaluation.ROBUST_NOOPS}
    evaluation.note(one, policy, outcome(1, 1), stage="1-1", sticky=0, noops=0)
    assert (run / "best").resolve() == one
    evaluation.note(other, policy, outcome(4, 10), stage="1-1", **robust)
    assert (run / "best").resolve() == other
    evaluation.note(one, policy, outcome(9, 9), stage="1-1", **robust)  # too few episodes to say
    evaluation.note(one, policy, outcome(10, 10), stage="1-2", **robust)  # another stage
    infos = {info.step: info for info in catalog.scan().checkpoints}
    assert (infos[10].greedy_clear, infos[10].robust_clear_rate, infos[10].best) == (True, None, False)
    assert (infos[20].greedy_clear, infos[20].robust_clear_rate, infos[20].best) == (None, 0.4, True)


# The player, in a real thread: each condition is waited for, however long it takes.


def poll(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_player_pauses_steps_restarts_and_closes() -> None:
    player = AgentPlayer(make_policy)
    player.toggle_pause()
    player.start()
    poll(lambda: player.latest is not None)
    assert player.latest.step == 0
    for step in (1, 2):
        player.step_once()
        poll(lambda step=step: player.latest.step == step)
    assert player.paused
    assert not player.finished
    player.speed = 8
    player.toggle_pause()
    poll(lambda: player.finished)
    assert player.latest_frame is not None
    player.toggle_pause()
    player.restart("1-2")
    poll(lambda: player.latest.step == 0)
    player.close()
    assert not player._thread.is_alive()
    assert player.problem == ""


def test_ghosts_go_back_and_on_with_the_player() -> None:
    trail = GhostTrail("1k")
    follow(trail, rollout(make_policy(0), all_frames=True))
    own = GhostTrail("own")
    follow(own, itertools.islice(rollout(make_policy(1), all_frames=True), 12))
    player = AgentPlayer(lambda: make_policy(1))
    player.show_ghosts([trail], names=False)
    player.toggle_pause()
    player.start()
    poll(lambda: player.latest is not None)
    for step in range(1, 11):
        player.step_once()
        poll(lambda step=step: player.latest.step == step)
    for step in (10, 6, 8):
        player.seek(step)
        poll(lambda step=step: player.latest.step == step)
        plain, shown = player.latest.frame, player.latest_frame
        view, frame = player.latest.views[-1], player.latest.frame_count
        assert shown is not None
        assert view is not None
        expected = draw_ghosts(plain, view, ghosts_at([trail], frame, names=False), own.at(frame))
        assert (plain != expected).any()
        assert np.array_equal(shown, expected)
    player.close()


def test_the_player_goes_back_and_on_again() -> None:
    player = AgentPlayer(lambda: make_policy(1))
    player.toggle_pause()
    player.start()
    poll(lambda: player.latest is not None)
    shown = {}
    for step in range(1, 7):
        player.step_once()
        poll(lambda step=step: player.latest.step == step)
        shown[step] = player.latest
    for sought, step in ((3, 3), (-5, 0), (99, 6), (2, 2)):
        player.seek(sought)
        poll(lambda step=step: player.latest.step == step)
        assert player.paused
        assert player.newest_step == 6
        if step:
            assert np.array_equal(player.latest.frame, shown[step].frame)
            assert player.latest_frame is not None
            assert np.array_equal(player.latest_frame, shown[step].frame)
            assert player.latest.q_values == shown[step].q_values
    assert player.frame_buttons(2) == [129] * 8
    for step in (3, 4, 5, 6, 7):
        player.step_once()
        poll(lambda step=step: player.latest.step == step)
    assert player.newest_step == 7, "after what was played, it plays on"
    for steps, step in ((-3, 4), (1, 5), (-100, 0), (100, 7), (1, 8), (-1, 7)):
        player.move(steps)
        poll(lambda step=step: player.latest.step == step)
    assert player.newest_step == 8
    greedy = list(itertools.islice(rollout(make_policy(1)), 8))
    assert np.array_equal(player.latest.frame, greedy[7].frame)
    player.close()


def test_the_player_can_go_back_after_the_end_and_plays_to_it_again() -> None:
    player = AgentPlayer(make_policy)
    player.speed = 8
    player.start()
    poll(lambda: player.finished)
    last = player.latest.step
    player.seek(last - 3)
    poll(lambda: player.latest.step == last - 3)
    assert not player.finished
    player.toggle_pause()
    poll(lambda: player.finished)
    assert player.latest.step == last
    player.close()


def test_the_players_chances_hold_from_the_next_step_on() -> None:
    player = AgentPlayer(lambda: make_policy(1))
    player.toggle_pause()
    player.start()
    poll(lambda: player.latest is not None)
    player.chances.epsilon = 1.0
    actions = []
    for step in range(1, 31):
        player.step_once()
        poll(lambda step=step: player.latest.step == step)
        actions.append(player.latest.action)
    assert 3 < actions.count(0) < 27
    player.close()


def test_the_player_says_what_went_wrong() -> None:
    def fail() -> Policy:
        raise CheckpointError("no checkpoint here")

    player = AgentPlayer(fail)
    player.start()
    poll(lambda: player.problem)
    assert player.problem == "no checkpoint here"
    player.close()


def test_the_players_speeds() -> None:
    player = AgentPlayer(make_policy)
    for faster in (2, 4, 8, 8):
        player.faster()
        assert player.speed == faster
    for slower in (4, 2, 1, 0.5, 0.25, 0.25):
        player.slower()
        assert player.speed == slower
    player.close()


def test_a_person_takes_over_in_the_middle_and_hands_back() -> None:
    """Frame by frame what the person holds, and before and after that what the policy chooses."""
    frame = 0

    def hand() -> int | None:
        nonlocal frame
        frame += 1
        return None if frame <= 40 or frame > 80 else 2 if frame % 3 else 130

    moments = list(itertools.islice(rollout(make_policy(1), hand=hand), 31))
    by_hand = [2 if number % 3 else 130 for number in range(41, 81)]
    held = [byte for moment in moments for byte in moment.frame_buttons]
    assert held == [129] * 40 + by_hand + [129] * 40
    assert [moment.action for moment in moments[1:]] == [1] * 10 + [None] * 10 + [1] * 10
    assert all(moment.q_values for moment in moments[1:]), "what the agent would do is still told"
    assert replay(ActionLog.of_frames("1-1", 4, held)).max_x == moments[-1].max_x


def test_nobody_is_hurried_by_hand() -> None:
    moments = list(itertools.islice(rollout(make_policy(1), hand=lambda: 0, stall_steps=5), 21))
    assert moments[-1].end is None


def test_the_player_changes_hands() -> None:
    player = AgentPlayer(lambda: make_policy(1))
    player.toggle_pause()
    player.start()
    poll(lambda: player.latest is not None)
    player.change_hands()
    player.controls.press(64)
    player.step_once()
    poll(lambda: player.latest.step == 1)
    assert (player.by_hand, player.latest.frame_buttons, player.latest.action) == (True, (64,) * 4, None)
    player.change_hands()
    player.step_once()
    poll(lambda: player.latest.step == 2)
    assert (player.by_hand, player.latest.frame_buttons, player.latest.action) == (False, (129,) * 4, 1)
    player.close()
