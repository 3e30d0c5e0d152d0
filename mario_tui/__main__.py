"""`python -m mario_tui` is `mario-tui`."""

from mario_tui.cli import program

if __name__ == "__main__":
    raise SystemExit(program())
