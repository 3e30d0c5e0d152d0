"""A training in a process of its own: python goes_on.py PRESET OUT [CHECKPOINT]

It saves after 100 steps or a few more, and keeps that checkpoint in a run named `kept`; then it goes on to step 320.
With CHECKPOINT it goes on from there. Writes to OUT what every step chose, and everything that the run is at the end.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mario_tui import paths
from mario_tui.config import preset
from mario_tui.training.resume import resume_config
from mario_tui.training.trainer import Stepped, Trainer
from runs import full_state

SMALL: dict[str, dict[str, Any]] = {
    "tutorial": {
        "burn_in": 60, "batch_size": 8, "replay_size": 240, "sync_every": 90, "max_episode_steps": 19, "log_every": 1,
    },
    "fast": {
        "burn_in": 60, "batch_size": 16, "replay_size": 240, "sync_every": 90, "exploration_steps": 300,
        "average_updates": 20, "max_episode_steps": 19, "sticky": 0.25, "noops": 30, "eval_every": 0,
        "robust_episodes": 0, "log_every": 1,
    },
}  # fmt: skip


def digest(value: Any) -> str:
    """A fingerprint of a tensor's dtype, shape and bytes, or of what JSON makes of anything else."""
    if isinstance(value, torch.Tensor):
        content = f"{value.dtype} {tuple(value.shape)}".encode() + value.contiguous().numpy().tobytes()
    else:
        content = json.dumps(value, sort_keys=True, default=str).encode()
    return hashlib.sha256(content).hexdigest()


def main(name: str, out: str, path: str | None = None) -> None:
    if path:
        trainer = Trainer(resume_config(Path(path)), resume=Path(path))
    else:
        settings = {"threads": 1, "device": "cpu", "save_every": 0, **SMALL[name]}
        trainer = Trainer(preset(name).replace(steps=320, **settings), run="whole")
    actions: dict[str, list[int]] = {}
    act = trainer.mario.act

    def watched(states: torch.Tensor) -> np.ndarray:
        chosen = act(states)
        actions[str(trainer.step)] = chosen.tolist()
        return chosen

    trainer.mario.act = watched  # type: ignore[method-assign]
    kept = paths.run_dir("kept")
    for event in trainer.run():
        if isinstance(event, Stepped) and event.step >= 100 and not kept.exists():
            saved = trainer.save()
            shutil.copytree(saved, kept / saved.name)
    state = {key: digest(value) for key, value in full_state(trainer).items()}
    state["updates"] = str(trainer.mario.updates)
    # a line ends with how long it took and the time
    log = [line[:-35] for line in (trainer.run_dir / "log").read_text().splitlines()]
    metrics = [line.rpartition(",")[0] for line in (trainer.run_dir / "metrics.csv").read_text().splitlines()]
    content = {"actions": actions, "state": state, "log": log, "metrics": metrics}
    Path(out).write_text(json.dumps(content))


if __name__ == "__main__":
    main(*sys.argv[1:])
