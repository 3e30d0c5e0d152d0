"""Chooses what fits this machine: PyTorch's threads, the processes for the games, and with `envs` 0 the games.

The first training on a machine tries some combinations for a few seconds, with the real trainer, and the choice is
remembered for later ones with the same network, versions and device. Settings that are not 0 are never changed.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from mario_tui.config import TrainingConfig
from mario_tui.presets import ON_GPU
from mario_tui.settings import MOST_ENVS
from mario_tui.system import processors
from mario_tui.training import machine

NOTICEABLE = 1.05
"""How many times as fast as the usual combination another one has to be: less is noise."""

_HOPELESS = 0.85
"""Slower than that share of the best after so many rounds, a combination is not tried further."""
_SURE_ROUNDS = 2

_USUAL_GAMES = 4
_FEW_CORES = 8  # more processes than cores are tried only where that is soon done
_DECISIVE = {
    "network", "dueling", "batch_size", "learn_every", "frame_stack", "frame_skip", "priority_exponent", "precision",
    "graph", "actor_groups", "envs", "workers", "threads",
}  # fmt: skip
"""The settings on which it depends what is fastest."""


@dataclass(frozen=True, slots=True, order=True)
class Setup:
    """How a training uses the machine; the order is from few games to many."""

    games: int
    processes: int
    threads: int

    def __str__(self) -> str:
        return (
            f"{self.games} game{'s' * (self.games > 1)} in {self.processes} process{'es' * (self.processes > 1)}, "
            f"{self.threads} thread{'s' * (self.threads > 1)} for learning"
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and why in a few words."""

    setup: Setup
    why: str


def usual_processes(config: TrainingConfig, cores: int | None = None) -> int:
    """As many as the settings say, or without a measurement one a core, of which one is left for learning."""
    spare = max(1, (processors.count() if cores is None else cores) - 1)
    return config.workers or min(config.envs or spare, spare)


def usual(config: TrainingConfig, *, on_gpu: bool, cores: int | None = None) -> Setup:
    """What is taken without a measurement.

    Without a number of games, a GPU gets two for each process, so that it has enough to do while the others play.
    """
    cores = processors.count() if cores is None else cores
    games = config.envs or (min(MOST_ENVS, 2 * usual_processes(config, cores)) if on_gpu else _USUAL_GAMES)
    processes = _possible(config, games, usual_processes(config.replace(envs=games), cores))
    return Setup(games, processes, config.threads or processors.half(cores))


def _possible(config: TrainingConfig, games: int, processes: int) -> int:
    """The number of processes that is nearest: no more than games, and one for each group of them at least."""
    return max(min(config.actor_groups, games), min(games, processes))


def with_games(config: TrainingConfig) -> TrainingConfig:
    """The settings with the usual number of games where they leave it open; raises InputError, see `resolve_device`."""
    from mario_tui.agent.devices import resolve_device

    if config.envs:
        return config
    return config.replace(envs=usual(config, on_gpu=resolve_device(config.device).type != "cpu").games)


def candidates(config: TrainingConfig, *, on_gpu: bool, cores: int | None = None) -> list[Setup]:
    """The combinations that are tried, the usual one first; it alone where there is nothing to choose.

    A GPU has little to do for the processor's threads, and its number of games is never measured: it depends on the
    cores alone, so that equal machines learn alike.
    """
    cores = processors.count() if cores is None else cores
    first = usual(config, on_gpu=on_gpu, cores=cores)
    threads, games = {first.threads}, {first.games}
    if not (config.threads or on_gpu):
        threads |= {number for number in (1, 2, 4, 8) if number <= cores}
    if not (config.envs or on_gpu):
        games |= {number for number in (8, 16, 32) if number <= 4 * cores}
    found = {first}
    for number in games:
        limits = {usual_processes(config.replace(envs=number), cores)}
        if not config.workers and len(games) == 1:
            limits |= {cores // 2, cores, *([2 * cores] if cores <= _FEW_CORES else [])}
        processes = {_possible(config, number, limit) for limit in limits}
        found |= {Setup(number, some, several) for some in processes for several in threads}
    return [first, *sorted(found - {first})]


def choose(speeds: Mapping[Setup, Sequence[float]]) -> Choice:
    """The fastest combination, by steps/s in each round, (R,) for each; the first is the usual one.

    Each is compared with the usual one round by round, as a machine may be slower in some. It has to be faster in every
    one of them, and by `NOTICEABLE` in the middle one; what was given up before the last round is out. Those that
    differ less than that count as equal: the one with the fewest games, processes and threads is taken.
    """
    first = next(iter(speeds))
    faster = {}
    for setup, own in speeds.items():
        ratios = _ratios(own, speeds[first])
        if len(own) >= len(speeds[first]) and min(ratios, default=0) > 1 and statistics.median(ratios) >= NOTICEABLE:
            faster[setup] = statistics.median(ratios)
    if not faster:
        return Choice(first, f"nothing else that was tried is {NOTICEABLE - 1:.0%} faster" if len(speeds) > 1 else "")
    setup = min(one for one, ratio in faster.items() if ratio * NOTICEABLE > max(faster.values()))
    return Choice(setup, f"{faster[setup] - 1:.0%} faster than {first}")


def worth_trying(speeds: Mapping[Setup, Sequence[float]]) -> list[Setup]:
    """Those that may still be chosen; the usual one always, as the others are compared with it.

    One round says too little to give up any.
    """
    first = next(iter(speeds))
    if len(speeds[first]) < _SURE_ROUNDS:
        return list(speeds)
    medians = {setup: statistics.median(_ratios(own, speeds[first])) for setup, own in speeds.items()}
    return [one for one, ratio in medians.items() if one == first or ratio >= _HOPELESS * max(medians.values())]


def _ratios(own: Sequence[float], first: Sequence[float]) -> list[float]:
    """How many times as fast as the first one it was, in each round that both have."""
    return [here / there for here, there in zip(own, first, strict=False)]


# what was measured before


def _key(config: TrainingConfig, device: str) -> str:
    """What a measurement holds for: this machine, these versions, and settings that cost the same."""
    return f"{machine.machine_and_versions(device)}; {json.dumps(config.model_dump(include=_DECISIVE), sort_keys=True)}"


def recall(config: TrainingConfig, device: str) -> Choice | None:
    """What was chosen for such a training on this machine, if it was."""
    try:
        known = machine.read()[_key(config, device)]
        setup = Setup(*(int(known[name]) for name in ("games", "processes", "threads")))
        return Choice(setup, str(known["why"])) if min(asdict(setup).values()) > 0 else None
    except (ValueError, LookupError, TypeError):
        return None


def remember(config: TrainingConfig, device: str, choice: Choice) -> None:
    """Keeps a choice for later trainings, also for those that name what was chosen, as a resumed run does.

    Where it cannot be written they measure again.
    """
    entry = {**asdict(choice.setup), "why": choice.why}
    chosen = config.replace(envs=choice.setup.games, threads=choice.setup.threads)
    machine.keep({_key(chosen, device): entry, _key(config, device): entry})


def for_device(config: TrainingConfig, preset: str) -> TrainingConfig:
    """The settings of a preset, with what it has otherwise on a GPU if the device is one; raises InputError."""
    from mario_tui.agent.devices import resolve_device

    if not ON_GPU.get(preset) or config.device == "cpu" or resolve_device(config.device).type == "cpu":
        return config
    return config.replace(**ON_GPU[preset])
