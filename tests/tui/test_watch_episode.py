"""Watch: the timeline of the episode, the ledger of its reward, and a state that moves nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from mario_tui.game.episode import EndReason
from mario_tui.play.timeline import Timeline, timeline
from mario_tui.rewards import FrameChange, LearnedReward
from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.screens.game_screen import ENDS
from mario_tui.tui.screens.watch import WatchScreen
from mario_tui.tui.widgets.reward_ledger import RewardLedger
from mario_tui.tui.widgets.timeline import EpisodeTimeline
from tui.fakes import FakePlayer, World, episode, moment, until

PATH = Path("/checkpoints/run/step-000120000")
SIZES = pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])


@asynccontextmanager
async def watching(world: World, size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[MarioTuiApp, Pilot[int]]]:
    app = world.app()
    async with app.run_test(size=size) as pilot:
        app.watch_agent(PATH)
        await until(pilot, lambda: isinstance(app.screen, WatchScreen) and app.screen._player is not None)
        yield app, pilot


def shown(widget: Any) -> str:
    return "\n".join(widget.render_line(row).text for row in range(widget.size.height))


async def line_of(app: MarioTuiApp, pilot: Pilot[int]) -> EpisodeTimeline:
    line = app.screen.query_one(EpisodeTimeline)
    await until(pilot, lambda: line.timeline is not None)
    return line


def ending(end: EndReason | None, step: int = 42, **changes: Any) -> list[Any]:
    return episode(moment(step=step, end=end, action=0, q_values=(9.0, 8.0), **changes))


async def show(app: MarioTuiApp, pilot: Pilot[int], world: World, steps: list[Any]) -> EpisodeTimeline:
    world.player._played, world.player.latest = steps, steps[-1]
    world.player.newest_step = steps[-1].step
    line = await line_of(app, pilot)
    screen: Any = app.screen
    screen.refresh_timeline()
    screen.refresh_numbers()
    await pilot.pause()
    return line


async def test_l_shows_the_timeline_in_place_of_the_numbers_and_back() -> None:
    async with watching(World()) as (app, pilot):
        line, numbers = app.screen.query_one("#timeline"), app.screen.query_one("#numbers")
        assert (line.display, numbers.display) == (False, True)
        await pilot.press("l")
        assert (line.display, numbers.display) == (True, False)
        await pilot.press("y")
        assert (line.display, app.screen.query_one("#ledger").display, numbers.display) == (False, True, False)
        await pilot.press("l", "l")
        assert (line.display, numbers.display) == (False, True)


async def test_with_room_both_are_always_there() -> None:
    async with watching(World(), (160, 50)) as (app, pilot):
        line = await line_of(app, pilot)
        ledger = app.screen.query_one(RewardLedger)
        assert line.region.height >= 12
        assert app.screen.region.contains_region(line.region)
        assert not line.region.overlaps(app.screen.query_one("#stack").region)
        await until(pilot, lambda: "pixels forward" in shown(ledger))


@SIZES
async def test_it_says_what_was_expected_and_what_came(size: tuple[int, int]) -> None:
    world = World()
    async with watching(world, size) as (app, pilot):
        await pilot.press("l")
        died = ending(EndReason.DEATH, frame_changes=(FrameChange(0, 0, 0, True),))
        line = await show(app, pilot, world, died)
        text = shown(line)
        assert "step 42" in text
        assert "expected 9.00" in text
        assert "came -15.00" in text
        assert "it expected 24.00 too much here" in text
        for words in ("V, what it expected", "what came, discounted (γ 0.9)", "other actions", "▴ jump", "✗ died"):
            assert words in text
        assert "so far" not in text
        cleared = ending(EndReason.CLEAR, frame_changes=(FrameChange(5, 5, 0, False),) * 4)
        text = shown(await show(app, pilot, world, cleared))
        assert "it expected 11.00 too little here" in text
        assert "✓ cleared" in text
        right = ending(EndReason.CLEAR, frame_changes=(FrameChange(3, 3, 0, False),) * 3)
        assert "it expected about right here" in shown(await show(app, pilot, world, right))


async def test_while_the_episode_goes_on_the_newest_returns_are_so_far() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        await pilot.press("l")
        text = shown(await show(app, pilot, world, ending(None)))
        assert "so far: more is to come" in text
        assert "━ so far" in text
        assert "✗" not in text
        text = shown(await show(app, pilot, world, ending(EndReason.STALL)))
        assert "cut off: more would have come" in text
        assert "✗ ended" in text


async def test_a_log_has_no_values_and_says_so() -> None:
    world = World()
    world.player.latest = None
    async with watching(world) as (app, pilot):
        await pilot.press("l")
        steps = ending(EndReason.CLEAR)
        for step in steps:
            step.q_values, step.action = (), None
        text = shown(await show(app, pilot, world, steps))
        assert "a log has no Q" in text
        assert "came" in text
        assert "V, what" not in text
        assert "other actions" not in text


@SIZES
async def test_a_click_goes_to_a_step_and_the_scrubber_follows(size: tuple[int, int]) -> None:
    world = World()
    async with watching(world, size) as (app, pilot):
        await pilot.press("l")
        await pilot.pause()
        line = await show(app, pilot, world, ending(EndReason.DEATH))
        at = line.column_of(20)
        assert line._cursor == line.column_of(42)
        await pilot.click(line, offset=(at, 5))
        step = int(world.player.calls[-1].removeprefix("seek "))
        assert abs(step - 20) <= 1
        assert line.column_of(step) == at
        await until(pilot, lambda: line.step == step)
        line.render_line(0)
        assert line._cursor == at
        lit = [segment.style for segment in line.render_line(5) if segment.style and segment.style.bgcolor]
        assert len({style.bgcolor for style in lit}) == 2, "one column is lit"
        await pilot.press("left")
        await until(pilot, lambda: line.step == step - 1)
        assert f"step {step - 1}" in shown(line)
        await pilot.mouse_down(line, offset=(line.column_of(10), 5))
        await pilot.hover(line, offset=(line.column_of(30), 5))
        await pilot.mouse_up(line, offset=(line.column_of(30), 5))
        assert abs(int(world.player.calls[-1].removeprefix("seek ")) - 30) <= 1, "it can be dragged"
        count = len(world.player.calls)
        await pilot.hover(line, offset=(line.column_of(15), 5))
        assert len(world.player.calls) == count, "and let go"


def drawn(line: Timeline, step: int, size: tuple[int, int] = (35, 17)) -> list[list[tuple[str, str]]]:
    widget = EpisodeTimeline()
    widget._timeline, widget._asked_step = line, step
    return widget._draw(*size)


def test_each_step_has_its_column_and_each_column_its_step() -> None:
    for length in (1, 2, 40, 113, 1500):
        widget = EpisodeTimeline()
        widget._timeline = timeline(ending(EndReason.DEATH, step=length), LearnedReward())
        widget._draw(60, 20)
        for step in range(1, length + 1):
            column = widget.column_of(step)
            assert abs(widget.column_of(widget.step_at(column) or 0) - column) <= 1
        assert widget.step_at(-5) == 1
        assert widget.step_at(999) == length


def test_a_jump_and_the_end_are_marked_in_their_columns() -> None:
    line = timeline(ending(EndReason.DEATH, step=60, frame_buttons=(128,) * 4), LearnedReward())
    lines = ["".join(text for text, _ in row) for row in drawn(line, 60)]
    widget = EpisodeTimeline()
    widget._timeline = line
    widget._draw(35, 17)
    marks = next(row for row in lines if "✗" in row and "▴" in row)
    jumps = line.steps[line.jumps].tolist()
    assert [column for column, sign in enumerate(marks) if sign == "▴"] == [widget.column_of(step) for step in jumps]
    assert marks.index("✗") == widget.column_of(60)


def test_steps_that_nobody_was_asked_in_leave_a_gap_in_the_curve() -> None:
    steps = ending(EndReason.DEATH, step=60)
    whole = timeline(steps, LearnedReward())
    q_values = whole.q_values.copy()
    q_values[20:40] = np.nan
    gap = replace(whole, q_values=q_values)

    def gold(line: Timeline) -> int:
        return sum(len(text) for row in drawn(line, 1, (64, 20))[2:-5] for text, part in row if part == "value")

    assert gold(gap) < 0.8 * gold(whole)
    words = drawn(gap, 30)[1]
    assert "".join(text for text, _ in words) == "the agent was not asked here"


@pytest.mark.parametrize("size", [(1, 1), (12, 8), (13, 9), (35, 12), (300, 80)])
def test_it_can_be_drawn_at_any_size(size: tuple[int, int]) -> None:
    for steps in ([], ending(None, step=0), ending(None, step=1), ending(EndReason.CLEAR, step=700)):
        line = timeline(steps, LearnedReward())
        rows = drawn(line, 1, size)
        assert len(rows) <= max(size[1], 1)
        if size[0] >= 35:
            lengths = [sum(len(text) for text, _ in row) for row in rows]
            assert max(lengths) <= size[0], rows[lengths.index(max(lengths))]


async def test_y_shows_what_the_reward_is_made_of() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        await pilot.press("y")
        ledger = app.screen.query_one(RewardLedger)
        await show_ledger(app, pilot, world, ending(EndReason.DEATH, frame_changes=(FrameChange(2, 2, -1, True),)))
        rows = {line[:15].strip(): line[15:].split() for line in shown(ledger).splitlines()}
        assert rows["pixels forward"] == ["+2", f"+{41 * 8 + 2}"]
        assert rows["clock"] == ["-1", f"-{6 * 4 + 1}"]
        assert rows["death"] == ["-25", "-25"]
        assert rows["clip at ±15"] == ["+9", "+9"]
        assert rows["together"] == ["-15", f"+{41 * 8 - 6 * 4 - 15}"]
        assert "clear bonus" not in rows


async def show_ledger(app: MarioTuiApp, pilot: Pilot[int], world: World, steps: list[Any]) -> None:
    world.player._played, world.player.latest = steps, steps[-1]
    await until(pilot, lambda: app.screen._shown is steps[-1])  # type: ignore[attr-defined]
    await pilot.pause()


async def test_the_ledger_has_what_an_agent_of_a_preset_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    learned = LearnedReward("frontier", 350.0, 150.0, 0.97)
    monkeypatch.setattr(FakePlayer, "learned", learned)
    world = World()
    async with watching(world) as (app, pilot):
        await pilot.press("y")
        ledger = app.screen.query_one(RewardLedger)
        await show_ledger(app, pilot, world, ending(EndReason.CLEAR, frame_changes=(FrameChange(4, 1, 0, False),)))
        rows = {line[:15].strip(): line[15:].split() for line in shown(ledger).splitlines()}
        assert rows["new ground"][0] == "+1"
        assert rows["clear bonus"] == ["+350", "+350"]
        assert rows["together"][0] == "+351"
        assert rows["learned, / 150"][0] == "+2.34"


STATES: dict[str, dict[str, Any]] = {
    "playing": {},
    "slow": {"speed": 0.25, "speed_reached": 0.1},
    "paused": {"paused": True},
    "back": {"paused": True, "latest": moment(step=98_764), "newest_step": 98_765},
    "by hand": {"by_hand": True},
    **{str(end.value): {"latest": moment(end=end, progress=0.9987)} for end in EndReason},
}


@SIZES
async def test_no_state_moves_what_is_below_it(size: tuple[int, int]) -> None:
    world = World()
    async with watching(world, size) as (app, pilot):
        await until(pilot, lambda: "stage" in str(app.screen.query_one("#state", Static).content))
        places: dict[str, Any] = {}
        for name, changes in STATES.items():
            for disturbed in (False, True):
                player = world.player
                player.latest, player.newest_step, player.paused, player.by_hand = moment(), 42, False, False
                player.speed, player.speed_reached = 1.0, None
                player.chances.epsilon, player.chances.sticky = (0.25, 0.25) if disturbed else (0.0, 0.0)
                for attribute, value in changes.items():
                    setattr(player, attribute, value)
                app.screen._records_from = moment(step=98_765) if disturbed else None  # type: ignore[attr-defined]
                screen: Any = app.screen
                content = str(screen._state(player.latest))
                screen.update_text("#state", screen._state(player.latest))
                await pilot.pause()
                state = screen.query_one("#state")
                lines = content.split("\n")
                assert len(lines) == 3, content
                assert max(map(len, lines)) <= min(state.content_size.width, 35), f"cut off: {content}"
                regions = {one: screen.query_one(one).region for one in ("#state", "#q-bars", "#pad", "#numbers")}
                assert places.setdefault("first", regions) == regions, name
    assert set(ENDS) == {end.value for end in EndReason}


async def test_a_problem_may_take_more_lines() -> None:
    world = World()
    async with watching(world) as (app, pilot):
        world.player.problem = "the emulator failed, and what it said is far longer than one line of a narrow panel"
        await until(pilot, lambda: app.screen.has_class("-problem"))
        await until(pilot, lambda: app.screen.query_one("#state").region.height >= 3)
        text = " ".join(shown(app.screen.query_one("#state")).split())
        assert text.endswith("narrow panel")


@pytest.mark.parametrize("size", [(120, 38), (120, 40), (150, 46), (160, 50), (200, 60)])
@pytest.mark.parametrize("keys", [(), ("y",), ("g",), ("y", "g")])
async def test_the_timeline_is_never_cut_off(size: tuple[int, int], keys: tuple[str, ...]) -> None:
    world = World()
    async with world.app().run_test(size=size) as pilot:
        pilot.app.watch_agent(Path("/checkpoints/run/step-000000001"))  # type: ignore[attr-defined]
        await until(pilot, lambda: isinstance(pilot.app.screen, WatchScreen) and pilot.app.screen._named_actions)
        await pilot.press(*keys)
        await pilot.pause()
        panel, line = (pilot.app.screen.query_one(one).region for one in ("#panel", "#timeline"))
        assert panel.contains_region(line), (panel, line)
        assert line.height >= 12
