"""`stages`: the board of the 32 stages, as a table or JSON."""

from __future__ import annotations

import argparse
import json

from mario_tui.store.intervals import in_percent
from mario_tui.system import output


def stages(arguments: argparse.Namespace) -> int:
    from mario_tui.play.board import read_board

    board = read_board()
    if arguments.json:
        print(json.dumps([state.as_json() for state in board], indent=1))
        return 0
    from rich.markup import escape
    from rich.table import Table

    from mario_tui.printable import printable
    from mario_tui.store.intervals import interval_in_percent

    table = Table(box=None, header_style="bold")
    for heading in ("Stage", "Cleared by", "Greedy", "Robust", "Steps", "Time", "Best agent"):
        table.add_column(heading, no_wrap=True, justify="right" if heading in ("Steps", "Time") else "left")
    for state in board:
        best, greedy, robust = state.best, "", ""
        if best is not None:
            far = "" if state.best_progress is None else f"{in_percent(state.best_progress)} %"
            greedy = {True: "clears", False: far or "no", None: ""}[best.greedy_clear]
            if best.robust_clear_rate is not None:
                robust = f"{in_percent(best.robust_clear_rate)} %"
                if best.robust_episodes:
                    clears = round(best.robust_clear_rate * best.robust_episodes)
                    interval = interval_in_percent(best.robust_clear_rate, best.robust_episodes)
                    robust = f"{clears} of {best.robust_episodes} ({interval} %)"
        table.add_row(
            state.stage,
            ", ".join(state.cleared_by) or "-",
            greedy,
            robust,
            "" if best is None else f"{best.step:,}",
            "" if state.seconds is None else f"{state.seconds / 60:,.0f} min",
            "" if best is None else escape(printable(f"{best.run}/{best.path.name}")),
        )
    output.print_table(table)
    cleared = {by: sum(by in state.cleared_by for state in board) for by in ("agent", "hand", "search")}
    print("Cleared by an agent: {agent} of 32, by hand: {hand}, by search: {search}.".format(**cleared))
    return 0
