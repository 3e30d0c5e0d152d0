"""What each preset is for, how long it takes and where it ends, in a line."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from mario_tui.config import TrainingConfig
from mario_tui.presets import PRESETS, preset
from mario_tui.training import pace
from mario_tui.training.forecast import rounded
from mario_tui.training.pace import in_words
from mario_tui.training.preset_curves import Reached, curves_of


def preset_line(name: str) -> str:
    """A preset's line, without its name; every figure in it was measured, here or where it says."""
    config = preset(name)
    return "; ".join(part for part in (PRESETS[name], _how_long(config), _end(config)) if part)


def _how_long(config: TrainingConfig) -> str:
    curves, speed = curves_of(config), pace.recall(config)
    reached: Sequence[Reached] = ()
    if curves is not None:
        reached = curves.targets if config.until_robust else curves.first_clears
    if curves is None or not reached:
        return ""
    step = rounded(round(statistics.median(one.step for one in reached)))
    near = f"{config.stage} near step {step:,}"
    if len(reached) < curves.runs:
        near += f" in {len(reached)} of {curves.runs} runs"
    if speed is not None:
        return f"{near}, {in_words(step / speed)} here"
    seconds = [one.seconds for one in reached]
    shortest, longest = in_words(min(seconds)), in_words(max(seconds))
    unit = longest.rpartition(" ")[2]
    span = longest if shortest == longest else f"{shortest.removesuffix(f' {unit}')} to {longest}"
    return f"{near}, {span} on {curves.hardware}"


def _end(config: TrainingConfig) -> str:
    if not config.steps:
        return "until_clear ends it" if config.eval_every else "ends when you stop it"
    speed = pace.recall(config)
    limit = f"at most {config.steps:,} steps"
    return limit if speed is None else f"{limit}, {in_words(config.steps / speed)} here"
