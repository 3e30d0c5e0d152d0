"""Several agents in one video, and the best of several episodes."""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest

from mario_tui.agent.spec import TUTORIAL
from mario_tui.cli import main
from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.replaying import play_log, replay
from mario_tui.play.rollout import rollout
from mario_tui.video import grid
from mario_tui.video.grid import GAP, LAST_PICTURE_FRAMES, record_grid
from mario_tui.video.record import RecordingCancelledError
from mario_tui.video.record_agent import record_agent

LABEL = 14


def agent(action: int, step: int = 0) -> Any:
    """Walks to the right, or jumps again and again as well."""
    steps = itertools.count()

    def q_values(stack: Any) -> tuple[float, ...]:
        jumps = action and next(steps) % 11 > 2
        return (0.0, 1.0) if jumps else (1.0, 0.0)

    return SimpleNamespace(
        source=f"agent {action}, step {step}", step=step, stage="1-1", spec=TUTORIAL, q_values=q_values
    )


def frames_of(log: ActionLog) -> list[np.ndarray]:
    return [frame for step in play_log(log) for frame in step.frames]


@pytest.mark.slow
def test_each_panel_shows_its_own_game_and_stands_dimmed_when_it_is_over(home: Path) -> None:
    counts: list[int] = []
    made = record_grid(
        [agent(0, 1000), agent(1, 2000), agent(0)],
        home / "grid.mp4",
        progress=lambda frames, total: counts.append(frames),
    )
    content = json.loads(made.action_log.read_text())
    logs = [ActionLog(one["stage"], one["frame_skip"], tuple(one["buttons"])) for one in content["video"]["grid"]]
    assert [one["agent"] for one in content["video"]["grid"]] == [
        "agent 0, step 1000", "agent 1, step 2000", "agent 0, step 0",
    ]  # fmt: skip
    games = [frames_of(log) for log in logs]
    longest = max(map(len, games))
    assert len(games[0]) != len(games[1])
    reader = imageio.get_reader(made.path)
    pictures = [np.asarray(picture) for picture in reader]
    reader.close()
    assert made.frames == len(pictures) == longest + LAST_PICTURE_FRAMES
    assert counts == sorted(counts)
    width, height = 256, 240 + LABEL
    assert pictures[0].shape == (2 * height + GAP, 2 * width + GAP, 3)
    for number in (0, min(map(len, games)) // 2, longest - 1, made.frames - 1):
        for panel, game in enumerate(games):
            top, left = panel // 2 * (height + GAP) + LABEL, panel % 2 * (width + GAP)
            shown = pictures[number][top : top + 240, left : left + 256].astype(int)
            expected = game[min(number, len(game) - 1)] // (2 if number >= len(game) else 1)
            assert np.abs(shown - expected).mean() < 6  # half of the colours are lost at this scale
    best = max(logs, key=lambda log: replay(log).max_x)
    assert ActionLog.load(made.action_log) == best
    assert made.max_x == replay(best).max_x


def test_a_cancelled_grid_leaves_nothing(home: Path) -> None:
    with pytest.raises(RecordingCancelledError):
        record_grid([agent(0), agent(1)], home / "grid.mp4", cancelled=lambda: True)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("count", [1, 17])
def test_one_agent_or_too_many_are_no_grid(home: Path, count: int) -> None:
    with pytest.raises(InputError, match="2 to 16"):
        record_grid([agent(0)] * count, home / "grid.mp4")


@pytest.mark.slow
def test_a_gif_of_a_grid(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "rollout", lambda policy, **more: itertools.islice(rollout(policy, **more), 12))
    made = record_grid([agent(0), agent(1)], home / "grid.gif")
    pictures = imageio.mimread(made.path, memtest=False)
    assert pictures[0].shape[:2] == (240 + LABEL, 512 + GAP)


@pytest.mark.slow
def test_the_best_of_several_episodes_is_recorded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    best = record_agent(agent(0), home / "best.mp4", best_of=6, sticky=0.25, noops=30, seed=5, scale=1)
    alone = [
        record_agent(agent(0), home / f"{seed}.mp4", sticky=0.25, noops=30, seed=seed, scale=1).max_x
        for seed in range(5, 11)
    ]
    assert len(set(alone)) > 1
    assert best.max_x == max(alone)
    assert replay(ActionLog.load(best.action_log)).max_x == best.max_x


def test_the_command_records_a_runs_checkpoints_from_the_first_to_the_newest(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run = home / "checkpoints" / "run"
    for step in range(1, 8):
        (run / f"step-{step:09d}").mkdir(parents=True)
    (run / "config.toml").write_text("")
    monkeypatch.setattr("mario_tui.commands.record.looks_whole", lambda folder: True)
    monkeypatch.setattr("mario_tui.agent.policy.load_policy", lambda path: path.name)
    recorded: list[Any] = []
    monkeypatch.setattr(
        "mario_tui.video.grid.record_grid", lambda policies, *_, **__: recorded.append(policies) or DONE
    )
    assert main(["record", "run", "--grid", "3", "-o", str(home / "x.mp4")]) == 0
    assert recorded == [["step-000000001", "step-000000004", "step-000000007"]]
    assert main(["record", "run", "--grid", "8", "-o", str(home / "x.mp4")]) == 2
    assert "has 7" in capsys.readouterr().err


DONE = SimpleNamespace(path="x.mp4", frames=60, seconds=1.0, cleared=False, max_x=40, action_log="x.json", episodes=())
