"""A run that goes on with more or fewer games."""

import json

import pytest
import torch

from fake_collector import fake_trainer
from mario_tui.errors import InputError
from mario_tui.store import lookup
from mario_tui.training.events import EpisodeEnded, Warned
from mario_tui.training.resume import resume_config
from runs import differences, full_state, run_to_end

KEPT = ("net.", "adam.", "mario", "curves", "replay.generator")
"""What does not depend on the number of games."""


@pytest.mark.parametrize(("before", "after"), [(4, 8), (4, 1), (1, 3)])
@pytest.mark.parametrize("settings", [{}, {"priority_exponent": 0.5, "n_steps": 3, "average_updates": 20}])
def test_all_that_was_learned_goes_on_and_the_games_begin_anew(small, before: int, after: int, settings: dict) -> None:
    config = small(envs=before, steps=203, exploration_steps=1000, exploration_ladder=3.0, sticky=0.2, **settings)
    first = fake_trainer(config, run="games")
    run_to_end(first)
    saved = first.last_checkpoint
    assert saved is not None

    trainer = fake_trainer(resume_config(saved, {"envs": after, "steps": 400}), resume=saved)
    was, now = ({k: v for k, v in full_state(one).items() if k.startswith(KEPT)} for one in (first, trainer))
    assert differences(was, now) == []
    assert trainer.ticks.learn_due == first.ticks.learn_due, "the steps of the last tick are learned from once"
    assert trainer.logger.episode == first.logger.episode > 0
    lost = 5 * (before + after) + 3 * after  # at the cuts, and what has no n steps behind it yet
    assert trainer.agent.memory.transitions >= first.agent.memory.transitions - lost
    exponents = trainer.agent._exponents.tolist()
    assert exponents == ([1.0] if after == 1 else [1 + 3.0 * actor / (after - 1) for actor in range(after)])

    events = run_to_end(trainer)
    told = [event.text for event in events if isinstance(event, Warned)]
    assert told == [line for line in told if f"goes on with {after}: these begin anew" in line]
    assert len(told) == 1
    assert told[0] in (trainer.run_dir / "log").read_text()
    records = [event.record for event in events if isinstance(event, EpisodeEnded)]
    assert records[0].episode == first.logger.episode
    assert records[0].length <= (400 - 203) // after + after, "no episode began before the resume"
    learned = [(one.step - one.ticks.learn_due) // 4 for one in (first, trainer)]
    assert trainer.agent.updates - first.agent.updates == learned[1] - learned[0], "one for every four steps, as before"


def test_it_can_be_saved_before_the_other_games_took_a_step(small) -> None:
    """And resumed again: more steps are to be learned from than there are games now."""
    first = fake_trainer(small(envs=4, steps=40), run="games")
    run_to_end(first)
    assert first.last_checkpoint is not None
    assert first.ticks.learn_due == 2, "of the group that took its step last"
    fewer = fake_trainer(resume_config(first.last_checkpoint, {"envs": 1, "steps": 60}), resume=first.last_checkpoint)
    saved = fewer.save()
    fewer.close()
    again = fake_trainer(resume_config(saved), resume=saved)
    assert again.ticks.learn_due == 2
    run_to_end(again)
    assert again.step >= 60


def test_the_random_state_of_the_games_goes_on(small) -> None:
    """With sticky actions from their seed again, the same chances would come twice."""
    from mario_tui.training.restore import open_trainer

    first = open_trainer(small(envs=2, steps=40, sticky=0.5, noops=20, max_episode_steps=10), run="chances")
    run_to_end(first)
    saved = first.last_checkpoint
    assert saved is not None
    before = json.loads((saved / "trainer.json").read_text())["games"]
    trainer = open_trainer(resume_config(saved, {"envs": 3, "steps": 60}), resume=saved)
    collector = trainer.collector
    collector.start()
    now = collector.state_dict()
    assert now is not None
    assert [group["rng"] for group in now["groups"]] == [group["rng"] for group in before["groups"]]
    assert [group["frame_logs"] for group in now["groups"]] == [[[], []], [[]]]
    assert collector.observations.shape == (3, 4, 84, 84)
    assert collector.observations.any(), "each game's first frame, as often as the stack is deep"
    assert torch.equal(collector.observations[:, 0], collector.observations[:, -1])
    trainer.close()


def test_a_checkpoint_without_a_replay_or_a_step_goes_on_too(small) -> None:
    first = fake_trainer(small(envs=4, steps=100), run="early")
    path = first.save()  # before the first step
    first.close()
    trainer = fake_trainer(resume_config(path, {"envs": 6, "steps": 120}), resume=path)
    run_to_end(trainer)
    assert trainer.step >= 120
    assert trainer.agent.updates > 0
    newest = lookup.step_folders(trainer.run_dir)[-1]
    assert json.loads((newest / "manifest.json").read_text())["config"]["envs"] == 6


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"stage": "1-2"}, "'mario-tui train --init-from kept --stage 1-2'"),
        ({"seed": 5}, "'mario-tui train --init-from kept --seed 5'"),
        ({"n_steps": 5}, "'mario-tui train --init-from kept --n-steps 5'"),
        ({"network": "nature"}, "its weights fit no other: start a new run for that, without --resume"),
        ({"dueling": True}, "its weights fit no other: start a new run for that, without --resume"),
        ({"average_updates": 50}, "its weights fit no other: start a new run for that, without --resume"),
        ({"init_from": "other"}, "leave out --init-from, or --resume"),
    ],
)
def test_what_cannot_change_says_where_to_go(small, change: dict, says: str) -> None:
    trainer = fake_trainer(small(steps=20), run="kept")
    run_to_end(trainer)
    assert trainer.last_checkpoint is not None
    with pytest.raises(InputError) as refused:
        resume_config(trainer.last_checkpoint, change)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
