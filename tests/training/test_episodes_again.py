"""Every episode of a training can be played again, as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kept import read_kept

from mario_tui.game.kept_episodes import FILE, find_kept
from mario_tui.game.replaying import replay
from mario_tui.store.history import read_metrics
from mario_tui.training.restore import open_trainer
from runs import run_to_end

SETTINGS: dict[str, Any] = {
    "envs": 3,
    "workers": 1,
    "stall_steps": 25,
    "max_episode_steps": 50,
    "exploration_rate": 0.4,
    "seed": 5,
}


@pytest.mark.slow
def test_each_ends_as_the_training_saw_it(small: Any, home: Path) -> None:
    noise = {
        "sticky": 0.25,
        "noops": 12,
        "practice_games": 2,
        "practice_nearest": 4,
        "practice_farthest": 9,
        "practice_length": 20,
    }
    trainer = open_trainer(small(steps=700, **SETTINGS, **noise), run="again")
    run_to_end(trainer)
    records = {one.episode: one for one in read_metrics(trainer.run_dir / "metrics.csv")}
    episodes = list(read_kept(trainer.run_dir))
    assert [one.episode for one in episodes] == list(records)
    assert len(episodes) > 6
    assert any(one.log.frame_skip == 1 for one in episodes), "of sticky actions"
    assert any(record.kind == "practice" for record in records.values())
    for one in episodes[-6:]:
        record, result = records[one.episode], replay(one.log)
        assert result.max_x == record.max_x
        if record.end in ("death", "clear"):
            assert result.end is not None
            assert result.end.value == record.end
        if record.kind == "training":
            assert result.reward == pytest.approx(record.reward)
            assert len(one.trail) == record.length + 1
            assert one.trail[0, 2] == 37, "the area of 1-1"
            assert np.max(one.trail[:, 0]) <= record.max_x


@pytest.mark.slow
def test_those_of_a_part_that_is_given_up_are_set_aside(small: Any, home: Path) -> None:
    trainer = open_trainer(small(steps=300, save_every=120, **SETTINGS), run="again")
    run_to_end(trainer)
    run, before = trainer.run_dir, list(read_kept(trainer.run_dir))
    early = sorted(run.glob("step-*"))[0]
    resumed = open_trainer(small(steps=400, save_every=120, **SETTINGS), resume=early)
    run_to_end(resumed)
    now, records = list(read_kept(run)), read_metrics(run / "metrics.csv")
    assert [one.episode for one in now] == [one.episode for one in records]
    assert any(len(one.trail) == 0 for one in now), "one that was under way when it was saved"
    assert all(len(one.trail) in (0, record.length + 1) for one, record in zip(now, records, strict=True))
    (aside,) = run.glob("episodes.until-*.csv")
    assert aside.read_bytes().count(b"\n") == len(before) + 1
    assert replay(find_kept(run, now[-1].episode).log).max_x == records[-1].max_x


def test_none_are_kept_if_the_settings_say_so(small: Any, home: Path) -> None:
    trainer = open_trainer(small(steps=240, keep_episodes=0, **SETTINGS), run="again")
    run_to_end(trainer)
    assert read_metrics(trainer.run_dir / "metrics.csv")
    assert not (trainer.run_dir / FILE).exists()
