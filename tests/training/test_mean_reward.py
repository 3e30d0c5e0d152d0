"""The mean reward that the lists of checkpoints show, also of checkpoints that were saved without it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_fleet import FakeFleet
from mario_tui import paths
from mario_tui.store import catalog, checkpoint, evaluations, lookup
from mario_tui.store.catalog import CheckpointInfo
from mario_tui.store.history import read_metrics, with_mean_rewards
from mario_tui.store.manifest import read_manifest
from mario_tui.system import files
from mario_tui.training import trainer as trainer_module
from mario_tui.training.metrics import MetricLogger
from mario_tui.training.trainer import Trainer
from mario_tui.tui.services import Services
from runs import run_to_end


def change_manifest(folder: Path, **changes: Any) -> None:
    manifest = read_manifest(folder) | changes
    (folder / "manifest.json").write_text(json.dumps(manifest))


def listed() -> dict[int, float | None]:
    """Step -> mean reward, as the app and the command line list them."""
    infos = with_mean_rewards(catalog.list_checkpoints())
    in_runs = [info for run in Services().list_runs() for info in run.checkpoints]
    assert {info.path: info for info in infos} == {info.path: info for info in in_runs}
    return {info.step: info.mean_reward for info in infos}


def test_a_training_notes_it_and_metrics_csv_says_the_same(small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "VectorEnv", FakeFleet)
    run_to_end(Trainer(small(network="small", steps=300, save_every=10, seed=1), run="a"))
    records = read_metrics(paths.run_dir("a") / "metrics.csv")
    noted = {info.step: info.mean_reward for info in catalog.list_checkpoints()}
    expected = {
        step: pytest.approx(np.mean([record.reward for record in records if record.step <= step]), abs=1e-3)
        for step in noted
        if step >= records[0].step
    }
    assert len(set(noted.values())) > 3
    assert noted == {step: expected.get(step) for step in noted}
    assert None in noted.values(), "before the first episode ended"
    assert listed() == noted
    for folder in lookup.step_folders(paths.run_dir("a")):
        change_manifest(folder, mean_reward=None)
    assert {info.mean_reward for info in catalog.list_checkpoints()} == {None}
    assert listed() == noted


@pytest.fixture
def old(home: Path) -> Path:
    """A checkpoint after 150 of 160 episodes, whose rewards are 0, 1, 2, ..., from before manifests had the mean."""
    run = paths.run_dir("old")
    run.mkdir(parents=True)
    (run / "config.toml").touch()
    logger = MetricLogger(run, "1-1", 1)
    for episode in range(160):
        logger.log_step(np.array([float(episode)]), np.array([True]))
        logger.log_episode(0, step=10 * (episode + 1), epsilon=1.0, max_x=40, end="death", seconds=1.0)
    header = {"stage": "1-1", "action_set": "tutorial", "episodes": 150}
    return checkpoint.write(run, 1509, {"agent.bin": lambda path: path.write_bytes(b"weights")}, header)


def test_of_an_older_checkpoint_it_is_read_from_metrics_csv(old: Path) -> None:
    assert listed() == {1509: np.mean(range(50, 150))}


def test_a_renamed_run_has_it_too(old: Path) -> None:
    old.parent.rename(old.parent.with_name("renamed"))
    assert listed() == {1509: np.mean(range(50, 150))}


@pytest.mark.parametrize("episodes", [149, 151, 0, None, "150", -1, 1e300])
def test_where_the_file_has_other_episodes_it_stays_unknown(old: Path, episodes: Any) -> None:
    change_manifest(old, episodes=episodes)
    assert listed() == {1509: None}


@pytest.mark.parametrize(
    "content",
    [None, b"", b"\0\xff\xfe", b"step,reward\r\n", b"episode\r\n1\r\n", b"step,reward\r\nnan,nan\r\n1,1e999\r\n"],
)
def test_a_file_that_cannot_be_read_is_no_obstacle(old: Path, content: bytes | None) -> None:
    metrics = old.parent / "metrics.csv"
    metrics.unlink()
    if content is not None:
        metrics.write_bytes(content)
    assert listed() == {1509: None}


def test_a_file_that_grew_is_read_again(old: Path) -> None:
    assert listed() == {1509: np.mean(range(50, 150))}
    metrics = old.parent / "metrics.csv"
    lines = metrics.read_text().splitlines()
    files.write_atomically(metrics, "\n".join([*lines[:151], *lines[155:]]))
    change_manifest(old, episodes=155, step=1600)
    assert listed() == {1600: None}, "156 had ended"
    change_manifest(old, episodes=156, step=1600)
    assert listed()[1600] == np.mean([*range(56, 150), *range(154, 160)])


@pytest.mark.parametrize("value", ["1000", True, [], {}, float("nan"), float("inf"), 10**400, 1e300])
def test_a_value_of_the_wrong_kind_counts_as_none(old: Path, value: Any) -> None:
    change_manifest(old, mean_reward=value, episodes=value)
    (old.parent / "evaluations.json").write_text(
        json.dumps({
            old.name: {
                "greedy_clear": "yes", "greedy_x": value, "robust_clear_rate": value,
                "robust_protocol": evaluations.ROBUST_PROTOCOL, "note": 5,
            }
        })
    )  # fmt: skip
    (info,) = with_mean_rewards(catalog.list_checkpoints())
    assert isinstance(info, CheckpointInfo)
    assert (info.greedy_clear, info.robust_clear_rate, info.mean_reward, info.note) == (None, None, None, "")
    evaluations.record(old, greedy_clear=True)
    assert (old.parent / "best").resolve() == old
