"""What the user should know about a training before hours are lost: one line each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from mario_tui.config import TrainingConfig
from mario_tui.game.episode import EndReason
from mario_tui.game.stages import MAZES
from mario_tui.store.history import EpisodeRecord

STUCK_EPISODES = 50
STUCK_SHARE = 0.6
STUCK_PIXELS = 48
"""Stuck: more than this share of that many episodes ends within that many pixels."""

EXPLODED = 5.0
"""A loss that is this many times what it was before."""

SHORT_BYTES = 500e6
"""Free memory below which the system may begin to end programs."""

SPARE_DISK = 1.5
"""The disk is short when it has room for fewer than so many checkpoints."""


def warnings(
    config: TrainingConfig,
    recent: Sequence[EpisodeRecord],
    *,
    free_bytes: float | None = None,
    missing_bytes: float = 0.0,
    dropped_episodes: int = 0,
    skipped_updates: int = 0,
) -> Iterator[str]:
    """What is wrong, the most pressing first.

    Args:
        recent: the last 100 episodes, the newest last.
        free_bytes: of memory; None where it is not known.
        missing_bytes: what replay and labelled states will take besides, until they are full.
        dropped_episodes: lost with emulator processes that died or hung, since the start or resume.
        skipped_updates: skipped since then because loss or gradient were not finite.
    """
    if skipped_updates:
        yield f"{skipped_updates:,} updates were skipped, as they were not finite; a lower learning rate may help"
    if dropped_episodes:
        yield f"{dropped_episodes:,} episodes were dropped: their emulator died or hung, and was started again"
    if free_bytes is not None and free_bytes < SHORT_BYTES + missing_bytes:
        needs = f", and what it learns from takes {missing_bytes / 1e9:.1f} GB more" if missing_bytes >= 1e8 else ""
        yield f"memory is short: {free_bytes / 1e9:.1f} GB are free{needs}"
    if config.steps and config.steps <= config.burn_in:
        yield f"it ends at step {config.steps:,} and learns from step {config.burn_in:,} only: nothing will be learned"
    yield from _exploding(recent)
    yield from _stuck(recent)
    yield from _led_back(recent)


def file_warnings(problems: Iterable[str], *, free_bytes: int | None, needed_bytes: int) -> Iterator[str]:
    """What is wrong with a run's files: what could not be written, and a disk that has no room for the next checkpoint.

    Args:
        problems: what could not be written; "" for none.
        needed_bytes: of the next full checkpoint, which is written before the one before gives up its replay.
    """
    yield from (problem for problem in problems if problem)
    if free_bytes is not None and free_bytes < SPARE_DISK * needed_bytes:
        yield (
            f"the disk is almost full: {free_bytes / 1e6:,.0f} MB are free, "
            f"and the next checkpoint takes {needed_bytes / 1e6:,.0f} MB"
        )


def _exploding(recent: Sequence[EpisodeRecord]) -> Iterator[str]:
    losses = np.array([record.loss for record in recent if record.loss > 0])
    if len(losses) < 40:
        return
    now, before = float(np.median(losses[-10:])), float(np.median(losses[:-20]))
    if now > EXPLODED * before:
        yield f"the loss grows: {now:.3g} now, {before:.3g} before; a lower learning rate may help"


def _stuck(recent: Sequence[EpisodeRecord]) -> Iterator[str]:
    newest = recent[-STUCK_EPISODES:]
    x = np.array([record.max_x for record in newest if record.end != "clear"])
    if len(newest) < STUCK_EPISODES or not len(x):
        return
    near = np.abs(x[:, None] - x) <= STUCK_PIXELS // 2
    place = int(near.sum(axis=1).argmax())
    share = near[place].sum() / len(newest)
    if share > STUCK_SHARE:
        yield f"{near[place].sum()} of the last {len(newest)} episodes ended near x {x[place]:,}"


def _led_back(recent: Sequence[EpisodeRecord]) -> Iterator[str]:
    mazes = [record for record in recent if record.stage in MAZES]
    back = sum(record.end == EndReason.LOOP.value for record in mazes)
    if back:
        yield f"{back} of the last {len(mazes)} episodes took a wrong way in the maze"
