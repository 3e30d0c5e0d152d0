"""Demonstrations of a run: which action logs they are, and the transitions that come of them.

A checkpoint holds the logs themselves, so that a run stays whole when the files they came from are gone. The games are
played again whenever the run goes on, which brings back the same frames and rewards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mario_tui import paths
from mario_tui.agent.demo_replay import DemonstrationRows, Demonstrations
from mario_tui.agent.preprocess import preprocess
from mario_tui.buttons import ACTION_SETS
from mario_tui.config import TrainingConfig
from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.episode import EndReason
from mario_tui.game.relabel import DemonstratedStep, demonstrate
from mario_tui.game.replaying import replay
from mario_tui.store import shipped
from mario_tui.system import processors

_SCREENS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class DemonstrationCount:
    """What came of the demonstrations.

    games: that were played again.
    transitions: steps that are learned from; `approximate`: those of them that pressed other buttons than the action
        they stand for, in some of their frames or B besides.
    left_out: steps without an action like them.
    other_stages: logs that were passed over.
    """

    games: int
    transitions: int
    approximate: int
    left_out: int
    other_stages: int = 0

    def __str__(self) -> str:
        games = f"{self.games} game{'' if self.games == 1 else 's'}"
        passed = f"; {self.other_stages} of other stages passed over" if self.other_stages else ""
        return (
            f"demonstrations: {games}, {self.transitions:,} steps to learn from ({self.approximate:,} of them only "
            f"roughly an action of the agent's), {self.left_out:,} left out as no action is like them{passed}"
        )

    def as_json(self) -> dict[str, int]:
        return asdict(self)


WAYS = "ways"
"""In place of a path: the way through the stage that a search found, which comes with the program."""


def find_logs(where: str, stage: str) -> tuple[tuple[ActionLog, ...], int]:
    """The logs of a stage at a path, a file or a folder of them, and how many of other stages are in the folder.

    A path that is not there is looked for in the home folder; where that has none either, "ways" is the log that comes
    with the program. Files that begin with a dot are not read.

    Raises InputError where there is no log of the stage, or a file is none.
    """
    path = _existing(where, stage)
    if not path.is_dir():
        log = ActionLog.load(path)
        if log.stage != stage:
            raise InputError(f"{path} is a game of {log.stage} and the run is on {stage}: name a log of {stage}")
        return (log,), 0
    try:
        files = sorted(file for file in path.iterdir() if file.suffix == ".json" and not file.name.startswith("."))
    except OSError as error:
        raise InputError(f"the folder of demonstrations {path} cannot be read: {error.strerror}") from None
    logs = [_load(file) for file in files]
    if not logs:
        raise InputError(f"no action log in {path}: play a game first ('mario-tui play'), or name another folder")
    ours = tuple(dict.fromkeys(log for log in logs if log.stage == stage))
    if not ours:
        stages = ", ".join(sorted({log.stage for log in logs}))
        raise InputError(f"no game of {stage} in {path}, which has logs of {stages}: play one, or choose that --stage")
    return ours, sum(log.stage != stage for log in logs)


def _load(file: Path) -> ActionLog:
    try:
        return ActionLog.load(file)
    except InputError as error:
        raise InputError(f"{error}; take it out of the folder of demonstrations") from None


def ways_through(logs: Sequence[ActionLog], frame_skip: int) -> Iterator[bytes]:
    """Of the logs that clear the stage, a button byte for each frame, in whole steps of `frame_skip` frames."""
    for log in logs:
        if (result := replay(log)).cleared:
            pressed = bytes(np.repeat(np.array(log.buttons, dtype=np.uint8), log.frame_skip))
            yield pressed[: result.frames // frame_skip * frame_skip]


def _existing(where: str, stage: str) -> Path:
    try:
        for path in (paths.expand(where), paths.home() / where):
            if path.exists():
                return path
        if where == WAYS and (way := shipped.WAYS / f"{stage}.json").exists():
            return way
    except (OSError, RuntimeError, ValueError):  # a name that no file can have
        pass
    raise InputError(
        f"no demonstrations at {where!r}: name an action log or a folder of them, such as plays/, or say 'ways'"
    )


def play_again(
    logs: Sequence[ActionLog], config: TrainingConfig, device: torch.device
) -> tuple[Demonstrations, DemonstrationCount]:
    """The transitions of logs for a run with these settings.

    Raises InputError where none of them can be learned from.
    """

    def play(log: ActionLog) -> tuple[DemonstrationRows, int]:
        return _rows(log, config, device)

    with ThreadPoolExecutor(processors.count(), thread_name_prefix="demonstration") as pool:
        played = [(rows, approximate) for rows, approximate in pool.map(play, logs) if len(rows.frame) > 1]
    usable = sum(int(rows.usable.sum()) for rows, _ in played)
    steps = sum(int((~rows.last).sum()) for rows, _ in played)
    if not usable:
        raise InputError(
            f"none of the {steps:,} steps in the demonstrations is like an action of the set {config.action_set!r}: "
            "choose another --action-set, or other demonstrations"
        )
    count = DemonstrationCount(len(played), usable, sum(approximate for _, approximate in played), steps - usable)
    demonstrations = Demonstrations(
        _joined([rows for rows, _ in played]),
        share=config.demonstration_share,
        depth=config.frame_stack,
        batch_size=config.batch_size,
        n_steps=config.n_steps,
        gamma=config.gamma,
        alpha=config.priority_exponent,
        beta=config.priority_correction,
        device=device,
        seed=int(np.random.SeedSequence((config.seed, 1)).generate_state(1)[0]),  # unlike those of the agent
    )
    return demonstrations, count


def _rows(log: ActionLog, config: TrainingConfig, device: torch.device) -> tuple[DemonstrationRows, int]:
    """The rows of a game, and how many of its usable ones are not exact."""
    steps: list[DemonstratedStep] = []
    frames: list[torch.Tensor] = []
    block: list[DemonstratedStep] = []
    for step in demonstrate(log, frame_skip=config.frame_skip, actions=ACTION_SETS[config.action_set]):
        block.append(step)
        if len(block) == _SCREENS_AT_ONCE or step.last:
            screens = np.stack([one.screen for one in block])
            held = np.array([one.previous_buttons for one in block], dtype=np.uint8) if config.show_buttons else None
            frames.append(preprocess(screens, device, held).cpu())
            steps += [_without_screen(one) for one in block]
            block.clear()
    bonus = [config.clear_bonus * (step.end is EndReason.CLEAR) for step in steps]
    usable = np.array([step.action is not None for step in steps])
    first = np.zeros(len(steps), dtype=bool)
    first[0] = True
    rows = DemonstrationRows(
        frame=torch.cat(frames),
        action=np.array([step.action or 0 for step in steps], dtype=np.uint8),
        reward=np.array([step.reward for step in steps], dtype=np.float32) + np.array(bonus, dtype=np.float32),
        terminated=np.array([step.end is not None for step in steps]),  # by the game itself: it has no limit of ours
        first=first,
        last=np.array([step.last for step in steps]),
        usable=usable,
    )
    return rows, sum(step.action is not None and not step.exact for step in steps)


def _without_screen(step: DemonstratedStep) -> DemonstratedStep:
    return replace(step, screen=step.screen[:0])


def _joined(games: Sequence[DemonstrationRows]) -> DemonstrationRows:
    names = ("action", "reward", "terminated", "first", "last", "usable")
    arrays = {name: np.concatenate([getattr(rows, name) for rows in games]) for name in names}
    return DemonstrationRows(frame=torch.cat([rows.frame for rows in games]), **arrays)


def as_json(logs: Sequence[ActionLog]) -> dict[str, Any]:
    """What a checkpoint keeps."""
    return {"logs": [log.as_json() for log in logs]}


def from_json(content: Mapping[str, Any]) -> tuple[ActionLog, ...]:
    """What `as_json` was made of; raises KeyError, TypeError or ValueError for anything else."""
    return tuple(map(ActionLog.from_json, content["logs"]))
