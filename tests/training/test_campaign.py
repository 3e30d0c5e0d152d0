"""A campaign of several stages: its order, what each training is begun with, and that it goes on after anything."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mario_tui.config import TrainingConfig
from mario_tui.errors import InputError
from mario_tui.game.stages import STAGES
from mario_tui.presets import preset
from mario_tui.stage_settings import KINDS, kind_of, stage_settings
from mario_tui.store.run import locked
from mario_tui.training import campaign
from mario_tui.training.campaign import Campaign, StageRun, in_order, parse_stages
from mario_tui.training.restore import open_trainer
from mario_tui.training.run_folder import BEING_TRAINED
from runs import run_to_end


def test_every_stage_is_of_one_kind_and_its_settings_are_settings() -> None:
    assert sorted(stage for stages in KINDS.values() for stage in stages) == sorted(STAGES)
    for stage in STAGES:
        settings = stage_settings(stage)
        preset("fast").replace(stage=stage, **settings)  # raises for one that is none
        assert settings.get("reward") == (None if stage == "1-1" else "frontier")
        assert kind_of(stage) in KINDS
    assert preset("fast").replace(**stage_settings("2-2")).action_set == "right_only"


def test_stages_are_taken_kind_by_kind() -> None:
    assert in_order(["1-2", "8-1", "1-1", "4-2", "1-1"]) == ["1-1", "8-1", "1-2", "4-2"]
    assert parse_stages("all") == list(STAGES)
    assert parse_stages("1-2, 1-1") == ["1-2", "1-1"]
    with pytest.raises(InputError, match="1-1 to 8-4"):
        parse_stages("1-2,9-1")


def arguments(plan: Campaign, stage: str) -> list[str]:
    (run,) = (run for run in plan.runs if run.stage == stage)
    return plan._arguments(run)


def value(given: list[str], flag: str) -> str:
    return given[given.index(flag) + 1]


def test_a_training_has_what_its_stage_needs(home: Path) -> None:
    plan = Campaign("c", ["2-2", "1-1"], budget=5_000, seed=3, given={"exploration_schedule": "0:1 20:0.1"})
    given = arguments(plan, "2-2")
    assert given[:5] == ["train", "--preset", "fast", "--name", "c_2-2"]
    assert (value(given, "--action-set"), value(given, "--stage"), value(given, "--seed")) == ("right_only", "2-2", "3")
    assert (value(given, "--steps"), value(given, "--exploration-schedule")) == ("5000", "0:1 20:0.1")
    assert "--until-clear" in given
    assert "--json" in given
    assert "--init-from" not in given
    assert "--action-set" not in arguments(plan, "1-1")


@pytest.fixture
def trained(small: Any, home: Path) -> Any:
    """A run that somebody trained, and measured to clear its stage; the name of its checkpoint."""

    def train(stage: str, **settings: Any) -> str:
        trainer = open_trainer(small(stage=stage, steps=20, burn_in=5, **settings), run=f"of-{stage}")
        run_to_end(trainer)
        (folder,) = trainer.run_dir.glob("step-*")
        (trainer.run_dir / "evaluations.json").write_text(json.dumps({folder.name: {"greedy_clear": True}}))
        return f"of-{stage}"

    return train


def test_weights_are_handed_on_within_a_kind_where_they_fit(trained: Any, small: Any, home: Path) -> None:
    needs = {**stage_settings("2-1"), "network": "small"}
    source = trained("2-1", **needs)
    tutorial = small().model_dump()
    fitting = {name: tutorial[name] for name in ("centered", "show_buttons", "value_bins", "layer_norm")}
    given = {**fitting, "network": "small", "average_updates": 0, "action_set": needs["action_set"]}
    plan = Campaign("c", ["3-1", "1-2"], given=given)
    assert value(arguments(plan, "3-1"), "--init-from").startswith(source)
    assert plan.runs[0].begins_with.startswith(source)
    with_average = Campaign("c", ["3-1"], given={**given, "average_updates": 100})
    assert "--init-from" in arguments(with_average, "3-1"), "from an agent without an average, as each export is"
    assert "--init-from" not in arguments(plan, "1-2"), "another kind"
    assert "--init-from" not in arguments(Campaign("c", ["3-1"], given=given, warm=False), "3-1")
    assert "--init-from" not in arguments(Campaign("c", ["3-1"], given={**given, "action_set": "run"}), "3-1")


def test_how_far_it_is_stands_on_the_disk(small: Any, home: Path) -> None:
    run_to_end(open_trainer(small(stage="1-2", steps=40, burn_in=5), run="c_1-2"))
    (run,) = Campaign("c", ["1-2"], budget=40).runs
    assert (run.state, run.step) == ("at its budget", 40)
    plan = Campaign("c", ["1-2", "1-1"], budget=100)
    assert {one.stage: one.state for one in plan.runs} == {"1-1": "waiting", "1-2": "waiting"}
    assert plan.left == 160
    assert plan.seconds_left is None
    assert arguments(plan, "1-2") == ["train", "--resume", "c_1-2", "--steps", "100", "--json"]
    (manifest,) = (home / "checkpoints" / "c_1-2").glob("step-*/manifest.json")
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "greedy_clear": True}))
    (run,) = Campaign("c", ["1-2"], budget=100).runs
    assert run.state == "cleared"


def test_what_trainings_say_is_kept(home: Path) -> None:
    plan = Campaign("c", ["1-1"], budget=1_000)
    (run,) = plan.runs
    run.state = "training"
    say = lambda **event: plan._take(run, json.dumps(event).encode())  # noqa: E731
    assert say(event="episode", step=100, seconds=10.0)
    assert say(event="episode", step=300, seconds=14.0)
    assert (run.step, run.seconds, run.steps_per_second) == (300, 14.0, 50.0)
    assert plan.seconds_left == 14.0
    assert say(event="measured", step=301, greedy={"best_progress": 0.9})
    assert run.best_progress == 0.9
    assert not plan._take(run, b"mario-tui: no GPU here\n")
    assert say(event="finished", steps=310, first_greedy_clear={"step": 305})
    plan._take(run, b"")
    assert (run.state, run.step) == ("cleared", 310)


@pytest.mark.parametrize(
    ("code", "step", "state", "problem"),
    [(0, 1_000, "at its budget", ""), (2, 5, "failed", "no room"), (0, 500, "failed", "the same campaign goes on")],
)
def test_how_a_training_ends(home: Path, code: int, step: int, state: str, problem: str) -> None:
    plan = Campaign("c", ["1-1"], budget=1_000)
    (run,) = plan.runs
    run.state, run.step = "training", step
    if code:
        plan._take(run, b"mario-tui: no room\n")
    end(plan, run, code)
    assert run.state == state
    assert problem in run.problem


def end(plan: Campaign, run: StageRun, code: int) -> None:
    run.process = subprocess.Popen([sys.executable, "-c", f"raise SystemExit({code})"])
    run.process.wait()
    plan._take(run, b"")


def test_what_is_saved_counts_more_than_how_a_training_ended(small: Any, home: Path) -> None:
    plan = Campaign("c", ["1-1"], budget=40)
    (run,) = plan.runs
    run_to_end(open_trainer(small(stage="1-1", steps=40, burn_in=5), run="c_1-1"))
    run.state = "training"
    plan._take(run, b"terminate called without an active exception\n")
    end(plan, run, 134)
    assert (run.state, run.step, run.problem) == ("at its budget", 40, "")


def test_a_run_that_a_killed_campaign_still_trains_is_waited_for(
    small: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its training began before that of this campaign had loaded, and ends a while later."""
    monkeypatch.setattr(campaign, "start_module", lambda *_, **__: _Done())
    plan = Campaign("c", ["1-1"], budget=40)
    (run,) = plan.runs
    run.state = "training"
    with locked(home / "checkpoints" / "c_1-1"):
        end(plan, run, 2)
        assert run.state == "waiting"
        assert "another process trains it" in run.problem
        assert not list(plan._start_what_can()), "it was said, and is not begun"
        assert run.state == "waiting"
    assert list(plan._start_what_can()) == [run]
    assert (run.state, run.problem) == ("training", "")
    plan._take(run, f"mario-tui: the run 'c_1-1' {BEING_TRAINED}: stop that one first\n".encode())
    end(plan, run, 2)
    assert run.state == "waiting", "also where that has ended by now"


def start(*more: str, home: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "mario_tui", "campaign", "--stages", "1-2,1-1,2-2", "--steps", "240", "--json"]
    environment = {**os.environ, "MARIO_TUI_HOME": str(home), "MARIO_TUI_AUTOTUNE": "0"}
    return subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.slow
def test_three_stages_killed_in_the_middle_and_taken_up_again(home: Path) -> None:
    """The real game, with as few steps as show that each stage is trained once and to its end."""
    with start(home=home) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if (event["stage"], event["state"], event["step"] > 0) == ("1-2", "training", False):
                os.kill(process.pid, signal.SIGKILL)
                break
    first = {run.stage: (run.state, run.step) for run in Campaign("campaign", ["1-1", "1-2", "2-2"], budget=240).runs}
    assert first["1-1"][0] == "at its budget"
    assert first["2-2"] == ("waiting", 0)
    with start(home=home) as process:
        told = [json.loads(line) for line in process.communicate(timeout=280)[0].splitlines()]
    assert not (failed := [one for one in told if one.get("state") == "failed"]), json.dumps(failed)
    assert told[-1] == {"event": "finished", "cleared": 0, "stages": 3}
    assert process.returncode == 0
    assert [one["stage"] for one in told if one.get("state") == "training"] != []
    assert not any(one.get("stage") == "1-1" and one["state"] == "training" for one in told)
    after = {run.stage: run.state for run in Campaign("campaign", ["1-1", "1-2", "2-2"], budget=240).runs}
    assert set(after.values()) == {"at its budget"}
    configs = {stage: TrainingConfig(**_config(home, stage)) for stage in after}
    assert {stage: config.action_set for stage, config in configs.items()} == {
        "1-1": "run", "1-2": "run3", "2-2": "right_only"
    }  # fmt: skip


def _config(home: Path, stage: str) -> dict[str, Any]:
    manifest = max((home / "checkpoints" / f"campaign_{stage}").glob("step-*/manifest.json"))
    return json.loads(manifest.read_text())["config"]


def test_a_run_that_never_saved_makes_way(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[StageRun] = []
    monkeypatch.setattr(campaign, "start_module", lambda *_, **__: started.append(_) or _Done())
    (home / "checkpoints" / "c_1-1").mkdir(parents=True)
    plan = Campaign("c", ["1-1"], budget=100)
    plan._start(plan.runs[0])
    assert started
    assert not (home / "checkpoints" / "c_1-1").exists()
    assert list((home / "checkpoints" / ".trash").iterdir())


class _Done:
    """A process that said nothing, and ended."""

    stdout: list[bytes] = []
    returncode = 0

    def wait(self, timeout: float = 0) -> int:
        return 0
