"""Makes the maps of the stages, from what the emulator shows while the way through each is played.

python docs/make_stage_maps.py

Each picture is put together from columns of the screen, without the line of figures: of all frames that show a column
the median, so that Mario, enemies and lifts vanish. mario_tui/maps/STAGE.png has the pieces of a stage side by side,
and mario_tui/maps/pieces.json says of which area and from which x position each is.
"""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import open_emulator
from mario_tui.game.stages import STAGES
from mario_tui.stage_map import FOLDER, GAP, PIECES, TOP
from mario_tui.store.shipped import WAYS

COLOURS = 48
EVERY = 4  # frames between two looks at the screen
MOST_LOOKS = 21  # at a column
SCROLL_PAGE, SCROLL_X = 0x071A, 0x071C


def columns_seen(log: ActionLog) -> dict[int, dict[int, list[np.ndarray]]]:
    """Area -> x position -> what was seen of that column, (rows, 3) each."""
    seen: dict[int, dict[int, list[np.ndarray]]] = {}
    with open_emulator(log.stage) as emulator:
        frames = (byte for byte in log.buttons for _ in range(log.frame_skip))
        for number, byte in enumerate(frames):
            emulator.frame(byte)
            if emulator.done:
                break
            if number % EVERY or emulator.area is None:
                continue
            ram, screen = emulator.ram, emulator.screen[TOP:]
            scroll = int(ram[SCROLL_PAGE]) * 256 + int(ram[SCROLL_X])
            columns = seen.setdefault(emulator.area[2], {})
            for column in range(256):
                looks = columns.setdefault(scroll + column, [])
                if len(looks) < MOST_LOOKS:
                    looks.append(screen[:, column])
                else:
                    looks[number // EVERY % MOST_LOOKS] = screen[:, column]
    return seen


def pieces_of(seen: dict[int, dict[int, list[np.ndarray]]]) -> list[tuple[int, int, np.ndarray]]:
    """Area, first x position and picture of each stretch that was seen without a gap."""
    pieces = []
    for area, columns in seen.items():
        positions = sorted(columns)
        for part in np.split(positions, np.flatnonzero(np.diff(positions) > 1) + 1):
            picture = np.stack([np.median(columns[int(x)], axis=0) for x in part], axis=1)
            pieces.append((area, int(part[0]), picture.astype(np.uint8)))
    return pieces


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    places = {}
    for stage in STAGES:
        pieces = pieces_of(columns_seen(ActionLog.load(WAYS / f"{stage}.json")))
        blank = np.zeros((pieces[0][2].shape[0], GAP, 3), np.uint8)
        parts, left, known = [], 0, []
        for area, x, picture in pieces:
            parts += [picture, blank]
            known.append([area, x, picture.shape[1], left])
            left += picture.shape[1] + GAP
        whole = Image.fromarray(np.concatenate(parts[:-1], axis=1))
        file = FOLDER / f"{stage}.png"
        whole.convert("P", palette=Image.Palette.ADAPTIVE, colors=COLOURS).save(file, optimize=True)
        places[stage] = known
        print(stage, whole.size, f"{file.stat().st_size:,} bytes", known, flush=True)
    lines = (f'  "{stage}": {json.dumps(known)}' for stage, known in places.items())
    PIECES.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
