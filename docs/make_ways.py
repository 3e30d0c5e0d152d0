"""Takes the ways through stages that searches found into the program, and measures the stretches of each.

python docs/make_ways.py FOLDER     # of action logs, such as plays/, from `mario-tui search --stage S`

Of each stage the shortest log is kept as mario_tui/ways/STAGE.json, and what it leads through is written to
mario_tui/stage_routes.json. Without a folder only the latter is made again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mario_tui import stage_progress
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import open_emulator
from mario_tui.game.stages import STAGES
from mario_tui.store.shipped import WAYS

JUMP = 64  # pixels between two frames: through a pipe


def keep(folder: Path) -> None:
    """Copies the shortest searched log of each stage, unless a shorter one is there."""
    WAYS.mkdir(exist_ok=True)
    for file in sorted(folder.glob("*.json")):
        content = json.loads(file.read_bytes())
        ours = WAYS / f"{content['stage']}.json"
        known = len(ActionLog.load(ours).buttons) if ours.exists() else 10**9
        if "searched" in content and len(content["buttons"]) < known:
            ours.write_bytes(file.read_bytes().strip() + b"\n")


def route(log: ActionLog) -> list[list[int]]:
    """World, level, area, and the x position at its begin and end, of each stretch of a way that clears the stage."""
    stretches: list[list[int]] = []
    with open_emulator(log.stage) as emulator:
        last = None
        frames = (byte for byte in log.buttons for _ in range(log.frame_skip))
        for byte in (None, *frames):
            if byte is not None:
                emulator.frame(byte)
            area, x = emulator.area, emulator.x_position
            if area is not None:
                if last is None or last[0] != area or abs(x - last[1]) > JUMP:
                    stretches.append([*area, x, x])
                stretches[-1][4] = max(stretches[-1][4], x)
                last = area, x
            if emulator.done:
                break
        if not emulator.flag_get:
            raise SystemExit(f"the way through {log.stage} does not clear it")
    return [stretch for stretch in stretches if stretch[4] > stretch[3]]


def main() -> None:
    if len(sys.argv) > 1:
        keep(Path(sys.argv[1]))
    lines = []
    for stage in STAGES:
        if (file := WAYS / f"{stage}.json").exists():
            stretches = route(ActionLog.load(file))
            lines.append(f'  "{stage}": {json.dumps(stretches)}')
            print(stage, f"{len(ActionLog.load(file).buttons)} steps", stretches)
    stage_progress.FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
