"""The user's command for rare events, the terminal's bell, and notifications of the desktop."""

import time
from pathlib import Path
from typing import Any

import pytest

from mario_tui.system import on_event
from mario_tui.tui.preferences import Preferences
from mario_tui.tui.terminal import notification


def content(file: Path) -> str:
    deadline = time.monotonic() + 60
    while not file.exists() or not file.read_text().endswith("\n"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return file.read_text()


def test_a_command_is_told_what_happened(tmp_path: Path) -> None:
    file = tmp_path / "told"
    command = f'echo "$MARIO_TUI_EVENT|$MARIO_TUI_RUN|$MARIO_TUI_TEXT" > {file}.new && mv {file}.new {file}'
    assert on_event.run(command, "first-clear", "episode 7 cleared 1-1; $(rm -rf /)", "hill") == ""
    assert content(file) == "first-clear|hill|episode 7 cleared 1-1; $(rm -rf /)\n"


def test_none_is_run_where_there_is_none_and_a_failing_one_fails_alone() -> None:
    assert on_event.run("", "end", "saved", "hill") == ""
    assert on_event.run("exit 3", "end", "saved", "hill") == ""
    assert "cannot be started" in on_event.run("echo \0", "end", "saved", "hill")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm-kitty"}, "\x1b]9;mario-tui: a, b\x1b\\"),
        ({"TERM": "foot"}, "\x1b]777;notify;mario-tui;a, b\x1b\\"),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, "\x1b]777;notify;mario-tui;a, b\x1b\\"),
        ({"TERM": "tmux-256color", "TMUX": "1"}, "\x1bPtmux;\x1b\x1b]9;mario-tui: a, b\x1b\x1b\\\x1b\\"),
    ],
)
def test_a_notification_is_written_as_the_terminal_reads_it(environment: dict[str, str], expected: str) -> None:
    assert notification("a; b", environment) == expected


@pytest.mark.parametrize("settings", [{"notify": "loud"}, {"on_event": 5}])
def test_other_values_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Preferences.model_validate(settings)
