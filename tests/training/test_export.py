"""A checkpoint's greedy network, copied into a run of its own."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fake_collector import fake_trainer
from mario_tui import paths
from mario_tui.agent.policy import load_policy
from mario_tui.errors import CheckpointError, InputError
from mario_tui.store import catalog, checkpoint, evaluations, lookup
from mario_tui.training.export import export_policy
from mario_tui.training.resume import resume_config
from runs import run_to_end


@pytest.fixture
def saved(small) -> Path:
    """A checkpoint whose greedy network is not its online one."""
    run_to_end(
        fake_trainer(
            small(network="small", dueling=True, centered=True, show_buttons=True, average_updates=50, steps=150),
            run="a",
        )
    )
    return lookup.step_folders(paths.run_dir("a"))[-1]


def test_an_exported_agent_plays_as_its_checkpoint_does_and_is_small(saved: Path) -> None:
    evaluations.record(saved, greedy_clear=True, greedy_x=3161)
    exported = export_policy(saved, "shared")
    assert exported == paths.run_dir("shared") / saved.name
    before, after = load_policy(saved), load_policy(exported)
    stack = torch.randint(0, 256, (4, 84, 84), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert before.net.average is not None
    assert before.q_values(stack) == after.q_values(stack)
    assert before.q_values(stack) != tuple(before.net(stack.unsqueeze(0), model="online")[0].tolist())
    assert after.spec == before.spec.model_copy(update={"averaged": False})
    assert (after.spec.head, after.spec.centered, after.spec.show_buttons) == ("dueling", True, True)
    assert after.step == before.step
    assert sorted(checkpoint.verify(exported).parts) == ["agent.safetensors"]
    weights = load_file(exported / "agent.safetensors")
    assert all(name.startswith("online.") for name in weights)
    assert (paths.run_dir("shared") / "metrics.csv").read_bytes() == (saved.parent / "metrics.csv").read_bytes()
    (info,) = [info for info in catalog.scan().checkpoints if info.run == "shared"]
    assert info.greedy_clear is True


def test_half_the_size_plays_nearly_the_same_and_is_not_measured(saved: Path) -> None:
    evaluations.record(saved, greedy_clear=True, greedy_x=3161)
    whole, half = export_policy(saved, "whole"), export_policy(saved, "half", half=True)
    sizes = [(folder / "agent.safetensors").stat().st_size for folder in (whole, half)]
    assert sizes[1] < 0.52 * sizes[0]
    stack = torch.randint(0, 256, (4, 84, 84), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    exact, rounded = (load_policy(folder).q_values(stack) for folder in (whole, half))
    assert rounded != exact
    assert rounded == pytest.approx(exact, abs=0.01)
    (info,) = [info for info in catalog.scan().checkpoints if info.run == "half"]
    assert info.greedy_clear is None


def test_weights_too_large_for_16_bits_are_not_exported_in_them(saved: Path) -> None:
    policy = load_policy(saved)
    assert policy.net.average is not None
    with torch.no_grad():
        next(iter(policy.net.average.parameters())).fill_(1e6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mario_tui.training.export.load_policy", lambda path: policy)
        with pytest.raises(InputError, match="too large for 16 bits"):
            export_policy(saved, "half", half=True)
    assert not paths.run_dir("half").exists()


def test_an_exported_agent_cannot_be_trained_on(saved: Path) -> None:
    exported = export_policy(saved, "shared")
    with pytest.raises(CheckpointError, match="exported to play only"):
        fake_trainer(resume_config(exported), resume=exported)


def test_an_export_never_goes_into_a_run_that_exists(saved: Path) -> None:
    with pytest.raises(InputError, match="a run named 'a' exists"):
        export_policy(saved, "a")
