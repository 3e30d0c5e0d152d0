"""The trained agent that comes with the program is whole, small, and plays."""

from pathlib import Path

import pytest

from mario_tui.agent.policy import load_policy
from mario_tui.play.evaluation import evaluate
from mario_tui.store import checkpoint

AGENT = Path(__file__).parents[2] / "checkpoints" / "world-1-1"


@pytest.mark.slow
@pytest.mark.skipif(not AGENT.is_dir(), reason="the trained agent is not beside the tests")
def test_the_agent_that_is_shipped_gets_far() -> None:
    folder = AGENT / "best"
    assert checkpoint.verify(folder).stage == "1-1"
    assert sum(path.stat().st_size for path in AGENT.rglob("*") if path.is_file()) < 8e6
    evaluation = evaluate(load_policy(folder), cancelled=lambda: False)
    # to the flag where it was trained; elsewhere sums are rounded in another way, and one other button changes the rest
    assert evaluation.max_x > 1000
