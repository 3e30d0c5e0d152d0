"""`eval --values` and `replay --ledger`: what the timeline and the ledger of Watch show, without the app."""

import csv
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mario_tui.agent.policy import load_policy
from mario_tui.cli import main
from mario_tui.config import TrainingConfig
from mario_tui.game.action_log import ActionLog
from mario_tui.game.kept_episodes import FILE, HEADING, KeptEpisode
from mario_tui.play.episode_values import COLUMNS, values_csv
from mario_tui.play.timeline import timeline
from mario_tui.rewards import LearnedReward

LOG = ActionLog("1-1", 4, (130,) * 100)


@pytest.mark.slow
def test_eval_writes_the_values_of_the_episode_it_counts(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = home / "values.csv"
    assert main(["eval", "world-1-1", "--values", str(file), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)["per_episode"][0]
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    learned = load_policy("world-1-1").learned
    assert learned != LearnedReward(), "of its manifest"
    assert tuple(rows[0]) == COLUMNS
    assert [int(row["step"]) for row in rows] == list(range(1, result["length"] + 1))
    bonus = learned.clear_bonus * result["cleared"]
    rewards = [float(row["reward"]) * learned.scale for row in rows]
    assert sum(rewards) == pytest.approx(result["reward"] + bonus, abs=0.5)
    for row, following in pairwise(rows):
        coming = float(row["reward"]) + learned.gamma * float(following["return"])
        assert float(row["return"]) == pytest.approx(coming, abs=1e-4)
    assert float(rows[-1]["return"]) == float(rows[-1]["reward"])
    assert {row["settled"] for row in rows} == {"1"}
    assert {row["action"] for row in rows} == {"right+B", "right+A+B"}
    assert all(row["value"] for row in rows)


@pytest.mark.parametrize("name", ["values.txt", "missing/values.csv", "folder.csv"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_played(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (home / "folder.csv").mkdir()
    assert main(["eval", "world-1-1", "--values", str(home / name)]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert main(["eval", "world-1-1", "--verdict", "--values", str(home / "values.csv")]) == 2


def test_what_is_not_known_is_empty() -> None:
    line = timeline([], LearnedReward())
    assert values_csv(line, "tutorial").split() == [",".join(COLUMNS)]


def test_replay_prints_what_the_reward_is_made_of(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    LOG.save(home / "log.json")
    assert main(["replay", str(home / "log.json"), "--json", "--ledger"]) == 0
    played = json.loads(capsys.readouterr().out)
    ledger = played["ledger"]
    assert ledger.pop("total") == sum(ledger.values()) == played["reward"]
    assert ledger["death"] == -25
    assert ledger["clip"] > 0
    assert main(["replay", str(home / "log.json"), "--ledger"]) == 0
    assert f"  death      {-25:>+8}" in capsys.readouterr().out
    assert main(["replay", str(home / "log.json"), "--json"]) == 0
    assert "ledger" not in json.loads(capsys.readouterr().out)


def test_an_episode_of_a_training_has_the_ledger_of_what_its_run_learns(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = home / "checkpoints" / "mine"
    run.mkdir(parents=True)
    (run / "config.toml").write_text(TrainingConfig(clear_bonus=350.0).to_toml())
    log = ActionLog.load(Path(__file__).parents[1] / "game" / "logs" / "1-1-clear.json")
    trail = [[40, 80, 0]] * len(log.buttons)
    (run / FILE).write_text(HEADING + KeptEpisode(7, log, np.array(trail, np.int16)).line(), newline="")
    assert main(["replay", "mine", "--episode", "7", "--json", "--ledger"]) == 0
    played = json.loads(capsys.readouterr().out)
    assert played["ledger"]["bonus"] == 350
    assert played["ledger"]["total"] == played["reward"] + 350
