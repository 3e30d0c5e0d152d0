"""The app's keys: those that hold on every screen, and the names by which a settings file changes any of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from textual.binding import Binding, BindingType

from mario_tui.tui.screens.base import MarioScreen
from mario_tui.tui.screens.board import BoardScreen
from mario_tui.tui.screens.checkpoints import CheckpointsScreen
from mario_tui.tui.screens.compare import CompareScreen
from mario_tui.tui.screens.home import HomeScreen
from mario_tui.tui.screens.map import MapScreen
from mario_tui.tui.screens.play import PlayScreen
from mario_tui.tui.screens.recordings import RecordingsScreen
from mario_tui.tui.screens.train import TrainScreen
from mario_tui.tui.screens.watch import WatchScreen

APP_BINDINGS = [
    Binding("h", "go('home')", "Home", id="app.home", tooltip="Home: the state of things at a glance"),
    Binding(
        "t", "go('train')", "Train", id="app.train", show=False, tooltip="Train: settings, or the training that runs"
    ),
    Binding(
        "c",
        "go('checkpoints')",
        "Checkpoints",
        id="app.checkpoints",
        tooltip="Checkpoints: watch, record, evaluate, continue",
    ),
    Binding(
        "v",
        "go('recordings')",
        "Recordings",
        id="app.recordings",
        show=False,
        tooltip="Recordings: play, convert and delete videos",
    ),
    Binding(
        "b", "go('board')", "Board", id="app.board", show=False, tooltip="Board: the 32 stages, and how far you are"
    ),
    Binding("question_mark", "help", "Help", id="app.help", key_display="?", tooltip="This help"),
    Binding(
        "ctrl+q",
        "quit",
        "Quit",
        id="app.quit",
        show=False,
        priority=True,
        tooltip="Quit; a training that runs is stopped and saved first",
    ),
    Binding(
        "ctrl+z",
        "suspend_process",
        "To the shell",
        id="app.suspend",
        show=False,
        priority=True,
        tooltip="To the shell; until fg all stops, a training as well",
    ),
    Binding(
        "ctrl+x",
        "cancel_job",
        "Cancel",
        id="app.cancel",
        show=False,
        tooltip="Cancel the recording, evaluation or search in the background that was begun last",
    ),
    Binding("ctrl+c", "help_quit", show=False, system=True),
]


def all_bindings() -> list[Binding]:
    """Every key that a settings file can change, the app's own first."""
    return [binding for bindings in _bindings_by_place() for binding in bindings]


def _bindings_by_place() -> list[list[Binding]]:
    """The app's, and those of each screen."""
    screens: tuple[type[MarioScreen], ...] = (
        HomeScreen,
        TrainScreen,
        WatchScreen,
        PlayScreen,
        CheckpointsScreen,
        CompareScreen,
        MapScreen,
        BoardScreen,
        RecordingsScreen,
    )
    places: list[Sequence[BindingType]] = [APP_BINDINGS, *(screen.BINDINGS for screen in screens)]
    return [[binding for binding in place if isinstance(binding, Binding) and binding.id] for place in places]


def doubled_keys(changed: Mapping[str, str]) -> Iterator[str]:
    """Those that two of a screen share; `changed`: name of a key -> the user's keys for it, with commas between."""
    for bindings in _bindings_by_place():
        owners: dict[str, str] = {}
        for binding in bindings:
            assert binding.id is not None
            for key in changed.get(binding.id, binding.key).split(","):
                owner = owners.setdefault(key.strip(), binding.id)
                if owner != binding.id and {owner, binding.id} & changed.keys():
                    yield f"settings: {key.strip()!r} is the key of both {owner} and {binding.id}"
