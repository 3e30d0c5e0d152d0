"""A training in words, as Train shows it: its numbers, remarks and warnings, its end, and what + and - change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from mario_tui.printable import printable
from mario_tui.tui import text

if TYPE_CHECKING:
    from mario_tui.training.control import Rate
    from mario_tui.training.snapshot import TrainingSnapshot
    from mario_tui.tui.widgets.numbers import Entry

KNOB_NAMES: dict[Rate, str] = {"learning_rate": "learning rate", "exploration_rate": "epsilon"}
KNOBS = tuple(KNOB_NAMES)
"""What + and - change."""
SILENT_SECONDS = 3.0
"""A step takes milliseconds: one that takes this long is mentioned."""
TURN = 1.5
"""How many times as much one press of + makes it."""
LOWEST: dict[Rate, float] = {"learning_rate": 1e-6, "exploration_rate": 1e-3}
"""Where - ends."""


def turned(knob: Rate, now: float, direction: int) -> float:
    """The value of a knob after a turn up (1) or down (-1), rounded to two digits."""
    return min(1.0, max(float(f"{now * TURN**direction:.2g}"), LOWEST[knob]))


def numbers_of(snapshot: TrainingSnapshot, knob: str = "", *, few: bool = False) -> list[Entry]:
    """The numbers of a snapshot with their labels, the most wanted first.

    The `knob`, which + and - turn, has a mark. `few`: without the last one, which would have a line of its own.
    """
    limit = snapshot.config.steps
    mark = {name: " +/-" if name == knob else "" for name in KNOBS}
    floor = text.duration(snapshot.floor_seconds) if snapshot.floor_seconds is not None else "-"
    phases = snapshot.phases
    learn = sum(phases.get(phase, 0.0) for phase in ("sample", "update", "cache"))
    return [
        ("step", text.compact(snapshot.step) + (f"/{text.compact(limit)}" if limit else "")),
        ("episode", text.compact(snapshot.episode)),
        ("clears", text.count(snapshot.clears)),
        ("best", "clear" if snapshot.best_progress == 1 else text.percent(snapshot.best_progress)),
        ("time", text.duration(snapshot.seconds)),
        ("ETA", text.duration(snapshot.eta_seconds) if snapshot.eta_seconds is not None else "no limit"),
        ("", f"last 100: {text.percent(snapshot.clear_rate)} cleared; means:"),
        ("reward", text.decimal(snapshot.mean_reward)),
        ("steps", text.decimal(snapshot.mean_length)),
        ("loss", "-" if snapshot.mean_loss is None else text.decimal(snapshot.mean_loss)),
        ("Q", "-" if snapshot.mean_q is None else text.decimal(snapshot.mean_q)),
        ("", "now:"),
        ("steps/s", text.count(snapshot.steps_per_second)),
        (f"epsilon{mark['exploration_rate']}", text.epsilon(snapshot.epsilon)),
        (f"lr{mark['learning_rate']}", f"{snapshot.learning_rate:.2g}"),
        ("ε floor", floor),
        ("replay", text.compact(snapshot.replay_transitions)),
        ("updates", text.compact(snapshot.updates)),
        # groups of games play at the same time: together more than all of it
        ("games busy", text.percent(min(1.0, phases.get("emulate", 0.0))) if phases else "-"),
        ("learning", text.percent(learn) if phases else "-"),
        *([] if few else [("waiting", text.percent(phases.get("wait", 0.0)) if phases else "-")]),
    ]


def remark_of(snapshot: TrainingSnapshot, recordings_left: int = 0) -> Content:
    """One line that explains what goes on: filling the replay, pausing, or how the last episode ended."""
    if snapshot.status == "starting":
        return Content.styled("starting PyTorch and the game ...", "$secondary")
    if snapshot.status == "paused":
        if snapshot.pause_reason:
            return Content.styled(f"paused: {snapshot.pause_reason} (space goes on now)", "bold $warning")
        return Content.styled("paused: space goes on", "bold $warning")
    if snapshot.status == "stopping":
        videos = "a video" if recordings_left == 1 else f"{recordings_left} videos"
        what = f"saved; finishing {videos} of it ..." if recordings_left else ""
        return Content.styled(what or "stopping and saving ...", "$warning")
    if snapshot.status == "running" and snapshot.step < snapshot.learns_from:
        return Content.styled(f"collecting: learns at step {text.count(snapshot.learns_from)}", "$secondary")
    last = snapshot.last_episode
    if last is None:
        return Content("")
    return Content.styled(
        f"last: {last.end} at {text.percent(last.progress)}, reward {text.decimal(last.reward)}", "$foreground 60%"
    )


def warnings_of(snapshot: TrainingSnapshot, silent_seconds: float = 0.0) -> Content:
    """The warnings, a line each."""
    lines = list(snapshot.warnings)
    if silent_seconds >= SILENT_SECONDS:
        lines.append(
            f"no step for {silent_seconds:.0f} s: it waits for an evaluation, or for an emulator that hangs, which is "
            "started again after half a minute; keys are answered then"
        )
    return Content("\n").join(Content.styled(f"! {line}", "$warning") for line in lines)


def summary_of(snapshot: TrainingSnapshot) -> Content:
    """What a training that has ended came to, and what to press next."""
    if snapshot.status == "failed":
        head = Content.assemble(("Training failed. ", "bold $error"), printable(snapshot.problem))
    else:
        head = Content.assemble(
            ("Training has ended: ", "bold $success"),
            f"{text.count(snapshot.step)} steps, {text.count(snapshot.episode)} episodes, "
            f"{text.count(snapshot.clears)} clears; {text.duration(snapshot.seconds)} this time.",
        )
    if snapshot.last_checkpoint is None:
        return head + Content.from_markup(
            "\n[$foreground 60%]No checkpoint was saved.[/]  [b $secondary]n[/] new training"
        )
    return head + Content.from_markup(
        "\nSaved as $step.  "
        "[b $secondary]w[/] watch it   [b $secondary]r[/] record it   [b $secondary]n[/] new training",
        step=snapshot.last_checkpoint.name,
    )
