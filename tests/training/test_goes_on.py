"""A run that was resumed in another process equals, in every bit, the one that went on."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import warm

from mario_tui.game.emulator import open_emulator

HERE = Path(__file__).parent


def train(home: Path, *arguments: str, run: Any = warm.run) -> dict[str, Any]:
    out = home / "out.json"
    program = [sys.executable, str(HERE / "goes_on.py"), arguments[0], str(out), *arguments[1:]]
    path = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    result = run(program, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    content: dict[str, Any] = json.loads(out.read_text())
    return content


NAMES = ["tutorial", "fast", "measured", "corrected", "practised", "tutorial-3", "tutorial-8", "fast-5", "fast-12"]


@pytest.mark.parametrize("name", [*NAMES, "tutorial-schedules", "measured-schedules"])
def test_a_run_resumed_in_a_new_process_equals_the_one_that_went_on(home: Path, name: str) -> None:
    """From step 100 to 320: several games, and with `fast` priorities, n-step returns and sticky actions, too.

    With a number, which is a seed, the settings are drawn at random.
    """
    # in two processes that have nothing in common, or, for most, no more than their imports
    run = subprocess.run if name == "fast" else warm.run
    if name == "corrected":
        with open_emulator() as emulator:
            if not emulator.has_snapshots():
                pytest.skip("this emulator cannot go back to places in an episode")
    whole = train(home, name, run=run)
    (saved,) = (home / "checkpoints" / "kept").iterdir()  # in a run without metrics.csv: it holds the episodes itself
    resumed = train(home, name, str(saved), run=run)

    begins = int(saved.name.removeprefix("step-"))
    went_on = {step: chosen for step, chosen in whole["actions"].items() if int(step) >= begins}
    first = str(begins)  # games that begin an episode take no step: so it may also have acted before the save
    went_on[first] = went_on[first][-len(resumed["actions"][first]) :]
    assert sum(len(chosen) for chosen in went_on.values()) >= 200
    assert resumed["actions"] == went_on
    assert int(resumed["state"]["updates"]) > 40
    assert [name for name, value in whole["state"].items() if resumed["state"][name] != value] == []
    assert resumed["metrics"] == whole["metrics"]
    lines = [line for line in whole["log"] if line.split()[0] != "Episode"]
    known = [line for line in resumed["log"] if line.split()[0] != "Episode"]
    assert known == lines[len(lines) - len(known) :]
    if name == "practised":
        state = json.loads((saved / "trainer.json").read_text())
        assert any("starts" in group for group in state["games"]["groups"]), "it was saved amid practice"
        assert sum(",practice," in line for line in whole["metrics"]) > 4
    if name == "corrected":
        assert whole["labelled"] == resumed["labelled"] > 0
    if name in ("tutorial", "fast", "measured"):
        assert known
        assert len(resumed["metrics"]) > 4, "some episodes ended before the save, some after"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "games"), [("tutorial", 8), ("fast", 8), ("fast", 2), ("measured", 4), ("fast-schedules", 3)]
)
def test_a_run_that_went_on_with_other_games_is_exact_again(home: Path, name: str, games: int) -> None:
    """Saved with the preset's games after 100 steps, resumed with others, saved with these, and resumed once more."""
    before = train(home, name)
    (saved,) = (home / "checkpoints" / "kept").iterdir()
    whole = train(home, name, str(saved), str(games))
    begins = saved.name.removeprefix("step-").lstrip("0")
    assert len(whole["actions"][begins]) == games
    assert int(whole["state"]["updates"]) > 40
    assert whole["state"] != before["state"]
    assert whole["metrics"][: len(before["metrics"])] != before["metrics"]

    (saved,) = (home / "checkpoints" / f"kept-{games}").iterdir()
    resumed = train(home, name, str(saved))
    begins = saved.name.removeprefix("step-").lstrip("0")
    went_on = {step: chosen for step, chosen in whole["actions"].items() if int(step) >= int(begins)}
    assert resumed["actions"] == went_on
    assert [name for name, value in whole["state"].items() if resumed["state"][name] != value] == []
    assert resumed["metrics"] == whole["metrics"]
