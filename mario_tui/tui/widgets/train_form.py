"""The settings of a training run that is to begin or go on, generated from the config model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import DescendantFocus
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Button, Collapsible, Input, OptionList, Static

from mario_tui import paths
from mario_tui.config import TrainingConfig, field_help, fixed_settings, problems
from mario_tui.errors import InputError
from mario_tui.game.stages import MAZES
from mario_tui.presets import DEFAULT_PRESET, ON_GPU, PRESETS, preset
from mario_tui.stage_settings import stage_settings
from mario_tui.training.autotune import usual
from mario_tui.training.sizes import disk_need, memory_need
from mario_tui.tui import text
from mario_tui.tui.widgets.setting_row import Choice, FormRow, SettingRow

if TYPE_CHECKING:
    from mario_tui.tui.services import Services

FIRST = ("stage", "init_from", "envs", "steps", "episodes", "until_clear", "device", "replay_size", "save_every")
"""The settings that most people want to see; the others are folded away by group."""

_PRESET_HELP = "the values to begin with"
_NAME_HELP = "its folder in checkpoints/ (empty: stage and time)"


def _lines(presets: Mapping[str, str]) -> Content:
    """A line for each preset, the name before what is said of it."""
    lines = (Content.assemble((name, "bold"), f": {said}") for name, said in presets.items())
    return Content("\n").join(lines)


class FormBody(VerticalScroll, inherit_bindings=False, can_focus=False):
    """Scrolls to the line in focus; the arrow keys belong to the form, which moves that focus."""


class TrainForm(Vertical):
    """Asks for everything that a run needs; posts `Start` with a checked configuration."""

    BINDINGS = [
        Binding("f5,ctrl+s", "start", "Start", tooltip="Start training with these settings"),
        # With priority, as what is typed next must go to the next setting, however soon it is typed.
        Binding("down,tab", "next", "Next setting", show=False, priority=True, tooltip="Go to the next setting"),
        Binding("enter", "enter", "Next setting", show=False, priority=True),
        Binding(
            "up,shift+tab",
            "previous",
            "Previous setting",
            show=False,
            priority=True,
            tooltip="Go to the previous setting",
        ),
    ]

    class Start(Message):
        """The user wants to train: a new run, perhaps with a name, or to `resume` one.

        `changes`: the settings that the user has changed, from those of the preset or of the run.
        """

        def __init__(
            self, config: TrainingConfig, run: str | None, changes: Mapping[str, Any], resume: Path | None
        ) -> None:
            super().__init__()
            self.config, self.run, self.changes, self.resume = config, run, changes, resume

    def __init__(
        self, stages: Sequence[str], devices: Sequence[str], *, has_gpu: bool = False, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._has_gpu = has_gpu
        self._choices = {"stage": tuple(stages), "device": tuple(devices)}
        self._resume: Path | None = None
        self._free_memory: int | None = None
        self._free_disk: int | None = None
        self._values: dict[str, Any] = self._of_preset(DEFAULT_PRESET, "auto")
        """The values of the preset, or of the run that is continued, which settings in folded groups keep."""

    def compose(self) -> ComposeResult:
        with FormBody(id="settings"):
            yield FormRow("preset", "preset", _PRESET_HELP, Choice(tuple(PRESETS), DEFAULT_PRESET, id="preset"))
            yield Static(_lines(PRESETS), id="preset-lines")
            yield FormRow("name", "run name", _NAME_HELP, Input(compact=True, id="run-name"))
            for name in FIRST:
                yield self._row(name)
            for group, names in self._folded().items():
                yield Collapsible(title=f"{group}: {len(names)} more settings", name=group)
        with Vertical(id="start-bar"):
            yield Static("", id="start-problem", markup=False)
            yield Static("", id="focused-range", markup=False)
            with Horizontal(id="start-line"):
                yield Button("Start training", variant="primary", compact=True, id="start")
                yield Static(
                    Content.from_markup(
                        "[b]F5[/b] or [b]ctrl+s[/b]. Then [b]space[/b] pauses, [b]s[/b] saves, [b]q[/b] stops."
                    ),
                    id="start-hint",
                )

    def on_mount(self) -> None:
        self.check()

    def _of_preset(self, name: str, device: str) -> dict[str, Any]:
        on_gpu = self._has_gpu and device != "cpu"
        return {**preset(name).model_dump(), **(ON_GPU.get(name, {}) if on_gpu else {})}

    def _row(self, name: str) -> SettingRow:
        row = SettingRow(name, self._values[name], choices=self._choices.get(name, ()))
        row.disabled = self._resume is not None and name in fixed_settings()
        return row

    @staticmethod
    def _folded() -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for name in TrainingConfig.model_fields:
            if name not in FIRST:
                groups.setdefault(field_help(name)[0], []).append(name)
        return groups

    @on(Collapsible.Expanded)
    async def _unfold(self, event: Collapsible.Expanded) -> None:
        """Adds the rows of a group when it is first unfolded: the form opens much faster without them."""
        contents = event.collapsible.query_one(Collapsible.Contents)
        if not contents.children:
            await contents.mount(*(self._row(name) for name in self._folded()[event.collapsible.name or ""]))

    def rows(self) -> dict[str, SettingRow]:
        return {row.setting: row for row in self.query(SettingRow)}

    def focus_first(self) -> None:
        self.query_one("#preset").focus()

    def ask_for_new_run(self, init_from: str = "") -> None:
        """Asks for a new run, as it does at first; `init_from`: with the weights of this checkpoint."""
        if self._resume is not None:
            self._resume = None
            self.query_one("#row-name", FormRow).set_value("")
            self.apply_preset(str(self.query_one("#row-preset", FormRow).value))
            self.rows()["stage"].set_value(self._values["stage"])
            self._show_what_can_change()
        if init_from:
            self.rows()["init_from"].set_value(init_from)
        self.check()

    def ask_for_stage(self, stage: str) -> None:
        """Asks for a new run on a stage, with the settings that it needs besides those of the preset."""
        self.ask_for_new_run()
        self.apply_preset(str(self.query_one("#row-preset", FormRow).value))
        needed = stage_settings(stage)
        self._values = {**self._values, **needed}
        rows = self.rows()
        for name, value in {**needed, "stage": stage}.items():
            if name in rows:
                rows[name].set_value(value)
        self.check()
        if needed:
            settings = ", ".join(f"{name} {value}" for name, value in needed.items())
            self.notify(f"{stage} is trained with {settings}", timeout=10, markup=False)

    def ask_to_continue(self, checkpoint: Path, config: TrainingConfig) -> None:
        """Asks for the settings with which a run goes on; what is fixed for its life can be seen and not changed."""
        self._resume, self._values = checkpoint, config.model_dump()
        of_run = not paths.STEP_FOLDER.fullmatch(checkpoint.name)
        name = checkpoint.name if of_run else f"{checkpoint.parent.name}/{checkpoint.name}"
        self.query_one("#row-name", FormRow).set_value(name)
        for name, row in self.rows().items():
            row.set_value(self._values[name])
        self._show_what_can_change()
        self.check()
        self.rows()["envs"].control.focus()

    def _show_what_can_change(self) -> None:
        for row in self.query(FormRow):
            fixed = not isinstance(row, SettingRow) or row.setting in fixed_settings()
            row.disabled = self._resume is not None and fixed
        for about_presets in ("#row-preset", "#preset-lines"):
            self.query_one(about_presets).display = self._resume is None  # which one a run began with is not known
        self.query_one("#start", Button).label = "Start training" if self._resume is None else "Go on training"

    async def look_around(self, services: Services) -> None:
        """Finds out what is free, to be shown beside what replay and checkpoints need, which runs there are, and how
        long each preset takes."""
        memory, disk, runs, presets = await asyncio.to_thread(
            lambda: (
                services.free_memory_bytes(),
                services.free_disk_bytes(),
                services.run_names(),
                services.preset_lines(),
            )
        )
        self._free_memory, self._free_disk = memory, disk
        self.query_one("#preset-lines", Static).update(_lines(presets))
        control = self.rows()["init_from"].control
        assert isinstance(control, Input)
        control.suggester = SuggestFromList(runs, case_sensitive=False)
        self.check()

    def set_problem(self, problem: str) -> None:
        """Shows why the last start failed; empty for nothing."""
        self.query_one("#start-problem", Static).update(Content(problem))
        self.set_class(bool(problem), "-problem")

    def check(self) -> TrainingConfig | None:
        """Marks invalid settings, each at its row; returns the configuration, or None if any is invalid."""
        rows = self.rows()
        errors: dict[str, str] = {}
        config = None
        try:
            config = TrainingConfig(**{**self._values, **{name: row.value for name, row in rows.items()}})
        except ValidationError as problem:
            errors = problems(problem)
        for name, row in rows.items():
            row.error = errors.get(name, "")
        rows["stage"].warning = "a maze: reward is no progress here" if rows["stage"].value in MAZES else ""
        self._explain_games(rows["envs"], config)
        self._check_memory(rows["replay_size"], config)
        self._check_disk(rows["save_every"], config)
        return config if self._check_name() is None else None

    def _explain_games(self, row: SettingRow, config: TrainingConfig | None) -> None:
        row.figures = ""
        if config is not None and not config.envs:
            on_gpu = self._has_gpu and config.device != "cpu"
            row.figures = f"{usual(config, on_gpu=True).games} here" if on_gpu else "found out at the start"

    def _check_memory(self, row: SettingRow, config: TrainingConfig | None) -> None:
        if row.error or config is None or self._free_memory is None:
            row.figures = row.warning = ""
            return
        needed = memory_need(config)
        figures = f"needs {text.size(needed)} of {text.size(self._free_memory)} free"
        row.figures = figures
        row.warning = f"more memory than there is: {figures}" if needed > self._free_memory else ""

    def _check_disk(self, row: SettingRow, config: TrainingConfig | None) -> None:
        if row.error or config is None or self._free_disk is None:
            row.figures = row.warning = ""
            return
        need, free = disk_need(config), text.size(self._free_disk)
        row.figures = f"{need}; {free} free"
        too_much = need.total > self._free_disk
        row.warning = f"more than the disk has: {text.size(need.total)} of {free} free" if too_much else ""

    def _check_name(self) -> str | None:
        row = self.query_one("#row-name", FormRow)
        row.error = ""
        if row.value and self._resume is None:
            try:
                paths.check_run_name(row.value)
            except InputError as error:
                row.error = str(error)
        return row.error or None

    @on(FormRow.Changed)
    def _changed(self, event: FormRow.Changed) -> None:
        event.stop()
        self.set_problem("")
        if event.row.setting == "preset":
            self.apply_preset(event.row.value)
        if event.row.setting == "device" and self._resume is None:
            self._follow_device(event.row.value)
        self.check()

    def apply_preset(self, name: str) -> None:
        """Sets every setting to the preset's value, but for the stage and the weights to begin with."""
        self._values = self._of_preset(name, "auto")
        for setting, row in self.rows().items():
            if setting not in ("stage", "init_from"):
                row.set_value(self._values[setting])

    def _follow_device(self, device: str) -> None:
        """Sets what the preset has otherwise on a GPU, where it was not changed."""
        before, name = self._values, str(self.query_one("#row-preset", FormRow).value)
        self._values = {**before, **{one: self._of_preset(name, device)[one] for one in ON_GPU.get(name, {})}}
        for setting, row in self.rows().items():
            if str(row.value) == str(before[setting]) and before[setting] != self._values[setting]:
                row.set_value(self._values[setting])

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Says which values the setting under the cursor takes."""
        row = next((node for node in event.widget.ancestors if isinstance(node, FormRow)), None)
        allowed = "" if row is None or not row.allowed else f"{row.label}: {row.allowed}"
        self.query_one("#focused-range", Static).update(Content(allowed or "up and down move, enter opens a list"))

    @on(Button.Pressed, "#start")
    def _start_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.action_start()

    def action_start(self) -> None:
        config = self.check()
        if config is None:
            wrong = next(row for row in self.query(FormRow) if row.error)
            for folded in wrong.ancestors:
                if isinstance(folded, Collapsible):
                    folded.collapsed = False
            wrong.control.focus()
            named = wrong.error.startswith(wrong.label)
            self.set_problem(wrong.error if named else f"{wrong.label}: {wrong.error}")
            return
        self.set_problem("")
        changes = {name: value for name, value in config.model_dump().items() if value != self._values[name]}
        self.post_message(self.Start(config, self.query_one("#row-name", FormRow).value or None, changes, self._resume))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        focused = self.screen.focused
        if action in ("next", "previous"):
            return not isinstance(focused, OptionList)  # the list of an open setting, which moves in itself
        if action == "enter":
            return isinstance(focused, Input)
        return True

    def action_enter(self) -> None:
        self.screen.focus_next()

    def action_next(self) -> None:
        self.screen.focus_next()

    def action_previous(self) -> None:
        self.screen.focus_previous()
