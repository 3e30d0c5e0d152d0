"""A new run that begins with the weights of another agent."""

from pathlib import Path
from typing import Any

import pytest
import torch

from fake_collector import fake_trainer
from mario_tui import paths
from mario_tui.agent.network import MarioNet
from mario_tui.agent.policy import load_policy
from mario_tui.agent.spec import TUTORIAL
from mario_tui.config import load_toml
from mario_tui.errors import CheckpointError, InputError
from mario_tui.presets import preset
from mario_tui.store.manifest import read_manifest
from mario_tui.training.export import export_policy
from mario_tui.training.initial_weights import initial_config
from mario_tui.training.trainer import Trainer
from runs import SMALL, run_to_end

FAST: dict[str, Any] = {**SMALL, "average_updates": 20, "exploration_steps": 300, "eval_every": 0}


@pytest.fixture
def trained(home: Path) -> Path:
    """A checkpoint of preset fast, whose online, target and averaged networks are three."""
    trainer = fake_trainer(preset("fast").replace(**FAST, steps=130), run="first")
    run_to_end(trainer)
    assert trainer.last_checkpoint is not None
    weights = trainer.agent.net.state_dict()
    assert len({weights[f"{name}.0.weight"].sum().item() for name in ("online", "target", "average")}) == 3
    return trainer.last_checkpoint


def begin(source: str, *, base: str = "fast", given: dict[str, Any] | None = None, run: str = "second") -> Trainer:
    """As the command line does it: flags over a preset."""
    flags = {**SMALL, "exploration_steps": 300, "eval_every": 0, **(given or {}), "init_from": source}
    del flags["network"]
    config = initial_config(preset(base).replace(**flags), flags.keys())
    return fake_trainer(config, run=run)


def test_all_three_networks_begin_as_they_were_and_all_else_anew(trained: Path) -> None:
    trainer = begin("first", given={"stage": "1-2", "seed": 7})
    weights, theirs = trainer.agent.net.state_dict(), load_policy(trained).net.state_dict()
    assert all(torch.equal(weights[name], theirs[name]) for name in theirs)
    assert weights.keys() == theirs.keys()
    agent = trainer.agent
    assert (trainer.step, agent.updates, trainer.epsilon, trainer.ticks.learn_due) == (0, 0, 1.0, 0)
    assert agent.optimizer.moments() == []
    assert (agent.memory.tick, trainer.logger.episode, trainer.config.stage) == (0, 0, "1-2")
    run_to_end_at(trainer, 80)
    assert trainer.run_dir == paths.run_dir("second")
    assert trainer.last_checkpoint is not None
    source = f"first/{trained.name}"
    assert load_toml(trainer.run_dir / "config.toml")["init_from"] == source
    assert read_manifest(trainer.last_checkpoint).config["init_from"] == source
    assert f"begins with the weights of {source}" in (trainer.run_dir / "log").read_text()
    assert not torch.equal(agent.net.state_dict()["online.0.weight"], theirs["online.0.weight"]), "it learns"


def run_to_end_at(trainer: Trainer, step: int) -> None:
    trainer.run_folder.config = trainer.config.replace(steps=step)
    run_to_end(trainer)


def test_the_average_keeps_what_was_learned_before(trained: Path) -> None:
    """In a run from random weights it would be of the first ten updates alone after these.

    It takes ten steps of six games before the first update: a return has so many steps.
    """
    trainer = begin("first", given={"average_updates": 1000})
    before = load_policy(trained).net.state_dict()["average.0.weight"]
    run_to_end_at(trainer, 110)
    assert 10 <= trainer.agent.updates < 20
    now = trainer.agent.net.state_dict()
    assert not torch.equal(now["average.0.weight"], before)
    online = (now["online.0.weight"] - before).abs().sum()
    assert (now["average.0.weight"] - before).abs().sum() < 0.05 * online


def test_what_fixes_the_network_comes_from_there(trained: Path) -> None:
    trainer = begin("first", base="tutorial")
    config = trainer.config
    assert (config.network, config.action_set, config.centered, config.show_buttons) == ("small", "run", True, True)
    assert config.average_updates == 20, "as there is an average"
    assert (config.gamma, config.reward_scale) == (0.9, 1.0), "all else is the preset's"
    assert ["divided by 150" in note for note in trainer.resume_notes] == [True]
    trainer.close()


@pytest.mark.parametrize(
    "given", [{"action_set": "simple"}, {"frame_stack": 2}, {"dueling": True}, {"centered": False}]
)
def test_a_setting_that_fits_no_network_with_these_weights_is_one_line(trained: Path, given: dict) -> None:
    with pytest.raises(InputError, match=rf"^{next(iter(given))} = .* does not fit the weights of first") as refused:
        begin("first", given=given)
    assert "\n" not in str(refused.value)
    assert not paths.run_dir("second").exists()


def test_a_setting_that_says_the_same_is_no_contradiction(trained: Path) -> None:
    begin("first", given={"action_set": "run", "centered": True}).close()


def test_an_agent_of_another_network_is_refused_where_nobody_asked_before(trained: Path) -> None:
    with pytest.raises(InputError, match="add --network small"):
        fake_trainer(preset("fast").replace(init_from="first", network="nature"), run="second")
    assert not paths.run_dir("second").exists()


def test_an_exported_agent_has_no_average_and_gets_one(trained: Path) -> None:
    exported = export_policy(trained, "shared")
    trainer = begin("shared")
    weights, theirs = trainer.agent.net.state_dict(), load_policy(exported).net.state_dict()
    assert trainer.config.average_updates == preset("fast").average_updates
    for name in ("online", "target", "average"):
        assert torch.equal(weights[f"{name}.0.weight"], theirs["online.0.weight"])
    trainer.close()


def test_a_tutorial_checkpoint_begins_with_an_epsilon_of_this_run(home: Path) -> None:
    path = home / "mario_net_3.chkpt"
    torch.save({"model": MarioNet(TUTORIAL).state_dict(), "exploration_rate": 0.3}, path)
    trainer = begin(str(path), given={"frame_skip": 3})
    config = trainer.config
    assert (config.network, config.action_set, config.show_buttons) == ("nature", "tutorial", False)
    assert config.frame_skip == 3, "the file does not say which one it was trained with"
    assert trainer.epsilon == 1.0
    assert config.init_from == str(path)
    theirs = load_policy(path).net.state_dict()
    weights = trainer.agent.net.state_dict()
    assert all(torch.equal(weights[name], theirs[name]) for name in theirs)
    trainer.close()


def test_a_run_with_low_precision_learns_with_the_weights_too(trained: Path) -> None:
    trainer = begin("first", given={"precision": "bfloat16"})
    theirs = load_policy(trained).net.state_dict()["online.0.weight"]
    learning = trainer.agent.learning_net.state_dict()["online.0.weight"]
    assert torch.equal(learning, theirs.to(torch.bfloat16))
    trainer.close()


@pytest.mark.parametrize("source", ["nowhere", "first/step-999999999", "../.."])
def test_what_is_no_checkpoint_is_one_line(trained: Path, source: str) -> None:
    with pytest.raises(CheckpointError):
        begin(source)
    assert not paths.run_dir("second").exists()


def test_a_damaged_checkpoint_leaves_no_run_behind(trained: Path) -> None:
    part = trained / "agent.safetensors"
    content = bytearray(part.read_bytes())
    content[-5] ^= 1
    part.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"agent\.safetensors"):
        begin("first")
    assert not paths.run_dir("second").exists()


def test_such_a_run_is_resumed_like_any_other(trained: Path) -> None:
    from mario_tui.training.resume import resume_config

    trainer = begin("first")
    run_to_end_at(trainer, 40)
    saved = trainer.last_checkpoint
    assert saved is not None
    weights = trainer.agent.net.state_dict()
    (trained / "agent.safetensors").unlink()  # it is not read again
    again = fake_trainer(resume_config(saved, {"steps": 60}), resume=saved)
    assert again.step == trainer.step >= 40
    assert all(torch.equal(value, weights[name]) for name, value in again.agent.net.state_dict().items())
    again.close()
