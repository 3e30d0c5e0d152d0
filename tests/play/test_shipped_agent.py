"""The trained agents that come with the program are whole, small, and play."""

from pathlib import Path

import pytest

from mario_tui.agent.policy import load_policy
from mario_tui.play.evaluation import evaluate
from mario_tui.store import checkpoint

AGENTS = Path(__file__).parents[2] / "checkpoints"
AGENT = AGENTS / "world-1-1"
OTHERS = sorted(folder for folder in AGENTS.glob("world-?-?") if folder != AGENT)


@pytest.mark.slow
@pytest.mark.skipif(not AGENT.is_dir(), reason="the trained agent is not beside the tests")
def test_the_agent_that_is_shipped_gets_far() -> None:
    folder = AGENT / "best"
    assert checkpoint.verify(folder).stage == "1-1"
    assert sum(path.stat().st_size for path in AGENT.rglob("*") if path.is_file()) < 8e6
    evaluation = evaluate(load_policy(folder), cancelled=lambda: False)
    # to the flag where it was trained; elsewhere sums are rounded in another way, and one other button changes the rest
    assert evaluation.max_x > 1000


@pytest.mark.slow
@pytest.mark.parametrize("agent", OTHERS, ids=lambda folder: folder.name)
def test_those_of_other_stages_get_far(agent: Path) -> None:
    (folder,) = (one for one in agent.glob("step-*") if one.is_dir())
    assert checkpoint.verify(folder).stage == agent.name.removeprefix("world-")
    evaluation = evaluate(load_policy(folder), cancelled=lambda: False)
    assert evaluation.progress > 0.15, "all the way where it was trained"


def test_all_of_them_together_are_small() -> None:
    files = [path for agent in AGENTS.glob("world-?-?") for path in agent.rglob("*") if not path.is_symlink()]
    assert sum(path.stat().st_size for path in files if "best" not in path.parts) < 40e6
