"""The ghosts in a recording, as the action log beside it keeps them: the video can be made again with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mario_tui.errors import InputError
from mario_tui.game.action_log import MAX_FRAMES, ActionLog, load_logs
from mario_tui.game.episode import EndReason
from mario_tui.game.replaying import play_log
from mario_tui.play.ghost_trail import GhostTrail, follow


def ghosts_as_json(ghosts: Sequence[GhostTrail], stage: str) -> dict[str, Any]:
    """What the action log says of the ghosts in its video: names, ends and logs; nothing without any."""
    found = [
        {
            "name": ghost.name,
            "end": "" if ghost.end is None else ghost.end.value,
            **ActionLog.of_frames(stage, ghost.frame_skip, ghost.pressed).as_json(),
        }
        for ghost in ghosts
        if ghost.pressed
    ]
    return {"ghosts": found} if found else {}


def ghosts_beside(log: Path, stopped: Callable[[], bool] = lambda: False) -> list[GhostTrail]:
    """The ghosts of the recording that an action log is beside, their episodes played again.

    Of a race they are those that did not win. Empty where there are none, or what the file says of them is damaged, and
    where it is `stopped`, which is asked at each step.
    """
    trails = []
    for trail, episode, end in _read(log):
        if not follow(trail, play_log(episode), stopped):
            return []
        trail.end = trail.end or end  # no log says that an agent stood, or was led back
        trails.append(trail)
    return trails


def _read(path: Path) -> list[tuple[GhostTrail, ActionLog, EndReason | None]]:
    """The ghosts before they have played, their episodes, and how these ended."""
    try:
        stage = load_logs(path)[0].stage
        video = json.loads(path.read_bytes())["video"]
        first_tint = 1 if "race" in video else 0  # the first of a race is the one that is followed
        found = []
        for number, one in enumerate(video.get("ghosts") or video["race"][1:]):
            episode, end = ActionLog.from_json(one), one["end"]
            if episode.stage != stage or episode.goes_on is not None:
                return []
            trail = GhostTrail(str(one["name"]), tint=first_tint + number)
            found.append((trail, episode, EndReason(end) if end else None))
        return found if sum(episode.frames for _, episode, _ in found) <= MAX_FRAMES else []
    except (InputError, OSError, ValueError, LookupError, TypeError, AttributeError):
        return []
