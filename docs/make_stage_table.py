"""Measures the table in docs/stages.md on the real game, by playing the way through each stage, and writes it there.

python docs/make_stage_table.py
"""

from __future__ import annotations

import json
from pathlib import Path

from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import open_emulator
from mario_tui.game.stages import STAGES
from mario_tui.stage_progress import routes
from mario_tui.stage_settings import kind_of, usual_actions
from mario_tui.store.shipped import WAYS

FILE = Path(__file__).parent / "stages.md"
BEGIN, END = "<!-- measured: -->\n", "<!-- :measured -->\n"
AREA_TYPES = ("water", "ground", "underground", "castle")
COLUMNS = (
    "stage", "kind", "actions", "clock", "the way: areas, and x from and to", "cleared by, at x",
    "steps", "transitions", "seconds",
)  # fmt: skip
HEADING = f"| {' | '.join(COLUMNS)} |\n{'| --- ' * len(COLUMNS)}|\n"
_VICTORY = 0x0770, 2  # the game's mode, once the axe was touched


def row(stage: str) -> str:
    """The line of a stage."""
    file = WAYS / f"{stage}.json"
    log, searched = ActionLog.load(file), json.loads(file.read_bytes())["searched"]
    with open_emulator(stage) as emulator:
        clock = emulator.time
        for byte in (byte for byte in log.buttons for _ in range(log.frame_skip)):
            if not emulator.done:
                emulator.frame(byte)
        address, mode = _VICTORY
        sign = "axe" if emulator.ram[address] == mode else "flag"
        x = emulator.x_position if emulator.flag_get else None
    way = "; ".join(
        f"{AREA_TYPES[area >> 5]} {area & 31}: {begin:,}-{end:,}" for (_, _, area), begin, end in routes()[stage]
    )
    figures = f"{len(log.buttons)} | {searched['transitions']:,} | {searched['seconds']:.0f}"
    return f"| {stage} | {kind_of(stage)} | {usual_actions(stage)} | {clock} | {way} | {sign}, {x:,} | {figures} |\n"


def main() -> None:
    text = FILE.read_text()
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    FILE.write_text(before + BEGIN + "\n" + HEADING + "".join(map(row, STAGES)) + "\n" + END + after)


if __name__ == "__main__":
    main()
