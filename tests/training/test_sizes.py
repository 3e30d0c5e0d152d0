"""What a training is said to take of memory is what is allocated for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from mario_tui.agent.labelled_states import LabelledStates
from mario_tui.agent.replay import Replay
from mario_tui.config import TrainingConfig
from mario_tui.game.starts import SNAPSHOT_BYTES, TRAIL
from mario_tui.presets import preset
from mario_tui.system import processors
from mario_tui.training.sizes import REPLAY_BYTES, labelled_memory, memory_need, snapshot_memory


def test_labelled_states_take_what_is_said() -> None:
    config = TrainingConfig(corrections=0.25, corrections_size=50)
    labelled = LabelledStates(50, actions=5, depth=config.frame_stack)
    allocated = labelled._states.nbytes + labelled._safe.nbytes
    assert labelled_memory(config) == pytest.approx(allocated, rel=0.001)
    assert labelled.missing_bytes == labelled_memory(config)
    assert labelled_memory(config.replace(corrections=0.0)) == 0


def test_a_replay_takes_what_is_said() -> None:
    config = TrainingConfig(replay_size=1000)
    assert memory_need(config) == 1000 * REPLAY_BYTES
    assert memory_need(config) == pytest.approx(Replay(1000).missing_bytes, rel=0.02)


_RESIDENT = """
import os
from pathlib import Path
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import Episode

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

with open_emulator() as emulator:
    if emulator.has_snapshots():
        episode = Episode(emulator)
        kept = [episode.snapshot() for _ in range(50)]
        before = resident()
        kept += [episode.snapshot() for _ in range(200)]
        print((resident() - before) / 200)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not say it so")
def test_a_snapshot_takes_what_is_said() -> None:
    """In a process of its own, which has no memory to give them that others left."""
    said = subprocess.run([sys.executable, "-c", _RESIDENT], capture_output=True, text=True, check=True).stdout
    if not said:
        pytest.skip("this emulator has no snapshots")
    assert float(said) == pytest.approx(SNAPSHOT_BYTES, rel=0.15)


def test_the_preset_robust_counts_all_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "count", lambda: 5)
    config = preset("robust")
    places, games = 4 * config.practice_places, config.envs
    assert snapshot_memory(config) == (places + TRAIL * games) * SNAPSHOT_BYTES
    assert snapshot_memory(config.replace(practice_games=0)) == snapshot_memory(config.replace(actors="ray")) == 0
    assert memory_need(config) == 300_000 * REPLAY_BYTES + labelled_memory(config) + snapshot_memory(config)
