"""What fixes an agent's network and input is one list."""

import subprocess
import sys
from typing import Any

import pytest

from mario_tui.agent.spec import TUTORIAL, AgentSpec
from mario_tui.config import TrainingConfig, fixed_settings
from mario_tui.errors import InputError

CHANGED: dict[str, Any] = {
    "action_set": "simple", "frame_skip": 2, "frame_stack": 3, "network": "small", "dueling": True, "centered": True,
    "average_updates": 20, "show_buttons": True, "layer_norm": True, "value_bins": 51,
}  # fmt: skip
RANGE = {"value_min": -2.0, "value_max": 9.0}


def test_a_spec_says_what_the_settings_say() -> None:
    spec = AgentSpec.from_config(TrainingConfig(**CHANGED, **RANGE))
    assert (spec.layer_norm, spec.value_bins, spec.value_min, spec.value_max) == (True, 51, -2, 9)
    assert (spec.actions, spec.frame_stack) == (7, 3)
    assert (spec.head, spec.averaged) == ("dueling", True)
    assert (TUTORIAL.actions, TUTORIAL.frame_stack, TUTORIAL.head) == (2, 4, "plain")


@pytest.mark.parametrize("name", CHANGED)
def test_each_of_its_settings_makes_another_agent_and_cannot_change_on_resume(name: str) -> None:
    config = TrainingConfig(**{name: CHANGED[name]})
    assert AgentSpec.from_config(config) != TUTORIAL
    assert TUTORIAL.settings_to_change(config) == {name: getattr(TrainingConfig(), name)}
    assert TUTORIAL.settings_to_change(TrainingConfig()) == {}
    assert name in fixed_settings()


@pytest.mark.parametrize("name", RANGE)
def test_the_range_of_histograms_makes_another_agent_where_there_are_any(name: str) -> None:
    change: dict[str, Any] = {name: RANGE[name]}
    assert AgentSpec.from_config(TrainingConfig(**change)) == TUTORIAL
    spec = AgentSpec.from_config(TrainingConfig(value_bins=51, **change))
    assert spec.settings_to_change(TrainingConfig(value_bins=51)) == change
    assert spec.settings_to_change(TrainingConfig()) == {"value_bins": 51, **change}
    assert TUTORIAL.settings_to_change(TrainingConfig(value_bins=51, **change)) == {
        "value_bins": 0,
        name: getattr(TrainingConfig(), name),
    }
    assert name in fixed_settings()


def test_a_spec_of_before_there_were_histograms_is_one_without() -> None:
    known = {"layer_norm", "value_bins", "value_min", "value_max"}
    assert AgentSpec.parse(TUTORIAL.model_dump(exclude=known)) == TUTORIAL


def test_a_head_that_no_setting_chooses_is_said() -> None:
    spec = TUTORIAL.model_copy(update={"head": "quantile"})
    with pytest.raises(InputError, match="no setting chooses the head 'quantile'"):
        spec.settings_to_change(TrainingConfig())


def test_every_field_comes_from_a_setting_or_is_the_programs() -> None:
    changed = AgentSpec.from_config(TrainingConfig(**CHANGED, **RANGE)).model_dump()
    same = [name for name, value in TUTORIAL.model_dump().items() if changed[name] == value]
    assert same == ["preprocessing"]


def test_a_stored_spec_is_read_back() -> None:
    spec = AgentSpec.from_config(TrainingConfig(**CHANGED))
    assert AgentSpec.parse(spec.model_dump()) == spec


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        {},
        {**TUTORIAL.model_dump(), "frame_stack": 4.0},
        {**TUTORIAL.model_dump(), "value_bins": 10**9},
        {**TUTORIAL.model_dump(), "value_bins": 51, "value_min": 5.0},
        {**TUTORIAL.model_dump(), "value_bins": 51, "value_max": float("nan")},
    ],
)
def test_what_is_no_spec_is_one_line(stored: object) -> None:
    with pytest.raises(ValueError, match=r"agent|value") as caught:
        AgentSpec.parse(stored)
    assert "\n" not in str(caught.value)


def test_it_needs_no_torch() -> None:
    code = "import sys, mario_tui.agent.spec, mario_tui.training.sizes; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_newer_version_has_added_is_said_in_our_own_words() -> None:
    with pytest.raises(ValueError, match=r"^it has 'noisy', which a newer mario-tui has added: update this one$"):
        AgentSpec.parse({**TUTORIAL.model_dump(), "noisy": True})
