"""What a checkpoint was made for: what differs is refused in plain words, what does no harm is told."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_collector import fake_trainer
from mario_tui.agent.policy import load_policy
from mario_tui.agent.spec import AgentSpec
from mario_tui.cli import main
from mario_tui.config import make_config
from mario_tui.errors import CheckpointError
from mario_tui.game.emulator import emulator_generation
from mario_tui.play.evaluation import Evaluation
from mario_tui.rewards import REWARD_VERSIONS
from mario_tui.store import checkpoint, lookup
from mario_tui.store.history import read_metrics
from mario_tui.store.manifest import read_manifest
from mario_tui.training.events import Warned
from mario_tui.training.resume import resume_config
from runs import run_to_end

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "world-1-1"


@pytest.fixture
def saved(small: Any) -> Path:
    trainer = fake_trainer(small(steps=40, network="small"), run="made")
    run_to_end(trainer)
    (folder,) = lookup.step_folders(trainer.run_dir)
    return folder


def say(folder: Path, *, agent: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Changes a manifest, and what it says of the agent; None takes a key away."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["agent"] = {key: value for key, value in {**manifest["agent"], **(agent or {})}.items() if value != {}}
    manifest = {key: value for key, value in {**manifest, **changes}.items() if value is not None}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return manifest


def test_a_manifest_says_what_it_was_made_for(saved: Path) -> None:
    manifest = checkpoint.verify(saved)
    assert manifest.reward == REWARD_VERSIONS["tutorial"]
    assert manifest.versions["emulator"] == emulator_generation()
    assert AgentSpec.parse(manifest.agent) == AgentSpec.from_config(make_config(**manifest.config))
    assert manifest.stage == "1-1"


def test_a_manifest_says_the_mean_reward_of_the_last_episodes(small: Any) -> None:
    trainer = fake_trainer(small(network="small", steps=300, save_every=10, seed=1), run="means")
    run_to_end(trainer)
    records = read_metrics(trainer.run_dir / "metrics.csv")
    said = {
        manifest.step: manifest.mean_reward for manifest in map(read_manifest, lookup.step_folders(trainer.run_dir))
    }
    expected = {
        step: pytest.approx(np.mean([record.reward for record in records if record.step <= step]), abs=1e-3)
        for step in said
        if step >= records[0].step
    }
    assert len(set(said.values())) > 3
    assert said == {step: expected.get(step) for step in said}
    assert None in said.values(), "before the first episode ended"


@pytest.mark.parametrize(
    ("changes", "says", "plays"),
    [
        ({"agent": {"preprocessing": "colour, 96x96"}}, "preprocessing 'colour, 96x96'", False),
        ({"reward": "9.1"}, "reward '9.1'", True),
        ({"agent": {"action_set": "simple"}}, "action_set is 'simple'", False),
        ({"agent": {"action_set": "run"}}, "action_set is 'run'", True),
        ({"agent": {"frame_skip": 2}}, "frame_skip is 2", True),
        ({"agent": {"frame_skip": 17}}, "it takes a whole number, 1 to 16", False),
        ({"stage": "4-2"}, "stage is '4-2'", True),
        ({"agent": {"network": "nature"}}, "network is 'nature'", False),
        ({"agent": {"network": "huge"}}, "agent.network", False),
        ({"agent": {"head": "wide"}}, "head is 'wide'", False),
        ({"agent": {"head": {}}}, "agent.head", False),
        ({"agent": {"more": 1}}, "it has 'more', which a newer mario-tui has added", False),
        ({"step": 41}, "", True),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_differs_is_refused(saved: Path, changes: dict[str, Any], says: str, plays: bool) -> None:
    """To continue it is refused in all cases; to watch it, where the agent would see or press something else."""
    say(saved, **changes)
    with pytest.raises(CheckpointError) as caught:
        fake_trainer(resume_config(saved, {"steps": 50}), resume=saved)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    if plays:
        load_policy(saved)
    else:
        with pytest.raises(CheckpointError):
            load_policy(saved)


def test_another_emulator_or_pytorch_is_told_and_does_no_harm(saved: Path) -> None:
    emulator = "gym-super-mario-bros 6.0.0, nes-py 7.0.0"
    say(saved, versions={"emulator": emulator, "torch": "2.0.0+cpu"})
    trainer = fake_trainer(resume_config(saved, {"steps": 60}), resume=saved)
    told = [event.text for event in run_to_end(trainer) if isinstance(event, Warned)]
    assert told[0].startswith(f"saved with {emulator}, goes on with {emulator_generation()}: the game is the same")
    assert told[1].startswith("saved with PyTorch 2.0.0+cpu")
    log = (trainer.run_dir / "log").read_text()
    assert all(text in log for text in told)
    assert load_policy(saved).step >= 40


def test_another_emulator_is_told_to_who_evaluates_or_watches(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    emulator = "gym-super-mario-bros 6.0.0, nes-py 7.0.0"
    say(saved, versions={"emulator": f"\x1b{emulator}\n"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mario_tui.play.evaluation.evaluate", lambda *_, **__: Evaluation(()))
        assert main(["eval", str(saved)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{saved.name} was saved with ?{emulator}, goes on with {emulator_generation()}")
    say(saved, versions={"emulator": emulator_generation()})
    assert main(["watch", str(saved)]) == 2, "there is no terminal here"
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_versions_that_are_not_said_are_no_reason_to_warn(saved: Path) -> None:
    say(saved, versions=None)
    trainer = fake_trainer(resume_config(saved, {"steps": 60}), resume=saved)
    assert [event for event in run_to_end(trainer) if isinstance(event, Warned)] == []


def test_the_shipped_agent_loads(home: Path) -> None:
    shutil.copytree(SHIPPED, home / "checkpoints" / "world-1-1", symlinks=True)
    assert load_policy("world-1-1").spec.action_set == "run"
