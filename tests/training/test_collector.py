"""What the collector shows of its games beside what the agent sees of them."""

import numpy as np
import pytest
import torch

from mario_tui.agent.preprocess import preprocess
from mario_tui.training.actor_groups import ActorGroups
from mario_tui.training.collector import LocalCollector


@pytest.mark.parametrize("show_buttons", [False, True])
def test_the_pictures_are_those_that_the_agent_sees(small, show_buttons: bool) -> None:
    collector = ActorGroups(small(envs=3, workers=2, show_buttons=show_buttons), torch.device("cpu"))

    def shown(most: int) -> int:
        """How many pictures there are; each is of the frame that the agent acts on next."""
        screens = collector.frames(most)
        for screen, seen in zip(screens, collector.observations[:, -1], strict=False):
            picture = preprocess(screen[None])[0]
            assert torch.equal(picture[12:], seen[12:])
            assert torch.equal(picture, seen) is not show_buttons
        return len(screens)

    def step() -> None:
        for _ in range(collector.groups):
            games, _ = collector.turn
            collector.begin(np.array([1, 1, 0])[games])
        for _ in range(collector.groups):
            collector.finish()

    assert shown(3) == 0
    collector.start()
    try:
        assert shown(2) == 2, "where a training begins"
        step()
        assert shown(2) == 2
        step()
        assert shown(16) == 2, "the third was not asked for"
        step()
        assert shown(16) == 3
        assert shown(1) == 1
        step()
        assert shown(1) == 1
    finally:
        collector.close()


def test_an_observation_stays_as_it_is_while_the_games_go_on(small) -> None:
    collector = LocalCollector(small(envs=2, workers=1, show_buttons=True), torch.device("cpu"))
    collector.open()
    collector.start()
    try:
        for _ in range(3):
            before = collector.observations
            copy = before.clone()
            collector.begin(np.array([1, 1]))
            experiences = collector.finish().experiences
            assert torch.equal(before, copy)
            assert torch.equal(experiences.frame, copy[:, -1])
    finally:
        collector.close()
