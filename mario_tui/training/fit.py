"""What a training gets of this machine: what was chosen before, or is measured now, or is usual."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Collection
from dataclasses import dataclass

from mario_tui.config import TrainingConfig
from mario_tui.training import autotune_process, pace
from mario_tui.training.autotune import Choice, Setup, candidates, choose, recall, remember, with_games

_FEW_STEPS = 50_000
_FEW_EPISODES = 300
"""Trainings that end before take minutes: what a measurement takes would not come back."""

_DISABLED = "MARIO_TUI_AUTOTUNE"


@dataclass(frozen=True, slots=True)
class Fitted:
    """The settings with the numbers that were chosen, and the number of processes, on which no result depends.

    Attributes:
        text: both in a line, with the reason where there is one.
        measured: it was measured, now or before.
    """

    config: TrainingConfig
    processes: int
    text: str
    measured: bool


def fit(
    config: TrainingConfig,
    *,
    resumes: bool = False,
    asked: Collection[str] = (),
    say: Callable[[str], None] = lambda text: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Fitted:
    """Chooses where `threads`, `workers` or `envs` is 0, by a measurement where that is worth its seconds.

    The threads and the games become part of the settings: sums are rounded differently with another number of threads,
    and learning depends on the games. The processes change nothing but the speed, so each machine may have its own.

    Args:
        resumes: the training goes on: what is not `asked` for stays as it is, and nothing is measured for it.
        asked: the settings that the user named.
        say: is told in a line that it will take some seconds.
        cancelled: ends the measurement when it says True.

    Raises InputError for a device that cannot be used here, and, before seconds are spent, for demonstrations that are
    not there.
    """
    from mario_tui.agent.devices import resolve_device
    from mario_tui.training.demo_data import find_logs

    device = resolve_device(config.device)
    on_gpu = device.type != "cpu"
    if not (config.envs or on_gpu or "envs" in asked):  # of a preset for a GPU that PyTorch cannot use
        config = with_games(config)
    local = config.actors == "local"  # what a cluster has is not this machine's
    choice = recall(config, str(device)) if local else None
    if choice is None:
        tried = candidates(config, on_gpu=on_gpu)
        choice = Choice(tried[0], "")
        if local and len(tried) > 1 and _worth_it(config) and (not resumes or _asks(config, asked)):
            if config.demonstrations and not resumes:  # a run that goes on has them in its checkpoint
                find_logs(config.demonstrations, config.stage)
            say("finding out what is fastest on this machine, which takes some seconds and is remembered")
            if speeds := autotune_process.measured(config, tried, cancelled=cancelled):
                choice = choose(speeds)
                remember(config, str(device), choice)
                pace.remember(config, statistics.median(speeds[choice.setup]), "measurement")
    threads = choice.setup.threads if not resumes or "threads" in asked else config.threads
    fitted = config.replace(envs=choice.setup.games, threads=config.threads or threads)
    setup = Setup(choice.setup.games, choice.setup.processes, fitted.threads or choice.setup.threads)
    if not local:
        return Fitted(fitted, 0, f"{setup.games} games on {config.actors}", measured=False)
    text = f"{setup} ({choice.why})" if choice.why else str(setup)
    return Fitted(fitted, choice.setup.processes, text, measured=bool(choice.why))


def _asks(config: TrainingConfig, asked: Collection[str]) -> bool:
    return any(name in asked and not getattr(config, name) for name in ("threads", "workers", "envs"))


def _worth_it(config: TrainingConfig) -> bool:
    few = 0 < config.steps < _FEW_STEPS or 0 < config.episodes < _FEW_EPISODES
    return os.environ.get(_DISABLED) != "0" and not few
