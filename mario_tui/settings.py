"""Every hyper-parameter, declared once, with its range, in three groups; config.py puts them together.

The command line's flags, the TOML file of a run, the form in the Train screen, the range checks and the checkpoint's
header all derive from these fields.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator

from mario_tui.buttons import ActionSet
from mario_tui.schedules import Between, Schedule

MOST_ENVS = 256
"""The most games that a training can have."""

SCHEDULES: dict[str, tuple[Between, tuple[str, ...]]] = {
    "n_steps_schedule": ("geometric", ("n_steps",)),
    "learning_rate_schedule": ("geometric", ("learning_rate",)),
    "batch_size_schedule": ("steps", ("batch_size",)),
    "priority_correction_schedule": ("linear", ("priority_correction",)),
    "exploration_schedule": (
        "geometric",
        ("exploration_rate", "exploration_rate_decay", "exploration_rate_min", "exploration_steps"),
    ),
    "average_updates_schedule": ("geometric", ("average_updates",)),
}
"""The settings that are schedules (schedules.py): what is between their points, and the settings whose place they take,
the first of which says which values are allowed."""


def _field(default: Any, description: str, *, group: str, unit: str = "", fixed: bool = False, **limits: Any) -> Any:
    """A setting; a `fixed` one cannot change on resume, as the network, the replay or random states depend on it."""
    extra: dict[str, Any] = {"group": group, "unit": unit, "fixed": fixed}
    return Field(default, description=description, json_schema_extra=extra, **limits)


def _schedule(description: str) -> Any:
    """A setting that is listed in SCHEDULES."""
    return _field("", f"{description} (empty: constant)", group="Agent", max_length=1_000)


class GameSettings(BaseModel):
    """How the games are played."""

    stage: str = _field("1-1", "stage to train on", group="Game", fixed=True)
    action_set: ActionSet = _field("tutorial", "button combinations the agent chooses from", group="Game", fixed=True)
    frame_skip: int = _field(
        4, "frames for which an action is held (frame skip)", group="Game", fixed=True, unit="frames", ge=1, le=16
    )
    stall_steps: int = _field(
        0,
        "end an episode after this many steps without getting farther (0: never)",
        group="Game",
        fixed=True,
        unit="steps",
        ge=0,
        le=100_000,
    )
    max_episode_steps: int = _field(
        0,
        "end an episode after this many steps (0: when the game's clock runs out)",
        group="Game",
        fixed=True,
        unit="steps",
        ge=0,
        le=1_000_000,
    )
    sticky: float = _field(
        0.0,
        "sticky actions: chance at each frame that the buttons of the frame before are held, not the chosen ones",
        group="Game",
        ge=0,
        lt=1,
    )
    noops: int = _field(
        0,
        "no-op starts: an episode begins with up to this many frames of no button, a random number",
        group="Game",
        unit="frames",
        ge=0,
        le=1000,
    )
    noisy_share: float = _field(
        1.0,
        "share of the games that have these sticky actions and no-op starts; the others have none",
        group="Game",
        ge=0,
        le=1,
    )
    measuring_games: int = _field(
        0,
        "of the games, the last ones that measure: 1: one plays greedily without noise; 2: one with the noise of the "
        "robust protocol, too",
        group="Game",
        ge=0,
        le=2,
    )
    practice_games: int = _field(
        0,
        "so many of the games practise: their episodes may begin where others failed or went on to a clear",
        group="Game",
        unit="games",
        ge=0,
        le=MOST_ENVS,
    )
    practice_share: float = _field(
        0.5,
        "share of the episodes of these games that are practice; the others begin at the start of the stage",
        group="Game",
        ge=0,
        le=1,
    )
    practice_from: Literal["deaths", "clears", "both"] = _field(
        "deaths", "practice before deaths and stalls, or anywhere on the way of a clear", group="Game"
    )
    practice_nearest: int = _field(
        8, "practice begins at least so many steps before a death", group="Game", unit="steps", ge=1, le=1000
    )
    practice_farthest: int = _field(
        40, "practice begins at most so many steps before a death", group="Game", unit="steps", ge=1, le=1000
    )
    practice_length: int = _field(
        80,
        "end an episode of practice after so many steps, or 40 after where the other one failed",
        group="Game",
        unit="steps",
        ge=1,
        le=100_000,
    )
    practice_places: int = _field(
        200,
        "practice begins at one of the last so many places that are known in a group of games",
        group="Game",
        unit="places",
        ge=1,
        le=10_000,
    )
    show_buttons: bool = _field(
        False, "draw the pressed buttons over the score rows, so that the network sees them", group="Game", fixed=True
    )
    envs: int = _field(
        1,
        "games played at once, which changes learning (0: as fits this machine)",
        group="Game",
        ge=0,
        le=MOST_ENVS,
    )
    actor_groups: int = _field(
        2,
        "groups of games that take turns, for speed; with another number a seed gives another run",
        group="Game",
        fixed=True,
        ge=1,
        le=2,
    )
    workers: int = _field(
        0,
        "processes that run the games (0: as many as are fastest here, measured once)",
        group="Game",
        ge=0,
        le=256,
    )
    actors: str = _field(
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

    network: Literal["nature", "small"] = _field(
        "nature",
        "convolutional network: three layers (as in the tutorial), or two smaller ones",
        group="Agent",
        fixed=True,
    )
    centered: bool = _field(
        False, "scale grey levels to -1 to 1 for the network, not 0 to 1: it learns faster", group="Agent", fixed=True
    )
    dueling: bool = _field(
        False, "dueling network: state value and advantages in separate streams", group="Agent", fixed=True
    )
    layer_norm: bool = _field(
        False, "normalise the hidden layer before its ReLU (LayerNorm)", group="Agent", fixed=True
    )
    value_bins: int = _field(
        0,
        "learn values as histograms of this many bins, by cross entropy (HL-Gauss; 0: as numbers, by Huber loss)",
        group="Agent",
        fixed=True,
        unit="bins",
        ge=0,
        le=1001,
    )
    value_min: float = _field(
        -0.5, "lower end of these histograms, in scaled rewards", group="Agent", fixed=True, ge=-1e6, le=1e6
    )
    value_max: float = _field(
        5.0, "upper end of these histograms, in scaled rewards", group="Agent", fixed=True, ge=-1e6, le=1e6
    )
    gamma: float = _field(0.9, "discount factor of future rewards", group="Agent", ge=0, lt=1)
    n_steps: int = _field(
        1,
        "n of the n-step return: rewards summed before bootstrapping from the target network",
        group="Agent",
        fixed=True,
        unit="steps",
        ge=1,
        le=50,
    )
    n_steps_schedule: str = _schedule("n of the n-step return over training, at most n_steps")
    cut_at_exploration: bool = _field(
        False,
        "n-step returns end before the first later action that was random and not the greedy one (Watkins' cut)",
        group="Agent",
    )
    action_gap: float = _field(
        0.0,
        "advantage learning: share of max Q - Q(a) by which the target of action a is lowered (0: plain Double DQN)",
        group="Agent",
        ge=0,
        lt=1,
    )
    munchausen: float = _field(
        0.0,
        "Munchausen DQN in place of Double DQN: alpha, the weight of the log-policy in the target (0: off; usual: 0.9)",
        group="Agent",
        ge=0,
        le=1,
    )
    munchausen_temperature: float = _field(
        0.03, "Munchausen DQN: temperature of the softmax policy, in scaled rewards", group="Agent", gt=0, le=1e6
    )
    clear_bonus: float = _field(
        0.0,
        "added to the agent's reward for clearing the stage; the log has the game's own reward",
        group="Agent",
        ge=0,
        le=1_000_000,
    )
    reward_scale: float = _field(1.0, "divisor of rewards in the learning targets", group="Agent", gt=0, le=1e6)
    learning_rate: float = _field(2.5e-4, "step size of the Adam optimizer", group="Agent", gt=0, le=1)
    learning_rate_schedule: str = _schedule(
        "learning rate over training, in place of learning_rate and of changes by hand"
    )
    adam_epsilon: float = _field(
        1e-8, "epsilon of the Adam optimizer, which keeps steps small where gradients are", group="Agent", gt=0, le=1
    )
    batch_size: int = _field(32, "transitions in one update", group="Agent", unit="transitions", ge=1, le=4096)
    batch_size_schedule: str = _schedule("batch size over training, in place of batch_size; it changes at the points")
    frame_stack: int = _field(
        4, "frames stacked in one observation", group="Agent", fixed=True, unit="frames", ge=1, le=8
    )
    shift: int = _field(
        0,
        "move the observations of each update at random by up to so many of their 84 pixels (DrQ; 0: not)",
        group="Agent",
        unit="pixels",
        ge=0,
        le=20,
    )
    replay_size: int = _field(
        100_000,
        "capacity of the replay buffer",
        group="Agent",
        fixed=True,
        unit="transitions",
        ge=100,
        le=10_000_000_000,
    )
    priority_exponent: float = _field(
        0.0,
        "prioritised replay: exponent alpha of the TD error in the sampling probability (0: uniform)",
        group="Agent",
        fixed=True,
        ge=0,
        le=1,
    )
    priority_correction: float = _field(
        0.4,
        "prioritised replay: importance-sampling exponent beta (1: full correction of the bias)",
        group="Agent",
        ge=0,
        le=1,
    )
    priority_correction_schedule: str = _schedule("beta over training, in place of priority_correction")
    demonstrations: str = _field(
        "", "games to learn from besides its own: an action log, or a folder of them such as plays/", group="Agent"
    )
    demonstration_share: float = _field(
        0.25,
        "share of each batch sampled from the demonstrations, if there are any",
        group="Agent",
        ge=0,
        le=1,
    )
    corrections: float = _field(
        0.0,
        "states before deaths that another action avoids, labelled by search, beside each batch: their share of its "
        "size (0: none; needs Python 3.13)",
        group="Agent",
        ge=0,
        le=4,
    )
    corrections_weight: float = _field(
        1.0, "weight of the margin loss on the labelled states of corrections", group="Agent", ge=0, le=1000
    )
    corrections_from: int = _field(
        0, "step from which deaths are labelled for corrections", group="Agent", unit="steps", ge=0, le=10**12
    )
    corrections_every: int = _field(
        2_000,
        "steps between two deaths that are labelled for corrections; each takes a core some seconds",
        group="Agent",
        unit="steps",
        ge=100,
        le=10**9,
    )
    corrections_size: int = _field(
        20_000,
        "labelled states that are kept for corrections, the newest; each takes some 28 KB of memory",
        group="Agent",
        unit="states",
        ge=1,
        le=10_000_000,
    )
    burn_in: int = _field(
        10_000,
        "steps before the first update (learning starts)",
        group="Agent",
        fixed=True,
        unit="steps",
        ge=0,
        le=100_000_000,
    )
    learn_every: int = _field(
        3, "steps between updates of the online network", group="Agent", unit="steps", ge=1, le=100_000
    )
    sync_every: int = _field(
        10_000,
        "steps between target network updates (copies of the online network)",
        group="Agent",
        unit="steps",
        ge=1,
        le=100_000_000,
    )
    exploration_rate: float = _field(
        1.0, "epsilon at the start: chance of a random action", group="Agent", fixed=True, ge=0, le=1
    )
    exploration_rate_decay: float = _field(0.99999975, "factor on epsilon per step", group="Agent", gt=0, le=1)
    exploration_rate_min: float = _field(0.1, "final epsilon", group="Agent", ge=0, le=1)
    exploration_steps: int = _field(
        0,
        "steps over which epsilon falls linearly to its final value (0: exponentially, by the factor)",
        group="Agent",
        fixed=True,
        unit="steps",
        ge=0,
        le=10**12,
    )
    exploration_schedule: str = _schedule(
        "epsilon over training, in place of changes by hand and of all exploration settings but ladder and hold"
    )
    exploration_ladder: float = _field(
        0.0,
        "per-actor epsilon: game i of N explores with eps^(1 + alpha i/(N-1)); this is alpha (0: all alike)",
        group="Agent",
        ge=0,
        le=20,
    )
    exploration_hold: int = _field(
        0,
        "hold a random action for k steps, k at random with P(k) ~ 1/k^2, at most so many (0: for one step)",
        group="Agent",
        unit="steps",
        ge=0,
        le=1000,
    )
    average_updates: int = _field(
        0,
        "greedy play uses an exponential moving average of the weights over this many updates (0: newest weights)",
        group="Agent",
        fixed=True,
        unit="updates",
        ge=0,
        le=10**9,
    )
    average_updates_schedule: str = _schedule("updates in the average over training, in place of average_updates")

    @field_validator(*SCHEDULES)
    @classmethod
    def _follows_a_schedule(cls, text: str, info: ValidationInfo) -> str:
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


class RunSettings(BaseModel):
    """When a run ends, and what it measures, saves and runs on."""

    steps: int = _field(0, "stop after this many steps (0: no limit)", group="Run", unit="steps", ge=0, le=10**12)
    episodes: int = _field(
        0, "stop after this many episodes (0: no limit)", group="Run", unit="episodes", ge=0, le=10**9
    )
    until_clear: bool = _field(False, "stop at the first clear in a greedy evaluation", group="Run")
    until_robust: float = _field(
        0.0,
        "stop when an agent clears this share of 100 episodes of the robust protocol (0: no; needs two games that "
        "measure)",
        group="Run",
        ge=0,
        le=1,
    )
    eval_every: int = _field(
        0,
        "steps between greedy evaluations (0: only for until_clear, every 20,000)",
        group="Run",
        unit="steps",
        ge=0,
        le=10**9,
    )
    save_every: int = _field(
        500_000, "steps between checkpoints (0: only at the end)", group="Run", unit="steps", ge=0, le=10**9
    )
    keep_every: int = _field(
        1,
        "of the checkpoints that save_every makes, keep every so many, the newest two and the best (1: all of them)",
        group="Run",
        unit="checkpoints",
        ge=1,
        le=10**6,
    )
    log_every: int = _field(
        20,
        "episodes between lines in the log; ten times that between curve pictures",
        group="Run",
        unit="episodes",
        ge=1,
        le=10**6,
    )
    record: bool = _field(
        True,
        "record the first clear and the best episode so far to recordings/, in a background process",
        group="Run",
    )
    init_from: str = _field(
        "",
        "a run, checkpoint or tutorial .chkpt whose weights a new run begins with",
        group="Run",
        fixed=True,
    )
    seed: int = _field(0, "seed of every random choice", group="Run", fixed=True, ge=0, le=2**63 - 1)
    device: str = _field("auto", "where the networks run", group="Run", pattern=r"^(auto|cpu|mps|cuda(:[0-9]{1,2})?)$")
    threads: int = _field(
        0,
        "processor threads that PyTorch may use on the CPU (0: as many as are fastest here, measured once)",
        group="Run",
        ge=0,
        le=256,
    )
    precision: Literal["auto", "float32", "bfloat16"] = _field(
        "float32",
        "number format that updates are computed in (auto: bfloat16 where the processor has units for it)",
        group="Run",
    )
    graph: bool = _field(
        True, "on a GPU, record an update once as a CUDA graph and start it with one call", group="Run"
    )
    robust_episodes: int = _field(
        0,
        "robust evaluation after promising greedy play: episodes with sticky actions and no-op starts (0: none)",
        group="Run",
        unit="episodes",
        ge=0,
        le=10_000,
    )
    tensorboard: bool = _field(False, "write TensorBoard events too (extra 'tensorboard')", group="Run")
