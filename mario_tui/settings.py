"""Every setting, declared once, with its range and the group of it that users see; config.py puts them together.

The command line's flags, the TOML file of a run, the form in the Train screen, the range checks and the checkpoint's
header all derive from these fields.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator

from mario_tui.buttons import ActionSet
from mario_tui.rewards import Reward
from mario_tui.schedules import Between, Schedule

MOST_ENVS = 256
"""The most games that a training can have."""

SCHEDULES: dict[str, tuple[Between, tuple[str, ...]]] = {
    "n_steps_schedule": ("geometric", ("n_steps",)),
    "learning_rate_schedule": ("geometric", ("learning_rate",)),
    "priority_correction_schedule": ("linear", ("priority_correction",)),
    "exploration_schedule": (
        "geometric",
        ("exploration_rate", "exploration_rate_decay", "exploration_rate_min", "exploration_steps"),
    ),
    "average_updates_schedule": ("geometric", ("average_updates",)),
}
"""The settings that are schedules (schedules.py): what is between their points, and the settings whose place they take,
the first of which says which values are allowed."""


def setting(default: Any, description: str, *, group: str, unit: str = "", fixed: bool = False, **limits: Any) -> Any:
    """A setting; a `fixed` one cannot change on resume, as the network, the replay or random states depend on it."""
    extra: dict[str, Any] = {"group": group, "unit": unit, "fixed": fixed}
    return Field(default, description=description, json_schema_extra=extra, **limits)


def schedule(description: str, *, group: str) -> Any:
    """A setting that is listed in SCHEDULES."""
    return setting("", f"{description} (empty: constant)", group=group, max_length=1_000)


class GameSettings(BaseModel):
    """How the games are played."""

    stage: str = setting("1-1", "stage to train on", group="Game", fixed=True)
    action_set: ActionSet = setting("tutorial", "button combinations the agent chooses from", group="Game", fixed=True)
    frame_skip: int = setting(
        4, "frames for which an action is held (frame skip)", group="Game", fixed=True, unit="frames", ge=1, le=16
    )
    stall_steps: int = setting(
        0,
        "end an episode after this many steps without getting farther (0: never)",
        group="Game",
        fixed=True,
        unit="steps",
        ge=0,
        le=100_000,
    )
    reward: Reward = setting(
        "tutorial",
        "what walking to the right brings: each pixel, as in the tutorial, or each beyond the farthest place of the "
        "area so far (frontier)",
        group="Game",
        fixed=True,
    )
    max_episode_steps: int = setting(
        0,
        "end an episode after this many steps (0: when the game's clock runs out)",
        group="Game",
        fixed=True,
        unit="steps",
        ge=0,
        le=1_000_000,
    )
    sticky: float = setting(
        0.0,
        "sticky actions: chance at each frame that the buttons of the frame before are held, not the chosen ones",
        group="Game",
        ge=0,
        lt=1,
    )
    noops: int = setting(
        0,
        "no-op starts: an episode begins with up to this many frames of no button, a random number",
        group="Game",
        unit="frames",
        ge=0,
        le=1000,
    )
    noisy_share: float = setting(
        1.0,
        "share of the games that learn with these sticky actions and no-op starts; the others play without",
        group="Game",
        ge=0,
        le=1,
    )
    measuring_games: int = setting(
        0,
        "games, of envs, that measure: one plays greedily, a second one also with sticky 0.25 and noops 30",
        group="Game",
        ge=0,
        le=2,
    )
    practice_games: int = setting(
        0,
        "games, of envs, some of whose episodes begin where others failed or on the way of a clear (0: none)",
        group="Practice",
        unit="games",
        ge=0,
        le=MOST_ENVS,
    )
    practice_share: float = setting(
        0.5,
        "share of their episodes that are practice; the others begin at the start of the stage",
        group="Practice",
        ge=0,
        le=1,
    )
    practice_from: Literal["deaths", "clears", "both"] = setting(
        "deaths",
        "where practice begins: before deaths and stalls, anywhere on the way of a clear (of a demonstration, too), or "
        "both",
        group="Practice",
    )
    practice_nearest: int = setting(
        8,
        "practice begins at least this many steps before a death or stall",
        group="Practice",
        unit="steps",
        ge=1,
        le=1000,
    )
    practice_farthest: int = setting(
        40,
        "practice begins at most this many steps before a death or stall",
        group="Practice",
        unit="steps",
        ge=1,
        le=1000,
    )
    practice_length: int = setting(
        80,
        "end an episode of practice after this many steps, or 40 after the old failure, whichever is later",
        group="Practice",
        unit="steps",
        ge=1,
        le=100_000,
    )
    practice_places: int = setting(
        200,
        "places that are kept for practice, the newest, in each group of games",
        group="Practice",
        unit="places",
        ge=1,
        le=10_000,
    )
    show_buttons: bool = setting(
        False, "draw the pressed buttons over the score rows, so that the network sees them", group="Game", fixed=True
    )
    envs: int = setting(
        1, "games played at once, which changes learning (0: as fits this machine)", group="Game", ge=0, le=MOST_ENVS
    )
    actor_groups: int = setting(
        2,
        "groups of games that take turns, for speed; with another number a seed gives another run",
        group="Game",
        fixed=True,
        ge=1,
        le=2,
    )
    workers: int = setting(
        0, "processes that run the games (0: as many as are fastest here, measured once)", group="Game", ge=0, le=256
    )
    actors: str = setting(
        "local",
        "where these processes run: on this machine, or on all machines of a Ray cluster (extra 'cluster')",
        group="Game",
        pattern=r"^(local|ray(:[^\s/]+:[0-9]{1,5})?)$",
    )

    @field_validator("stage")
    @classmethod
    def _stage_exists(cls, stage: str) -> str:
        world, _, level = stage.partition("-")
        if world not in tuple("12345678") or level not in tuple("1234"):
            raise ValueError("stages go from 1-1 to 8-4")
        return stage


class AgentSettings(BaseModel):
    """What learns from them, and how."""

    network: Literal["nature", "small"] = setting(
        "nature",
        "convolutional network: three layers (as in the tutorial), or two smaller ones",
        group="Network",
        fixed=True,
    )
    centered: bool = setting(
        False, "scale grey levels to -1 to 1 for the network, not 0 to 1: it learns faster", group="Network", fixed=True
    )
    dueling: bool = setting(
        False, "dueling network: state value and advantages in separate streams", group="Network", fixed=True
    )
    layer_norm: bool = setting(
        False, "normalise the hidden layer before its ReLU (LayerNorm)", group="Network", fixed=True
    )
    value_bins: int = setting(
        0,
        "values as histograms of this many bins, by cross entropy (HL-Gauss; usual: 51; 0: as numbers, by Huber loss)",
        group="Values",
        fixed=True,
        unit="bins",
        ge=0,
        le=1001,
    )
    value_min: float = setting(
        -0.5,
        "lower end of the histograms of value_bins, in scaled rewards",
        group="Values",
        fixed=True,
        ge=-1e6,
        le=1e6,
    )
    value_max: float = setting(
        5.0,
        "upper end of the histograms of value_bins, in scaled rewards",
        group="Values",
        fixed=True,
        ge=-1e6,
        le=1e6,
    )
    gamma: float = setting(0.9, "discount factor of future rewards", group="Values", ge=0, lt=1)
    n_steps: int = setting(
        1,
        "n of the n-step return: rewards summed before bootstrapping from the target network",
        group="Values",
        fixed=True,
        unit="steps",
        ge=1,
        le=50,
    )
    n_steps_schedule: str = schedule("n of the n-step return over training, at most n_steps", group="Values")
    cut_at_exploration: bool = setting(
        False,
        "end n-step returns before the next action that was random and not greedy (the cut of Watkins' Q(lambda))",
        group="Values",
    )
    clear_bonus: float = setting(
        0.0,
        "added to the agent's reward for clearing the stage; the log has the game's own reward",
        group="Values",
        ge=0,
        le=1_000_000,
    )
    reward_scale: float = setting(1.0, "divisor of rewards in the learning targets", group="Values", gt=0, le=1e6)
    learning_rate: float = setting(2.5e-4, "step size of the Adam optimizer", group="Updates", gt=0, le=1)
    learning_rate_schedule: str = schedule(
        "learning rate over training, in place of learning_rate; the keys + and - then cannot change it",
        group="Updates",
    )
    adam_epsilon: float = setting(
        1e-8,
        "epsilon of the Adam optimizer; a larger one, such as 1e-5, keeps steps small where gradients are small",
        group="Updates",
        gt=0,
        le=1,
    )
    batch_size: int = setting(32, "transitions in one update", group="Updates", unit="transitions", ge=1, le=4096)
    frame_stack: int = setting(
        4, "frames stacked in one observation", group="Network", fixed=True, unit="frames", ge=1, le=8
    )
    shift: int = setting(
        0,
        "random shifts: updates move observations by up to this many of their 84 pixels (DrQ; usual: 4; 0: none)",
        group="Updates",
        unit="pixels",
        ge=0,
        le=20,
    )
    replay_size: int = setting(
        100_000,
        "capacity of the replay buffer",
        group="Replay",
        fixed=True,
        unit="transitions",
        ge=100,
        le=10_000_000_000,
    )
    priority_exponent: float = setting(
        0.0,
        "prioritised replay: exponent alpha of the TD error in the sampling probability (0: uniform)",
        group="Replay",
        fixed=True,
        ge=0,
        le=1,
    )
    priority_correction: float = setting(
        0.4,
        "prioritised replay: importance-sampling exponent beta (1: full correction of the bias)",
        group="Replay",
        ge=0,
        le=1,
    )
    priority_correction_schedule: str = schedule("beta over training, in place of priority_correction", group="Replay")
    demonstrations: str = setting(
        "",
        "games to learn from as well: an action log, a folder of them such as plays/, or ways",
        group="Replay",
    )
    demonstration_share: float = setting(
        0.25, "share of each batch sampled from the demonstrations, if there are any", group="Replay", ge=0, le=1
    )
    corrections: float = setting(
        0.0,
        "states before avoidable deaths, with their safe actions, in each update, as a share of the batch (0: none)",
        group="Corrections",
        ge=0,
        le=4,
    )
    corrections_weight: float = setting(
        1.0, "weight of the margin loss on the states that were added", group="Corrections", ge=0, le=1000
    )
    corrections_from: int = setting(
        0, "step from which deaths are searched", group="Corrections", unit="steps", ge=0, le=10**12
    )
    corrections_every: int = setting(
        2_000,
        "steps between two deaths that are searched; each takes a core some seconds",
        group="Corrections",
        unit="steps",
        ge=100,
        le=10**9,
    )
    corrections_size: int = setting(
        20_000,
        "states that are kept, the newest; each takes some 28 KB of memory",
        group="Corrections",
        unit="states",
        ge=1,
        le=10_000_000,
    )
    burn_in: int = setting(
        10_000,
        "steps before the first update (learning starts)",
        group="Updates",
        fixed=True,
        unit="steps",
        ge=0,
        le=100_000_000,
    )
    learn_every: int = setting(
        3, "steps between updates of the online network", group="Updates", unit="steps", ge=1, le=100_000
    )
    sync_every: int = setting(
        10_000,
        "steps between target network updates (copies of the online network)",
        group="Values",
        unit="steps",
        ge=1,
        le=100_000_000,
    )
    exploration_rate: float = setting(
        1.0, "epsilon at the start: chance of a random action", group="Exploration", fixed=True, ge=0, le=1
    )
    exploration_rate_decay: float = setting(0.99999975, "factor on epsilon per step", group="Exploration", gt=0, le=1)
    exploration_rate_min: float = setting(0.1, "final epsilon", group="Exploration", ge=0, le=1)
    exploration_steps: int = setting(
        0,
        "steps over which epsilon falls linearly to its final value (0: exponentially, by the factor)",
        group="Exploration",
        fixed=True,
        unit="steps",
        ge=0,
        le=10**12,
    )
    exploration_schedule: str = schedule(
        "epsilon over training, in place of the four settings before this one; the keys + and - then cannot change it",
        group="Exploration",
    )
    exploration_ladder: float = setting(
        0.0,
        "per-actor epsilon: game i of N explores with eps^(1 + alpha i/(N-1)); this is alpha (0: all alike)",
        group="Exploration",
        ge=0,
        le=20,
    )
    average_updates: int = setting(
        0,
        "greedy play uses an exponential moving average of the weights over this many updates (0: newest weights)",
        group="Updates",
        fixed=True,
        unit="updates",
        ge=0,
        le=10**9,
    )
    average_updates_schedule: str = schedule(
        "updates in the average over training, in place of average_updates", group="Updates"
    )

    @field_validator(*SCHEDULES)
    @classmethod
    def _follows_aschedule(cls, text: str, info: ValidationInfo) -> str:
        if not text:
            return text
        between, (setting, *_) = SCHEDULES[info.field_name or ""]
        constant = info.data.get(setting)
        values = [value for _, value in Schedule.parse(text, between).points]
        try:
            for value in values:
                AgentSettings(**{setting: value})
        except ValidationError:
            raise ValueError(f"its values must be such as {setting} takes, and {value:g} is not") from None
        if setting == "n_steps" and constant is not None and max(values) > constant:
            raise ValueError(f"its values must not be more than n_steps, which is {constant}: raise that")
        if setting == "average_updates" and constant == 0:
            raise ValueError("there is no average without average_updates: set that, too")
        return text

    @field_validator("value_bins")
    @classmethod
    def _bins_tell_apart(cls, bins: int) -> int:
        if bins == 1:
            raise ValueError("one bin tells no values apart: it takes 0, or 2 to 1,001")
        return bins

    @field_validator("value_max")
    @classmethod
    def _range_is_one(cls, high: float, others: ValidationInfo) -> float:
        if high <= others.data.get("value_min", high - 1):
            raise ValueError("it has to be more than value_min")
        return high
