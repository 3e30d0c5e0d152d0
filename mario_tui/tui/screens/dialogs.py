"""Small screens over another one: the help panel, a question, and the notice while the app is leaving."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from mario_tui.tui.screens.base import Key


class HelpScreen(ModalScreen[None]):
    """All keys of the screen beneath with an explanation, and what it is for: `explain`, then show it.

    There is one, for all screens and to the end: what has been laid out before is on the screen sooner.
    """

    CSS_PATH = "dialogs.tcss"
    BINDINGS = [Binding("escape,question_mark,q,enter", "dismiss", "Close", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._heading, self._about = "", ""
        self._keys: Sequence[Key] = ()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide") as dialog:
            dialog.border_subtitle = "esc closes"
            with VerticalScroll():
                yield Static(id="keys")
                yield Static(classes="about", markup=False)

    def explain(self, heading: str, about: str, keys: Sequence[Key]) -> None:
        self._heading, self._about, self._keys = heading, about, keys

    def on_screen_resume(self) -> None:
        self.query_one(".dialog").border_title = f"{self._heading}: help"
        self.query_one(".about", Static).update(self._about)
        self.query_one("#keys", Static).update(self._table())
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def _table(self) -> Content:
        width = max((len(" ".join(key.keys)) for key in self._keys), default=0)
        lines = [
            Content.assemble(
                (" ".join(key.keys).rjust(width), "bold $secondary"), "  ", (key.explanation, "$foreground")
            )
            for key in self._keys
        ]
        return Content("\n").join(lines)

    async def action_dismiss(self, result: None = None) -> None:
        self.dismiss(None)


class ConfirmScreen(ModalScreen[bool]):
    """Asks once; the key that led here, or enter, says yes, escape says no."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS = [
        Binding("escape,n", "no", "No", show=False),
        Binding("y", "yes", "Yes", show=False),
        Binding("left,right,up,down", "app.focus_next", "Other button", show=False),
    ]

    def __init__(self, heading: str, question: str, *, yes: str, no: str, key: str) -> None:
        super().__init__()
        self._heading = heading
        self._question = question
        self._yes, self._no = yes, no
        self._key = key
        self._bindings.bind(key, "yes", yes, show=False)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self._heading
            yield Static(self._question, classes="about", markup=False)
            with Horizontal(classes="buttons"):
                yield Button(f"{self._yes} ({self._key})", id="yes", variant="primary", compact=True)
                yield Button(f"{self._no} (esc)", id="no", compact=True)

    def on_mount(self) -> None:
        self.query_one("#yes").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_yes(self) -> None:
        self.dismiss(True)

    def action_no(self) -> None:
        self.dismiss(False)


class LineScreen(ModalScreen[str]):
    """Asks for a line of text; enter gives it, also an empty one, and escape None.

    Where `problem_of` has something to say of the line, that is shown, and the line stays to be mended. `on_change` is
    called with the line whenever it changes.
    """

    CSS_PATH = "dialogs.tcss"
    BINDINGS = [Binding("escape", "cancel", "Cancel", show=False)]

    def __init__(
        self,
        heading: str,
        question: str,
        *,
        value: str = "",
        yes: str = "keep",
        problem_of: Callable[[str], str] = lambda line: "",
        on_change: Callable[[str], object] = lambda line: None,
    ) -> None:
        super().__init__()
        self._problem_of, self._on_change = problem_of, on_change
        self._heading = heading
        self._question = question
        self._value = value
        self._yes = yes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self._heading
            dialog.border_subtitle = f"enter: {self._yes}   esc: leave it"
            yield Static(self._question, classes="about", markup=False)
            yield Input(self._value, compact=True, max_length=200, select_on_focus=False)
            yield Static("", classes="problem", markup=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.value.strip() != self._value:
            self._value = event.value.strip()
            self._on_change(self._value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        line = event.value.strip()
        problem = self._problem_of(line)
        if problem:
            self.query_one(".problem", Static).update(problem)
        else:
            self.dismiss(line)

    def action_cancel(self) -> None:
        self.dismiss(None)


class LeavingScreen(ModalScreen[None]):
    """Shown while training stops and saves before the app ends."""

    CSS_PATH = "dialogs.tcss"

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Leaving"
            yield Static(self._text, classes="about", markup=False)

    def say(self, text: str) -> None:
        if self.is_mounted:
            self.query_one(".about", Static).update(text)
