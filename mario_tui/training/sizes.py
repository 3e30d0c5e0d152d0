"""How much memory and disk a training will take: an estimate from its settings alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mario_tui.agent.spec import AgentSpec
from mario_tui.config import TrainingConfig
from mario_tui.training.autotune import usual

REPLAY_BYTES = 7_100
"""What the replay buffer keeps of a transition in memory: one 84x84 frame and a few numbers, rounded up."""

SAVED_REPLAY_BYTES = 1_200
"""... and in a full checkpoint, where frames are compressed: of real episodes, by benchmarks/replay_file.py."""

_PARAMETERS = {"nature": 1_685_000, "small": 676_500}  # of one network without histograms; actions change little
_HIDDEN = {"nature": 512, "small": 256}
_BYTES = 4


@dataclass(frozen=True, slots=True)
class DiskNeed:
    """Bytes on the disk, roughly.

    Attributes:
        each: a checkpoint without its replay.
        replay: what the newest one, which has the replay, takes more once that is full.
        kept: how many there will be at the end; None for a training without a limit of steps.
    """

    each: int
    replay: int
    kept: int | None

    def __str__(self) -> str:
        return f"{self.each / 1e6:.0f} MB each, newest +{self.replay / 1e6:,.0f} MB"

    @property
    def total(self) -> int:
        """All of them, or the newest of an endless training; while one is written, the one before has its replay."""
        return self.each * (self.kept or 1) + self.replay * (1 if self.kept == 1 else 2)


def memory_need(config: TrainingConfig) -> int:
    """Bytes of memory that a training on this machine's processor comes to: replay, labelled states and snapshots."""
    return config.replay_size * REPLAY_BYTES + labelled_memory(config) + snapshot_memory(config)


def labelled_memory(config: TrainingConfig) -> int:
    """Bytes of the labelled states, see agent/labelled_states.py."""
    from mario_tui.grey_frames import FRAME_SHAPE

    return config.corrections_size * config.frame_stack * math.prod(FRAME_SHAPE) if config.corrections else 0


def snapshot_memory(config: TrainingConfig) -> int:
    """Bytes of the snapshots for practice at most: each process has some of its places, each game some of its way."""
    from mario_tui.game.starts import SNAPSHOT_BYTES, TRAIL

    if not config.practice_games or config.actors != "local":
        return 0
    setup = usual(config, on_gpu=False)
    return (setup.processes * config.practice_places + setup.games * TRAIL) * SNAPSHOT_BYTES


def disk_need(config: TrainingConfig) -> DiskNeed:
    """The size of a training's checkpoints; those of agents that are the best so far come on top."""
    spec = AgentSpec.from_config(config)
    # online, target, two moments of Adam; the averaged network, and what the games that measure play with
    copies = 4 + spec.averaged + config.measuring_games
    histograms = spec.actions * spec.value_bins * _HIDDEN[spec.network]
    kept = None
    if config.steps:
        saves = math.ceil(config.steps / config.save_every) if config.save_every else 1
        kept = saves if config.keep_every == 1 else min(saves, saves // config.keep_every + 2)
    return DiskNeed(
        each=copies * _BYTES * (_PARAMETERS[spec.network] + histograms),
        replay=config.replay_size * SAVED_REPLAY_BYTES,
        kept=kept,
    )
