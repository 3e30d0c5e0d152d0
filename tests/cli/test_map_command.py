"""`mario-tui map`: a picture of a part of a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mario_tui.cli import main
from mario_tui.game.action_log import ActionLog
from mario_tui.game.kept_episodes import EpisodeFile, KeptEpisode
from mario_tui.stage_map import stage_map
from mario_tui.store.history import EpisodeRecord, csv_heading, csv_line


@pytest.fixture
def run(home: Path) -> Path:
    """Twenty episodes, one each hundred steps; every fifth is a clear."""
    folder = home / "checkpoints" / "mine"
    folder.mkdir(parents=True)
    trail = np.array([[40 + 10 * step, 176, 37] for step in range(20)], np.int16)
    kept, lines = EpisodeFile(folder, 100), [csv_heading(EpisodeRecord)]
    for number in range(20):
        end = "clear" if number % 5 == 4 else "death"
        step = 100 * (number + 1)
        lines.append(csv_line(EpisodeRecord(number, step, 0.1, "1-1", 10.0, 20, 0.0, 0.0, 230, end, 1.0, "training")))
        kept.add(KeptEpisode(number, ActionLog("1-1", 4, (128,) * 20), trail))
    (folder / "metrics.csv").write_text("".join(lines), newline="")
    return folder


def test_a_part_of_a_run_is_drawn(run: Path, home: Path, capsys: pytest.CaptureFixture) -> None:
    output = home / "map.png"
    assert main(["map", "mine", "-o", str(output), "--to-step", "1250", "--last", "6", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["episodes"] == 6
    assert (told["first_episode"], told["last_episode"]) == (6, 11)
    assert told["ends"] == {"death": 5, "clear": 1}
    with Image.open(output) as picture:
        assert picture.size == stage_map("1-1").shape[1::-1]
    assert main(["map", "mine", "-o", str(output), "--lines", "4"]) == 0
    assert "20 episodes, 0 to 19 (16 death, 4 clear)" in capsys.readouterr().out


def test_before_the_first_end_there_is_nothing_to_draw(run: Path, home: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["map", "mine", "-o", str(home / "map.png"), "--to-step", "99"]) == 2
    assert "no episode of mine had ended at step 99" in capsys.readouterr().err
    assert not (home / "map.png").exists()
