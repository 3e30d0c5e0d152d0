"""A training in a process of its own: python goes_on.py PRESET[-SEED|-NAME] OUT [CHECKPOINT [GAMES]]

It saves after 100 steps or a few more, and keeps that checkpoint in a run named `kept`; then it goes on to step 320.
With CHECKPOINT it goes on from there; with GAMES with so many, and keeps a checkpoint of them in a run named
`kept-GAMES` after 180 steps. With SEED its other settings are drawn at random, with NAME they are those of MORE. Writes
to OUT what every step chose, and everything that the run is at the end.
"""

import hashlib
import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mario_tui import paths
from mario_tui.presets import PRESETS, preset
from mario_tui.training.events import Stepped
from mario_tui.training.restore import open_trainer
from mario_tui.training.resume import resume_config
from runs import full_state

SMALL: dict[str, dict[str, Any]] = {
    "tutorial": {
        "burn_in": 60, "batch_size": 8, "replay_size": 240, "sync_every": 90, "max_episode_steps": 19, "log_every": 1,
    },
    "fast": {
        "burn_in": 60, "batch_size": 16, "replay_size": 240, "sync_every": 90, "exploration_schedule": "0:1 300:0.1",
        "average_updates": 20, "max_episode_steps": 19, "sticky": 0.25, "noops": 30, "eval_every": 0,
        "robust_episodes": 0, "log_every": 1,
    },
}  # fmt: skip
SMALL["measured"] = {
    **SMALL["fast"],
    "envs": 5,
    "measuring_games": 2,
    "noisy_share": 0.5,
    "sticky": 0.1,
    "noops": 8,
}
SMALL["corrected"] = {
    **SMALL["fast"],
    "steps": 420,
    "max_episode_steps": 0,  # Mario lives to meet the first enemy
    "exploration_schedule": "0:0.05",
    "corrections": 0.5,
    "corrections_every": 100,
}
SMALL["practised"] = {
    **SMALL["fast"],
    "stage": "5-1",
    "reward": "frontier",
    "envs": 2,
    "measuring_games": 0,
    "max_episode_steps": 0,
    "practice_games": 2,
    "practice_share": 0.8,
    "practice_nearest": 1,
    "practice_farthest": 8,
    "practice_length": 5,
}

MORE: dict[str, dict[str, Any]] = {
    "schedules": {
        "n_steps": 5, "n_steps_schedule": "80:5 200:2", "cut_at_exploration": True,
        "exploration_schedule": "0:1 300:0.3", "learning_rate_schedule": "0:0.001 300:0.0001", "adam_epsilon": 1e-5,
        "priority_exponent": 0.5, "priority_correction_schedule": "0:0.4 300:1",
        "average_updates": 20, "average_updates_schedule": "0:20 300:60",
    },
}  # fmt: skip

CHOICES: dict[str, list[Any]] = {
    "stage": ["1-1", "1-2", "4-2", "8-1"],
    "action_set": ["tutorial", "run", "right_only", "simple", "complex"],
    "frame_skip": [2, 4, 7],
    "stall_steps": [0, 15],
    "reward": ["tutorial", "frontier"],
    "max_episode_steps": [19, 40, 0],
    "sticky": [0.0, 0.25],
    "noops": [0, 30],
    "show_buttons": [False, True],
    "envs": [1, 2, 3, 5],
    "workers": [1, 2],
    "network": ["nature", "small"],
    "centered": [False, True],
    "dueling": [False, True],
    "gamma": [0.9, 0.99],
    "n_steps": [1, 3, 5],
    "clear_bonus": [0.0, 10.0],
    "frame_stack": [1, 4, 6],
    "batch_size": [8, 16],
    "replay_size": [160, 240, 500],
    "priority_exponent": [0.0, 0.6],
    "burn_in": [20, 60],
    "learn_every": [1, 3, 4],
    "sync_every": [30, 90],
    "exploration_steps": [0, 300],
    "exploration_ladder": [0.0, 7.0],
    "average_updates": [0, 20],
    "precision": ["float32", "bfloat16"],
    "layer_norm": [False, True],
    "value_bins": [0, 51],
    "noisy_share": [1.0, 0.5],
    "measuring_games": [0, 1, 2],
    "cut_at_exploration": [False, True],
    "exploration_schedule": ["", "0:1 200:0.2"],
    "learning_rate_schedule": ["", "0:0.001 200:0.0001"],
    "priority_correction_schedule": ["", "0:0.4 200:1"],
    "adam_epsilon": [1e-8, 1e-5],
    "shift": [0, 4],
}


def some_settings(seed: int) -> dict[str, Any]:
    """Of each choice one."""
    draw = random.Random(seed)
    chosen = {name: draw.choice(values) for name, values in CHOICES.items()}
    return {"seed": seed, **chosen, "measuring_games": min(chosen["measuring_games"], chosen["envs"] - 1)}


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def digest(value: Any) -> str:
    """A fingerprint of a tensor's dtype, shape and bytes, or of what JSON makes of anything else."""
    if isinstance(value, torch.Tensor):
        content = f"{value.dtype} {tuple(value.shape)}".encode() + value.contiguous().numpy().tobytes()
    else:
        content = json.dumps(value, sort_keys=True, default=str).encode()
    return hashlib.sha256(content).hexdigest()


def main(name: str, out: str, path: str | None = None, games: str | None = None) -> None:
    if path:
        changes = {"envs": int(games)} if games else {}
        trainer = open_trainer(resume_config(Path(path), changes), resume=Path(path))
    else:
        base, _, others = name.partition("-")
        settings = {"threads": 1, "device": "cpu", "save_every": 0, "record": False, **SMALL[base]}
        if others:
            settings.update(some_settings(int(others)) if others.isdigit() else MORE[others])
        start = preset(base if base in PRESETS else "fast")
        trainer = open_trainer(start.replace(**{"steps": 320, **settings}), run="whole")
    actions: dict[str, list[int]] = {}
    act = trainer.agent.act

    def watched(states: torch.Tensor, games: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        chosen, explored = act(states, games)
        actions.setdefault(str(trainer.step), []).extend(chosen.tolist())
        return chosen, explored

    trainer.agent.act = watched  # type: ignore[method-assign]
    kept, keep_at = paths.run_dir("kept"), 210 if name == "corrected" else 100  # 210: a death is being labelled
    if games:
        kept, keep_at = paths.run_dir(f"kept-{games}"), 180
    for event in trainer.run():
        if isinstance(event, Stepped) and event.step >= keep_at and not kept.exists():
            saved = trainer.save()
            shutil.copytree(saved, kept / saved.name)
    state = {key: digest(value) for key, value in full_state(trainer).items()}
    state["updates"] = str(trainer.agent.updates)
    # a line ends with how long it took and the time, and a note begins with its time
    log = [line.partition(": ")[2] if line[0] == "#" else line[:-35] for line in lines_of(trainer.run_dir / "log")]
    lines = (line.rsplit(",", 3) for line in lines_of(trainer.run_dir / "metrics.csv"))
    metrics = [",".join((before, *kind_and_progress)) for before, _, *kind_and_progress in lines]
    content = {"actions": actions, "state": state, "log": log, "metrics": metrics}
    if trainer.corrector is not None:
        content["labelled"] = trainer.corrector.total.states
    Path(out).write_text(json.dumps(content))


if __name__ == "__main__":
    main(*sys.argv[1:])
