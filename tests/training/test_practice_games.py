"""Games that practise: what the agent learns from them, and what is counted of them."""

import csv
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import EndReason
from mario_tui.store.history import PRACTICE, TRAINING
from mario_tui.training.actor_groups import practice_of
from mario_tui.training.events import EpisodeEnded
from mario_tui.training.metrics import MetricLogger
from mario_tui.training.restore import open_trainer
from runs import run_to_end

PRACTISED: dict[str, Any] = {
    "stage": "5-1", "action_set": "run", "envs": 2, "practice_share": 0.8, "practice_nearest": 1,
    "practice_farthest": 8, "practice_length": 5, "show_buttons": True, "steps": 300,
}  # fmt: skip


@pytest.mark.parametrize("groups", [1, 2])
def test_a_training_with_practice(small, groups: int) -> None:
    """The rows of its replay are those of the real game, played again by the logs of its episodes."""
    config = small(**PRACTISED, practice_games=groups, actor_groups=groups, n_steps=3, log_every=1)
    trainer = open_trainer(config, run="practised")
    ended = [event for event in run_to_end(trainer) if isinstance(event, EpisodeEnded)]
    kinds = Counter(event.record.kind for event in ended)
    assert kinds[PRACTICE] > 2
    assert kinds[TRAINING] > 2
    assert {event.game for event in ended if event.record.kind == PRACTICE} == ({1} if groups == 1 else {0, 1})
    counted = trainer.logger.recent
    assert len(counted) == kinds[TRAINING]
    assert trainer.logger.end_map.ends().deaths.sum() == sum(one.end != "clear" for one in counted)
    with (trainer.run_dir / "metrics.csv").open(newline="") as file:
        assert Counter(row["kind"] for row in csv.DictReader(file)) == kinds

    for event in ended:
        assert event.log is not None
        reward, max_x = played_again(event.log)
        assert max_x == event.record.max_x, "its log has the whole way"
        if event.record.kind == PRACTICE:
            assert event.record.length < 60
            assert event.record.length <= len(event.log.buttons) // (4 if event.log.frame_skip == 1 else 1)
            assert event.record.reward < reward, "the way there brought the agent nothing"
            assert event.record.end in ("death", "time")
    lead_ins = rows_without_action(trainer.agent.memory)
    assert lead_ins == [3] * len(lead_ins)
    assert len(lead_ins) >= kinds[PRACTICE]


def rows_without_action(memory: Any) -> list[int]:
    """How many rows each lead-in has: of its beginning, and those after it in which nothing is chosen."""
    found = []
    first, last = (memory._columns()[name].reshape(-1, memory.envs)[: memory.tick] for name in ("first", "last"))
    for game in range(memory.envs):
        for tick in np.flatnonzero(first[:, game] & last[:, game]).tolist():
            rows = last[tick : tick + 4, game]
            if len(rows) == 4:
                found.append(int(rows.sum()))
                # the first observation of practice has four frames that were seen one after the other
                row = (tick + 3) * memory.envs + game
                stack = memory._stack_rows(np.array([row]))[0]
                assert stack.tolist() == [row - k * memory.envs for k in (3, 2, 1, 0)]
                frames = memory.frames[torch.from_numpy(stack).long()]
                assert all(not torch.equal(one, other) for one, other in pairwise(frames))
    return found


def played_again(log: ActionLog) -> tuple[float, int]:
    """The reward and the farthest x of what a log replays."""
    with open_emulator(log.stage) as emulator:
        reward, max_x = 0.0, emulator.x_position
        for byte in log.buttons:
            for _ in range(log.frame_skip):
                if not emulator.done:
                    reward += emulator.frame(byte)
                    max_x = max(max_x, emulator.x_position)
    return reward, max_x


def test_practice_is_in_no_mean_and_no_curve(tmp_path) -> None:
    logger = MetricLogger(tmp_path, "1-1", 1)
    for kind in (TRAINING, PRACTICE, PRACTICE):
        logger.log_episode(0, step=9, epsilon=1, max_x=3161, progress=0.1, end="clear", seconds=1, kind=kind)
    assert (logger.episode, logger.clears, len(logger.recent)) == (3, 1, 1)
    assert logger.end_map.ends().clears.sum() == 1
    assert not logger.measured


def test_the_last_games_that_train_practise(small) -> None:
    config = small(envs=8, practice_games=3, measuring_games=2)
    groups = [practice_of(config, group, 2) for group in range(2)]
    log = bytes([130]) * 4 * 200
    practise = []
    for group, known in enumerate(groups):
        assert known is not None
        known._share = 1.0
        known.add(EndReason.DEATH, 0, log)
        practise += [2 * game + group for game in range(4) if known.draw(game) is not None]
    assert sorted(practise) == [3, 4, 5]
    assert practice_of(small(envs=8), 0, 2) is None
    assert practice_of(small(envs=8, practice_games=1), 0, 2) is None


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"envs": 3, "practice_games": 3, "measuring_games": 1}, "give at most 2"),
        ({"practice_games": 1, "practice_nearest": 41}, "practice_nearest = 41 is farther than practice_farthest = 40"),
    ],
)
def test_settings_that_cannot_be_are_one_line(small, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        open_trainer(small(**settings), run="refused")
    assert "\n" not in str(caught.value)
