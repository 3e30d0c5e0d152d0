"""The settings of when a run ends, and what it measures, saves and runs on; the others are in settings.py."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from mario_tui.settings import setting


class RunSettings(BaseModel):
    """When a run ends, and what it measures, saves and runs on."""

    steps: int = setting(0, "stop after this many steps (0: no limit)", group="Run", unit="steps", ge=0, le=10**12)
    episodes: int = setting(
        0, "stop after this many episodes (0: no limit)", group="Run", unit="episodes", ge=0, le=10**9
    )
    until_clear: bool = setting(False, "stop at the first clear in a greedy evaluation", group="Run")
    until_robust: float = setting(
        0.0,
        "stop when 300 episodes with sticky 0.25 and noops 30 show that an agent clears this share (needs "
        "measuring_games 2)",
        group="Run",
        ge=0,
        le=1,
    )
    eval_every: int = setting(
        0,
        "steps between greedy evaluations (0: only for until_clear, every 20,000)",
        group="Run",
        unit="steps",
        ge=0,
        le=10**9,
    )
    save_every: int = setting(
        500_000, "steps between checkpoints (0: only at the end)", group="Run", unit="steps", ge=0, le=10**9
    )
    keep_every: int = setting(
        1,
        "of the checkpoints that save_every makes, keep every so many, the newest two and the best (1: all of them)",
        group="Run",
        unit="checkpoints",
        ge=1,
        le=10**6,
    )
    log_every: int = setting(
        20,
        "episodes between lines in the log; ten times that between curve pictures",
        group="Run",
        unit="episodes",
        ge=1,
        le=10**6,
    )
    record: bool = setting(
        True, "record the first clear and the best episode so far to recordings/, in a background process", group="Run"
    )
    keep_episodes: int = setting(
        20_000,
        "episodes that can be watched again, the newest; each takes some 0.6 KB on the disk (0: none)",
        group="Run",
        unit="episodes",
        ge=0,
        le=10**7,
    )
    init_from: str = setting(
        "", "a run, checkpoint or tutorial .chkpt whose weights a new run begins with", group="Run", fixed=True
    )
    seed: int = setting(0, "seed of every random choice", group="Run", fixed=True, ge=0, le=2**63 - 1)
    device: str = setting("auto", "where the networks run", group="Run", pattern=r"^(auto|cpu|mps|cuda(:[0-9]{1,2})?)$")
    threads: int = setting(
        0,
        "processor threads that PyTorch may use on the CPU (0: as many as are fastest here, measured once)",
        group="Run",
        ge=0,
        le=256,
    )
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "float32",
        "number format that updates are computed in (auto: bfloat16 where the processor has units for it)",
        group="Run",
    )
    graph: bool = setting(
        True, "on a GPU, record an update once as a CUDA graph and start it with one call", group="Run"
    )
    robust_episodes: int = setting(
        0,
        "robust evaluation after promising greedy play: episodes with sticky 0.25 and noops 30 (0: none)",
        group="Run",
        unit="episodes",
        ge=0,
        le=10_000,
    )
    tensorboard: bool = setting(False, "write TensorBoard events too (extra 'tensorboard')", group="Run")
