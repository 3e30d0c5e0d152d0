"""One setting of a training run as a line of a form: its name, a control made from the config model, and its help."""

from __future__ import annotations

from typing import Any, get_args

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from mario_tui.config import TrainingConfig, field_help, field_range


def _as_text(value: Any) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


class Choice(Select[str], inherit_bindings=False):
    """A drop-down that leaves the arrow keys to the form, which moves between the lines with them."""

    BINDINGS = [Binding("enter,space", "show_overlay", "Choose", show=False)]

    def __init__(self, options: tuple[str, ...], value: str, *, id: str | None = None) -> None:
        self._offered = options if value in options else (*options, value)
        super().__init__([(o, o) for o in self._offered], value=value, allow_blank=False, compact=True, id=id)

    def choose(self, value: str) -> None:
        """Selects a value, also one that is not among the options."""
        if value not in self._offered:
            self._offered = (*self._offered, value)
            self.set_options([(o, o) for o in self._offered])
        self.value = value


class FormRow(Horizontal):
    """A label, a control, and beside it the help, or what is wrong with the value."""

    DEFAULT_CSS = """
    FormRow { height: auto; min-height: 1; padding: 0 1; }
    FormRow > .label { width: 23; color: $foreground; }
    FormRow > .help { width: 1fr; padding: 0 0 0 2; color: $text-muted; }
    FormRow > .range { width: 34; padding: 0 0 0 2; color: $text-muted; display: none; }
    FormRow Input, FormRow Select { width: 15; }
    FormRow Input { background: $panel; padding: 0 1; }
    FormRow Select > SelectCurrent { background: $panel; padding: 0 1; }
    FormRow Input:focus, FormRow Select:focus > SelectCurrent { background: $primary 40%; }
    FormRow:focus-within > .label { color: $secondary; text-style: bold; }
    FormRow:focus-within { background: $surface; }
    FormRow:disabled > .label, FormRow:disabled > .help { color: $foreground 40%; }
    FormRow.-error > .help { color: $text-error; text-style: bold; }
    FormRow.-warning > .help { color: $text-warning; }
    """

    class Changed(Message):
        """Posted when the user changed the value."""

        def __init__(self, row: FormRow) -> None:
            super().__init__()
            self.row = row

    error: reactive[str] = reactive("")
    warning: reactive[str] = reactive("")
    figures: reactive[str] = reactive("")

    def __init__(self, name: str, label: str, help_text: str, control: Widget, *, allowed: str = "") -> None:
        super().__init__(id=f"row-{name.replace('_', '-')}")
        self.setting = name
        self.control = control
        self.label = label
        self._help = help_text
        self.allowed = allowed
        """The values that can be used, in words."""

    def compose(self) -> ComposeResult:
        yield Static(self.label, classes="label", markup=False)
        yield self.control
        yield Static(self._help, classes="help", markup=False)
        yield Static(self.allowed, classes="range", markup=False)

    @property
    def value(self) -> Any:
        """What the control holds: text as typed, without the separators in a number; the model checks it."""
        value = self.control.value  # type: ignore[attr-defined]
        return value.strip() if isinstance(value, str) else value

    def set_value(self, value: Any) -> None:
        if isinstance(self.control, Choice):
            self.control.choose(_as_text(value))
        else:
            self.control.value = _as_text(value)  # type: ignore[attr-defined]

    def watch_error(self) -> None:
        self._show_help()

    def watch_warning(self) -> None:
        self._show_help()

    def watch_figures(self) -> None:
        self._show_help()

    def _show_help(self) -> None:
        if not self.is_mounted:
            return
        self.set_class(bool(self.error), "-error")
        self.set_class(bool(self.warning) and not self.error, "-warning")
        text = self.error or self.warning or self._help + (f" · {self.figures}" if self.figures else "")
        self.query_one(".help", Static).update(Content(text))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(self))

    def on_select_changed(self, event: Select.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(self))


class SettingRow(FormRow):
    """A setting of TrainingConfig; the control follows from the type of the field."""

    def __init__(self, name: str, value: Any, *, choices: tuple[str, ...] = ()) -> None:
        _, unit, description = field_help(name)
        allowed = field_range(name)
        annotation = TrainingConfig.model_fields[name].annotation
        options = choices or tuple(str(option) for option in get_args(annotation))
        control: Widget
        if options:
            control, allowed = Choice(options, str(value)), ""
        elif annotation is bool:
            control, allowed = Choice(("no", "yes"), _as_text(value)), ""
        else:
            control = Input(_as_text(value), compact=True, select_on_focus=True)
        limits = " ".join(part for part in (allowed, unit) if part)
        super().__init__(name, name.replace("_", " "), description, control, allowed=limits)
        self._is_number = annotation in (int, float)

    @property
    def value(self) -> Any:
        value = super().value
        return value.replace(",", "").replace(" ", "") if self._is_number else value
