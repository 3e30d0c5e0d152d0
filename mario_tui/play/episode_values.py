"""An episode's timeline as a table: what was expected, what was done and what came, a step a line."""

from __future__ import annotations

import csv
import io
import math

from mario_tui.buttons import action_names
from mario_tui.play.timeline import Timeline

COLUMNS = ("step", "value", "action", "reward", "return", "settled")


def values_csv(timeline: Timeline, action_set: str) -> str:
    """The columns COLUMNS, in CSV: the number of the step, V of the state that it began in, the action taken, its
    reward as the agent learns it, the discounted return from this step on, and whether that is known (1) or would be
    another one if the episode had gone on (0). What is not known is empty."""
    names = action_names(action_set)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    columns = (timeline.steps, timeline.values, timeline.actions, timeline.rewards, timeline.returns, timeline.settled)
    for step, value, action, reward, coming, settled in zip(*(column.tolist() for column in columns), strict=True):
        expected = "" if math.isnan(value) else f"{value:.6g}"
        taken = names[action] if action >= 0 else ""
        table.writerow([step, expected, taken, f"{reward:.6g}", f"{coming:.6g}", int(settled)])
    return text.getvalue()
