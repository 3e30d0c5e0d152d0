"""A command of the user's that is told of rare events: it runs by itself, and nothing waits for it."""

from __future__ import annotations

import os
import subprocess


def run(command: str, event: str, text: str, run_name: str) -> str:
    """Starts a command in the shell, with MARIO_TUI_EVENT, MARIO_TUI_TEXT and MARIO_TUI_RUN in its environment.

    Returns why it could not be started, in one line; "" where it was, and where there is none.
    """
    if not command:
        return ""
    told = {"MARIO_TUI_EVENT": event, "MARIO_TUI_TEXT": text, "MARIO_TUI_RUN": run_name}
    try:
        subprocess.Popen(
            command,
            shell=True,  # it is the user's own line, from the user's own settings
            env={**os.environ, **told},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f"the command of on_event cannot be started: {getattr(error, 'strerror', None) or error}"
    return ""
