"""A learning rate or epsilon that follows a schedule is not changed by hand as long as the schedule is there."""

import pytest

from fake_collector import fake_trainer
from mario_tui.errors import InputError
from mario_tui.store import lookup
from mario_tui.training.pauses import adjust
from mario_tui.training.resume import resume_config
from runs import run_to_end


@pytest.fixture
def scheduled(small):
    config = small(steps=40, learning_rate_schedule="0:1e-3 100:1e-4", exploration_schedule="0:1 100:0.1")
    return fake_trainer(config, run="scheduled")


def test_while_it_runs(scheduled) -> None:
    for name in ("learning_rate", "exploration_rate"):
        with pytest.raises(InputError, match=f"^{name} follows a schedule in this run: resume it without that"):
            adjust(scheduled, name, lambda now: now / 2)
    run_to_end(scheduled)
    assert scheduled.epsilon == pytest.approx(0.1**0.4)


def test_when_it_goes_on(scheduled) -> None:
    run_to_end(scheduled)
    (folder,) = lookup.step_folders(scheduled.run_dir)
    with pytest.raises(InputError, match=r"^learning_rate follows learning_rate_schedule in this run: change that, or"):
        resume_config(folder, {"learning_rate": 1e-5})
    with pytest.raises(
        InputError, match=r"^exploration_rate_min follows .*, or end it with --exploration-schedule ''$"
    ):
        resume_config(folder, {"exploration_rate_min": 0.05})
    ended = resume_config(folder, {"learning_rate": 1e-5, "learning_rate_schedule": ""})
    assert (ended.at("learning_rate", 40), ended.exploration_schedule) == (1e-5, "0:1 100:0.1")
    assert resume_config(folder, {"learning_rate": 2.5e-4, "gamma": 0.8}).gamma == 0.8, "the same is no change"
    assert resume_config(folder, {"learning_rate_schedule": "0:1e-4"}).at("learning_rate", 40) == 1e-4
    with pytest.raises(InputError, match="learning_rate follows learning_rate_schedule"):
        resume_config(folder, {"learning_rate": 1e-5, "learning_rate_schedule": "0:1e-4"})
