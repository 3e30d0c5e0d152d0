"""The ghosts in a recording, as the action log beside it keeps them: the video can be made again with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mario_tui.game.action_log import ActionLog
from mario_tui.game.replaying import play_log
from mario_tui.play.ghost_trail import GhostTrail, follow, short_step


def ghosts_as_json(ghosts: Sequence[GhostTrail], stage: str) -> dict[str, Any]:
    """What the action log says of the ghosts in its video; nothing without any."""
    found = [
        {"name": ghost.name, **ActionLog.of_frames(stage, ghost.frame_skip, ghost.pressed).as_json()}
        for ghost in ghosts
        if ghost.pressed
    ]
    return {"ghosts": found} if found else {}


def ghosts_beside(log: Path) -> list[GhostTrail]:
    """The ghosts of the recording that an action log is beside, their episodes played again.

    Of a race they are those that did not win. Empty where there are none, or what the file says of them is damaged.
    """
    try:
        video = json.loads(log.read_bytes()).get("video", {})
        found = [(str(one["name"]), ActionLog.from_json(one)) for one in video.get("ghosts", ())]
        for one in video.get("race", ())[1:]:
            found.append((short_step(int(one["step"])), ActionLog.from_json(one)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    trails = []
    for name, episode in found:
        trails.append(trail := GhostTrail(name))
        follow(trail, play_log(episode))
    return trails
