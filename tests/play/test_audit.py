import json

import pytest
import torch

from mario_tui.agent.network import MarioNet
from mario_tui.agent.policy import Policy
from mario_tui.agent.spec import TUTORIAL
from mario_tui.commands import audit as command
from mario_tui.errors import InputError
from mario_tui.play.audit import Audit, Failure, audit
from mario_tui.play.evaluation import EpisodeResult, Evaluation
from mario_tui.store.intervals import wilson_interval


@pytest.fixture(scope="module")
def policy() -> Policy:
    """Runs right, into the first enemy."""
    net = MarioNet(TUTORIAL.model_copy(update={"action_set": "run"}))
    with torch.no_grad():
        net.online[9].bias.zero_()
        net.online[9].bias[0] = 100
    return Policy(net.eval(), "1-1", 0, "made for a test")


def test_a_death_that_a_jump_avoids(policy: Policy) -> None:
    told: list[tuple[int, Failure | None]] = []
    result = audit(
        policy,
        episodes=2,
        seed=3,
        back=[12, 1],
        threads=2,
        on_episode=lambda episode, failure: told.append((episode.seed, failure)),
    )
    assert result.back == (1, 12)
    assert [one.episode.end for one in result.failures] == ["death", "death"]
    assert [one.avoidable for one in result.failures] == [12, 12], "one step before an enemy nobody jumps over it"
    assert [(result.avoidable(steps), result.unknown(steps)) for steps in (1, 12)] == [(0, 0), (2, 0)]
    assert told == [(3, result.failures[0]), (4, result.failures[1])]


def test_what_it_says_for_programs_and_people(capsys: pytest.CaptureFixture[str]) -> None:
    def episode(seed: int, end: str) -> EpisodeResult:
        return EpisodeResult(seed, 10.0, 100, 500, end, end == "clear")

    episodes = tuple(episode(seed, end) for seed, end in enumerate(("clear", "death", "stall", "death")))
    failures = (
        Failure(episodes[1], 8, ()),
        Failure(episodes[2], 4, ()),
        Failure(episodes[3], None, (8,)),
    )
    result = Audit(Evaluation(episodes), failures, (4, 8))
    said = json.loads(json.dumps(result.as_json()))
    assert (said["episodes"], said["clears"], said["clear_rate"]) == (4, 1, 0.25)
    assert said["avoidable"] == [
        {"steps_before": 4, "failures": 3, "avoidable": 1, "unknown": 0, "interval": list(wilson_interval(1, 3))},
        {"steps_before": 8, "failures": 3, "avoidable": 2, "unknown": 1, "interval": list(wilson_interval(2, 3))},
    ]
    assert [one["avoidable"] for one in said["per_failure"]] == [8, 4, None]

    command._print_summary("an agent on 1-1", "run", result)
    for one in (None, *failures):
        command._print_episode(episodes[0] if one is None else one.episode, one)
    lines = capsys.readouterr().out.splitlines()
    assert "1 of 4 episodes cleared (25%; 95 % interval 5% to 70%)" in lines[0]
    assert lines[2:4] == [
        "    4 steps before the end: 1 of 3 (33%; 6% to 79%)",
        "    8 steps before the end: 2 of 3 (67%; 21% to 94%); 1 not found out",
    ]
    assert lines[4] == "seed 0: clear at x 500, 100 steps"
    assert [line.split("; ")[1] for line in lines[5:]] == [
        "a way on 8 steps before",
        "a way on 4 steps before",
        "no way on was found in time",
    ]


@pytest.mark.parametrize("back", [[], [0], [4, 201]])
def test_numbers_of_steps_that_are_none(policy: Policy, back: list[int]) -> None:
    with pytest.raises(InputError, match="back ="):
        audit(policy, episodes=1, back=back)
