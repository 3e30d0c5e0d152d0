"""Makes the small pictures of the stages on the board: the start of each in the real game, all in one file.

python docs/make_stage_pictures.py
"""

from PIL import Image

from mario_tui.game.emulator import open_emulator
from mario_tui.game.stages import STAGES
from mario_tui.tui.stage_pictures import COLUMNS, FILE, SIZE


def main() -> None:
    width, height = SIZE
    atlas = Image.new("RGB", (COLUMNS * width, -(-len(STAGES) // COLUMNS) * height))
    for number, stage in enumerate(STAGES):
        with open_emulator(stage) as emulator:
            picture = Image.fromarray(emulator.screen[32:])  # without the line of figures
        place = (number % COLUMNS * width, number // COLUMNS * height)
        atlas.paste(picture.resize(SIZE, Image.Resampling.BOX), place)
    atlas.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(FILE, optimize=True)
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
